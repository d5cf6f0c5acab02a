"""The JSON of an export, read as a stream: one file of it is in memory at a time (layout: contract section 11)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import IO, Any

import ijson

from diffgram_flows.datasets.completeness import IMAGE, ExportRecord
from diffgram_flows.datasets.instances import read_instances
from diffgram_flows.errors import IncompleteExport


class ExportReader:
    """The wanted files of an export, in its own order; iterate it once, to the end.

    Numeric keys are files. The server sorts keys as texts, so what describes the files comes after them.

    Args:
        stream: The JSON.
        wanted: Ids of the files that are of interest.

    Attributes:
        label_map: Label file id to name, as the export says; complete at the end.
        attribute_groups: The export's attribute groups with their options; complete at the end.
        unwanted: How many other files were passed over.
        left_out: How many instances these have.
    """

    def __init__(self, stream: IO[bytes], wanted: Collection[int]) -> None:
        self._stream = stream
        self._wanted = wanted
        self.label_map: dict[int, str] = {}
        self.attribute_groups: tuple[dict[str, Any], ...] = ()
        self.unwanted = 0
        self.left_out = 0

    def __iter__(self) -> Iterator[ExportRecord]:
        """The records.

        Raises:
            IncompleteExport: The JSON is cut short, malformed, or of another layout.
        """
        read, described, broken = 0, False, ""
        entries = self._entries()
        while True:
            key = ""
            try:
                key, value = next(entries, ("", None))
                if not key:
                    break
                record = self._record(key, value)
                described = described or key == "label_map"
            except (ijson.JSONError, UnicodeDecodeError):
                broken = f"its JSON ends or breaks after {read} of {len(self._wanted)} finished files"
            except (AttributeError, KeyError, TypeError, ValueError):
                broken = f"its entry {key!r} is not as recorded"
            if broken:
                break
            if record is not None:
                read += 1
                yield record
        if not broken and not described:
            broken = "it has no label map"
        if broken:
            # The parser's own errors are not passed on: they quote the text around, which is full of signed URLs.
            raise IncompleteExport(
                f"The export cannot be used: {broken}.",
                cure="Start it again; the download was interrupted or the server stopped while writing it.",
            )

    def _entries(self) -> Iterator[tuple[str, Any]]:
        return iter(ijson.kvitems(self._stream, "", use_float=True))

    def _record(self, key: str, value: Any) -> ExportRecord | None:
        """What one entry says: a wanted file, or something that is kept here."""
        if key.isdecimal():
            if int(key) in self._wanted:
                return _record(int(key), value)
            self.unwanted += 1
            self.left_out += len(value.get("instance_list") or ())
        elif key == "label_map":
            self.label_map = {int(label_file_id): str(name) for label_file_id, name in value.items()}
        elif key == "attribute_groups_reference":
            self.attribute_groups = tuple(_group(group) for group in value or ())
        return None


def _record(file_id: int, entry: Mapping[str, Any]) -> ExportRecord:
    file, image = entry.get("file") or {}, entry.get("image") or {}
    return ExportRecord(
        file_id,
        file_name=str(file.get("original_filename") or image.get("original_filename") or file_id),
        kind=str(file.get("type") or IMAGE),
        width=int(image.get("width") or 0),
        height=int(image.get("height") or 0),
        rotation=int(image.get("rotation_degrees") or 0),
        drawing=read_instances(entry.get("instance_list") or ()),
    )


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    """What is worth keeping of an attribute group: what it asks, and the answers to choose from."""
    options = group.get("attribute_template_list") or ()
    return {
        "id": int(group["id"]),
        "name": str(group.get("name") or ""),
        "prompt": str(group.get("prompt") or ""),
        "kind": str(group.get("kind") or ""),
        "options": [
            {"id": int(option["id"]), "name": str(option.get("name") or "")}
            for option in options
            if not option.get("archived")
        ],
    }
