"""Batches: pre-labels and metadata by file name, for files that are uploaded in pieces (contract section 8)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diffgram_flows.diffgram.chunks import safe_name
from diffgram_flows.diffgram.instances import check
from diffgram_flows.diffgram.records import parse
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.setup_records import BatchRow
from diffgram_flows.diffgram.transport import Call
from diffgram_flows.errors import InvalidRequest

_LARGEST = 48 * 2**20  # bytes; the default service cuts the connection at 50 MiB (contract section 3)


@dataclass(frozen=True, slots=True)
class Prelabel:
    """What a batch knows about one file.

    Attributes:
        instances: Dictionaries of :mod:`~diffgram_flows.diffgram.shapes` with label *names*; every name must exist.
        metadata: Free JSON that is stored on the file. No other way in keeps it: packets drop it.
        frames: For a video: frame number to instances. As the official SDK sends it in packets; not recorded.
    """

    instances: Sequence[Mapping[str, Any]] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    frames: Mapping[int, Sequence[Mapping[str, Any]]] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The entry as it is sent. Without one of the first two keys the upload would end in a 500."""
        frames = {
            str(number): [{**instance, "frame_number": number} for instance in instances]
            for number, instances in self.frames.items()
        }
        entry: dict[str, Any] = {
            "instance_list": [dict(instance) for instance in self.instances],
            "frame_packet_map": frames or None,
        }
        return entry | ({"file_metadata": dict(self.metadata)} if self.metadata else {})


class BatchCalls(Resource):
    """Calls about batches."""

    def new_batch(self, directory_id: int, prelabels: Mapping[str, Prelabel] | None = None) -> BatchRow:
        """Make a batch. It applies only to files that :meth:`upload_in_chunks` sends with its id.

        Args:
            directory_id: The dataset that the files are for. Errors name it; the server keeps none with a batch, the
                upload says where a file goes.
            prelabels: File name to what is known about it. Names must be "safe" ones, as the upload makes them.

        Raises:
            InvalidRequest: A name, an instance or the metadata is wrong. It names the file, the index and the field.
        """
        about = f"the batch of {len(prelabels or {})} files for dataset {directory_id}"
        body = {"pre_labeled_data": _entries(prelabels, about)} if prelabels else {}
        if prelabels:
            _encoded(body, about)
        reply = self._change(self._path("input-batch/new"), about, body)
        return parse(BatchRow, part(reply, "input_batch", about=about), about)

    def batch(self, batch_id: int) -> BatchRow:
        """A batch. ``data_status`` is ``success`` when appended pre-labels are loaded, and empty before that."""
        about = f"the batch {batch_id}"
        reply = self._ask(self._path(f"input-batch/{batch_id}"), about, {})
        return parse(BatchRow, part(reply, "input_batch", about=about), about)

    def append_to_batch(self, batch_id: int, prelabels: Mapping[str, Prelabel]) -> None:
        """Give an empty batch its pre-labels as a file; they are loaded in the background, see :meth:`batch`.

        One file of at most 48 MiB was recorded for an empty batch. What a second one does to the first was not, so
        make one batch for each.

        Raises:
            InvalidRequest: As for :meth:`new_batch`; or there is nothing to append.
        """
        about = f"the {len(prelabels)} pre-labels for batch {batch_id}"
        if not prelabels:
            raise InvalidRequest(f"There is nothing in {about}.", cure="Give at least one file.")
        content = _encoded(_entries(prelabels, about), about)
        call = Call(
            "POST",
            self._path(f"input-batch/{batch_id}/append-data"),
            about,
            file=("blob", content),
            headers={
                "Content-Range": f"bytes 0-{len(content) - 1}/{len(content)}",
                "Content-Range-Index": "0",
                "Content-Range-Total-Chunks": "1",
            },
            unseen="the batch exists",
        )
        part(self._transport.json(call), "input_batch", about=about)  # a URL of the server's store: a secret


def _entries(prelabels: Mapping[str, Prelabel], about: str) -> dict[str, Any]:
    for name, prelabel in prelabels.items():
        if safe_name(name) != name:
            raise InvalidRequest(
                f"The server will not find {name!r} of {about}.",
                cure=f"Name the file {safe_name(name)!r}, here and there.",
            )
        for place, instances in [("", prelabel.instances), *((f", frame {n}", x) for n, x in prelabel.frames.items())]:
            _check(instances, f"{name!r}{place} of {about}")
        if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in prelabel.frames):
            raise InvalidRequest(f"{name!r} of {about} has a frame that is no number.", cure="Count from 0.")
    return {name: prelabel.body() for name, prelabel in prelabels.items()}


def _check(instances: Sequence[Mapping[str, Any]], place: str) -> None:
    refused: InvalidRequest | None = None
    try:
        check(instances, by_name=True)
    except InvalidRequest as error:
        refused = error
    if refused is not None:
        raise InvalidRequest(f"In the pre-labels of {place}: {refused.what}", cure=refused.cure, fields=refused.fields)


def _encoded(value: object, about: str) -> bytes:
    try:
        content = json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError):
        content = b""
    if not content:
        raise InvalidRequest(f"The metadata of {about} is no JSON.", cure="Give plain texts, numbers, lists and dicts.")
    if len(content) > _LARGEST:
        raise InvalidRequest(
            f"For one call, there is more than {_LARGEST // 2**20} MiB in {about}.", cure="Make several batches."
        )
    return content
