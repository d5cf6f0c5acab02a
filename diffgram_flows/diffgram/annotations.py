"""What is drawn on files, read and written at once (contract section 10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from diffgram_flows.diffgram.records import FileAnnotations, Instance, ModelRun, SaveResult, parse, parse_all
from diffgram_flows.diffgram.redaction import without_secrets
from diffgram_flows.diffgram.resource import Resource, part


class AnnotationCalls(Resource):
    """Calls about the annotations of a file."""

    def annotations(self, file_id: int) -> FileAnnotations:
        """A file with its instances.

        Raises:
            InvalidRequest: There is no such file in this project.
        """
        about = f"the annotations of file {file_id}"
        reply = self._ask(self._old_path(f"file/{file_id}/annotation/list"), about, {})
        return annotated_file(part(reply, "file_serialized", about=about), about)

    def save_annotations(self, file_id: int, instances: Sequence[Mapping[str, Any]]) -> SaveResult:
        """Replace the instances of a file: what is not sent is removed, human work included.

        So read first, and send ``FileAnnotations.raw`` back unchanged (unchanged instances keep their id) with what is
        new at its end. To remove one, send it with ``soft_delete: True``. An empty list does nothing. Only numeric
        ``model_id`` and ``model_run_id`` of existing rows count here, not the references of packets.

        Raises:
            InvalidRequest: There is no such file, or an instance is wrong; then nothing was saved.
            ServerUnreachable: No answer. Read again before saving again.
        """
        about = f"the save of {len(instances)} instances on file {file_id}"
        body = {"instance_list": [dict(instance) for instance in instances], "and_complete": False}
        reply = self._change(self._old_path(f"file/{file_id}/annotation/update"), about, body)
        # A removal leaves a tombstone among what was added.
        added = parse_all(Instance, part(reply, "added_instances", about=about), about)
        warning = part(reply, "log", about=about).get("warning") or {}
        result = {
            "added": [instance.id for instance in added if not instance.soft_delete],
            "deleted": part(reply, "deleted_instances", about=about),
            "warning": without_secrets(str(warning.get("information") or "")),
            "missing": warning.get("missing_ids"),
        }
        return parse(SaveResult, result, about)

    def model_runs(self, ids: Sequence[int] | None = None) -> list[ModelRun]:
        """The model runs of the project, or those with these ids; other filters have no effect on the server."""
        about = "the list of model runs"
        body = {} if ids is None else {"id_list": list(ids)}
        reply = self._ask(self._path("model-runs/list"), about, body)
        return parse_all(ModelRun, part(reply, "model_run_list", about=about), about)


def annotated_file(file: Any, about: str) -> FileAnnotations:
    """A file of a reply together with its instances.

    Raises:
        UnexpectedReply: It has none, not even an empty list.
    """
    raw = part(file, "instance_list", about=about) or []
    image = file.get("image") or {}
    described = {
        "file": file,
        "width": image.get("width"),
        "height": image.get("height"),
        "instances": parse_all(Instance, raw, about),
        "raw": raw,
    }
    return parse(FileAnnotations, described, about)
