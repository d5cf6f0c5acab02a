"""Whether an export holds everything it must hold.

The server calls an export complete even when files of it failed, and an interrupted download looks like a small
export. Nothing is made of an export before it has passed here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from diffgram_flows.datasets.instances import Drawing
from diffgram_flows.errors import IncompleteExport, LabelMapChanged

IMAGE = "image"
PICTURES = frozenset({IMAGE, "frame"})  # what has one picture; a frame was cut from a video
_NAMED = 10


@dataclass(frozen=True, slots=True)
class ExportRecord:
    """One file of an export.

    Attributes:
        kind: Diffgram's type of the file: ``image``, ``frame``, ``video``, ``text``, ...
        width, height: Pixels as Diffgram says, 0 where it does not.
        rotation: Degrees by which somebody turned the image in Diffgram.
        drawing: Its annotations, not yet cut to the image.
    """

    file_id: int
    file_name: str
    kind: str
    width: int
    height: int
    rotation: int
    drawing: Drawing

    def __str__(self) -> str:
        return f"{self.file_name} (id {self.file_id})"


def check_complete(
    expected: Collection[int],
    records: Iterable[ExportRecord],
    label_map: Mapping[int, str],
    known_labels: Mapping[int, str],
) -> None:
    """Refuse an export that lacks something.

    Args:
        expected: Ids of the files that must be in it.
        records: What is in it.
        label_map: The export's own label map: label file id to name.
        known_labels: The labels of the schema: label file id to name.

    Raises:
        IncompleteExport: Files are missing, or images have no size.
        LabelMapChanged: A box has a label that is not in the schema.
    """
    found = {record.file_id: record for record in records}
    missing = sorted(set(expected) - found.keys())
    if missing:
        raise IncompleteExport(
            f"The export lacks {len(missing)} of {len(expected)} finished files: {_some(map(str, missing))}.",
            cure="Start it again: the server calls an export complete even when files of it failed. "
            "If the same files are missing again, open them in Diffgram.",
        )
    sizeless = [str(r) for r in found.values() if r.kind in PICTURES and (r.width <= 0 or r.height <= 0)]
    if sizeless:
        raise IncompleteExport(
            f"The export gives no size in pixels for {len(sizeless)} images: {_some(sizeless)}.",
            cure="Retry the import of these files: Diffgram has not finished processing them.",
        )
    for record in found.values():
        for annotation in record.drawing.annotations:
            if annotation.label_file_id not in known_labels:
                name = label_map.get(annotation.label_file_id, "unknown")
                raise LabelMapChanged(
                    f"The file {record} has a {annotation.type} of label {name!r} (id {annotation.label_file_id}), "
                    "which is not in the label schema.",
                    cure=f"Give the {annotation.type} a label of the schema, or put the label back.",
                )


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_NAMED]) + (", ..." if len(every) > _NAMED else "")
