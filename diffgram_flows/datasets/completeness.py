"""Whether an export holds everything it must hold.

The server calls an export complete even when files of it failed, and an interrupted download looks like a small
export. Nothing is made of an export before it has passed here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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


class Completeness:
    """Looks at an export record by record, and says at its end what it lacks.

    Args:
        expected: Ids of the files that must be in it.
        names: Gives the names of files by id, as far as they are known: what is missing says nothing of itself.
    """

    def __init__(
        self, expected: Collection[int], names: Callable[[Sequence[int]], Mapping[int, str]] = lambda _: {}
    ) -> None:
        self._expected, self._names = expected, names
        self._seen: set[int] = set()
        self._twice: list[str] = []
        self._sizeless: list[str] = []
        self._labelled: dict[int, tuple[str, str]] = {}

    def look(self, record: ExportRecord) -> None:
        """Take note of a record."""
        if record.file_id in self._seen:
            self._twice.append(str(record))
        self._seen.add(record.file_id)
        if record.kind in PICTURES and (record.width <= 0 or record.height <= 0):
            self._sizeless.append(str(record))
        for annotation in record.drawing.annotations:
            if annotation.label_file_id not in self._labelled:
                self._labelled[annotation.label_file_id] = annotation.type, str(record)

    def count(self, others: int, files: int | None) -> None:
        """Refuse the export if it does not hold as many files as the server says.

        Args:
            others: How many files are in it that nobody wanted and :meth:`look` has not seen.
            files: How many there must be; ``None`` if the server does not say.

        Raises:
            IncompleteExport: There are more, or fewer.
        """
        found = len(self._seen) + len(self._twice) + others
        if files is not None and found != files:
            raise IncompleteExport(
                f"The export holds {found} files, and the server says that it has {files}.",
                cure="Start it again: the server calls an export complete even when files of it failed.",
            )

    def conclude(self, label_map: Mapping[int, str], known_labels: Mapping[int, str]) -> None:
        """Refuse the export if it lacks something.

        Args:
            label_map: The export's own label map: label file id to name.
            known_labels: The labels of the schema: label file id to name.

        Raises:
            IncompleteExport: Files are missing or there twice, or images have no size.
            LabelMapChanged: An annotation has a label that is not in the schema.
        """
        missing = sorted(set(self._expected) - self._seen)
        if missing:
            names = self._names(missing[:_NAMED])
            some = _some(f"{names[each]} (id {each})" if each in names else f"id {each}" for each in missing)
            raise IncompleteExport(
                f"The export lacks {len(missing)} of {len(self._expected)} finished files: {some}.",
                cure="Start it again: the server calls an export complete even when files of it failed. "
                "If the same files are missing again, open them in Diffgram.",
            )
        if self._twice:
            raise IncompleteExport(
                f"The export holds {len(self._twice)} files twice: {_some(self._twice)}.", cure="Start it again."
            )
        if self._sizeless:
            raise IncompleteExport(
                f"The export gives no size in pixels for {len(self._sizeless)} images: {_some(self._sizeless)}.",
                cure="Retry the import of these files: Diffgram has not finished processing them.",
            )
        for label_file_id, (kind, record) in self._labelled.items():
            if label_file_id not in known_labels:
                name = label_map.get(label_file_id, "unknown")
                raise LabelMapChanged(
                    f"The file {record} has a {kind} of label {name!r} (id {label_file_id}), "
                    "which is not in the label schema.",
                    cure=f"Give the {kind} a label of the schema, or put the label back.",
                )


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_NAMED]) + (", ..." if len(every) > _NAMED else "")
