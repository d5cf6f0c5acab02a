"""Label schemas and labels. The server never checks for twins, so we list first (contract section 4)."""

from __future__ import annotations

from collections.abc import Iterable

from diffgram_flows.diffgram.records import Label, LabelSchema, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.errors import InvalidRequest


class LabelCalls(Resource):
    """Calls about labels."""

    def schemas(self) -> list[LabelSchema]:
        """The label schemas of the project."""
        about = "the list of label schemas"
        return parse_all(LabelSchema, self._get(self._path("labels-schema"), about), about)

    def ensure_schema(self, name: str) -> LabelSchema:
        """The label schema of exactly this name, made if it is missing. Safe to call from several places at once.

        Raises:
            InvalidRequest: The server accepts no schema of this name, for example because one was archived.
        """
        about = f"the label schema {name!r}"
        found = self._find_schema(name)
        if found is not None:
            return found
        refused: InvalidRequest | None = None
        try:
            return parse(LabelSchema, self._change(self._path("labels-schema/new"), about, {"name": name}), about)
        except InvalidRequest as error:
            refused = error
        found = self._find_schema(name)  # somebody else may have been faster
        if found is None:
            raise refused
        return found

    def labels(self, schema_id: int) -> list[Label]:
        """The labels of a schema, twins included."""
        about = f"the labels of schema {schema_id}"
        reply = self._get(self._old_path("labels"), about, schema_id=schema_id)
        return parse_all(Label, part(reply, "labels_out", about=about), about)

    def ensure_labels(self, schema_id: int, names: Iterable[str]) -> dict[str, int]:
        """Label names to label file ids; only missing labels are made, and of twins the oldest counts.

        Two callers that make the same label at the same moment end up with the same id, because both look again.

        Raises:
            InvalidRequest: The schema does not exist, or a name is refused.
        """
        wanted = list(dict.fromkeys(names))
        found = self._oldest_of(schema_id)
        missing = [name for name in wanted if name not in found]
        for name in missing:
            about = f"the label {name!r} in schema {schema_id}"
            reply = self._change(self._path("label/new"), about, {"name": name, "schema_id": schema_id})
            made = parse(Label, part(reply, "label", about=about), about)
            found[name] = made.label_file_id
        if missing:
            found |= self._oldest_of(schema_id)
        return {name: found[name] for name in wanted}

    def _oldest_of(self, schema_id: int) -> dict[str, int]:
        newest_first = sorted(self.labels(schema_id), key=lambda label: label.label_file_id, reverse=True)
        return {label.name: label.label_file_id for label in newest_first}

    def _find_schema(self, name: str) -> LabelSchema | None:
        same = [schema for schema in self.schemas() if schema.name == name and not schema.archived]
        return min(same, key=lambda schema: schema.id, default=None)
