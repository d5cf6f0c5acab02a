"""The JSON of an export, read as a stream: one file of it is in memory at a time (layout: contract section 11)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import IO, Any

import ijson

from diffgram_flows.datasets.completeness import IMAGE, ExportRecord
from diffgram_flows.datasets.instances import read_instances
from diffgram_flows.errors import IncompleteExport


def read_export(stream: IO[bytes], wanted: Collection[int]) -> tuple[tuple[ExportRecord, ...], dict[int, str]]:
    """The wanted files of an export, in order of id, and its label map (label file id to name).

    Numeric keys are files; of the others only ``label_map`` matters here.

    Raises:
        IncompleteExport: The JSON is cut short, malformed, or of another layout.
    """
    records: dict[int, ExportRecord] = {}
    label_map: dict[int, str] | None = None
    key = broken = ""
    try:
        for key, value in ijson.kvitems(stream, "", use_float=True):
            if key.isdecimal():
                if int(key) in wanted:
                    records[int(key)] = _record(int(key), value)
            elif key == "label_map":
                label_map = {int(label_file_id): str(name) for label_file_id, name in value.items()}
    except (ijson.JSONError, UnicodeDecodeError):
        broken = f"its JSON ends or breaks after {len(records)} of {len(wanted)} finished files"
    except (AttributeError, TypeError, ValueError):
        broken = f"its entry {key!r} is not as recorded"
    if not broken and label_map is None:
        broken = "it has no label map"
    if broken or label_map is None:
        # The parser's own errors are not passed on: they quote the text around them, which is full of signed URLs.
        raise IncompleteExport(
            f"The export cannot be used: {broken}.",
            cure="Start it again; the download was interrupted or the server stopped while writing it.",
        )
    return tuple(records[file_id] for file_id in sorted(records)), label_map


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
