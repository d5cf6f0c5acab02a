"""What writers and readers of annotation formats have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from diffgram_flows.datasets.instances import Drawing, fitted
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Annotation, AnnotationType, Box, LabelMap, Sample, Split

ImagePolicy: TypeAlias = Literal["copy", "link", "none"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
MAX_FILE = 4 * 1024**3  # bytes of one file of annotations that a reader takes into memory
ALL_TYPES: frozenset[AnnotationType] = frozenset({"box", "polygon", "line", "point", "tag"})


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a format is written.

    Attributes:
        images: ``copy`` them beside the annotations, ``link`` them (hard links: no room, but the same file as in the
            image cache, so nobody may change it), ``none``; by default what the format wants.
        shards: Into how many files each split of TFRecord goes.
        masks: Whether TFRecord holds a mask of every object.
    """

    images: ImagePolicy | None = None
    shards: int = 4
    masks: bool = False


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What was written, and what the format could not hold.

    Attributes:
        written: Annotations by type.
        changed: What is there in another form: how to count.
        left_out: What is not there: what to count.
    """

    images: int
    written: Mapping[str, int]
    changed: Mapping[str, int]
    left_out: Mapping[str, int]


@dataclass(slots=True)
class Tally:
    """The numbers of a :class:`WriteReport`, while it grows."""

    images: int = 0
    written: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def report(self) -> WriteReport:
        return WriteReport(
            self.images, *(dict(sorted((+c).items())) for c in (self.written, self.changed, self.left_out))
        )

    def held(self, sample: Sample, holds: Collection[AnnotationType], *, attributes: bool = False) -> list[Annotation]:
        """What of a sample a format can hold; a polygon is held as the box around it where boxes alone can be.

        Args:
            sample: Counted as one image.
            holds: The types that the format can hold.
            attributes: Whether it can hold attributes.
        """
        self.images += 1
        found = []
        for annotation in sample.annotations:
            kept: Annotation | None = annotation if annotation.type in holds else None
            if kept is None and annotation.box is not None and "box" in holds:
                self.changed["polygons as the boxes around them"] += 1
                kept = Annotation.of_box(annotation.box)
            if kept is None:
                self.left_out[f"{annotation.type}s"] += 1
                continue
            if annotation.attributes and not attributes:
                self.left_out["attributes"] += len(annotation.attributes)
            self.written[kept.type] += 1
            found.append(kept)
        return found


@dataclass(frozen=True, slots=True)
class ForeignImage:
    """One image as another tool describes it.

    Attributes:
        id: The other tool's id, or a number in order of the files.
        width, height: Pixels.
        annotations: In pixels inside the image; their label ids are the other tool's.
        split: Where the other tool says it.
        path: Where the image lies, if it lies beside the annotations.
        uri, sha256: If the format holds them.
    """

    id: int
    file_name: str
    width: int
    height: int
    annotations: tuple[Annotation, ...] = ()
    split: Split | None = None
    path: Path | None = None
    uri: str = ""
    sha256: str = ""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Its boxes, and the rectangles around its polygons."""
        return tuple(box for annotation in self.annotations if (box := annotation.box) is not None)


@dataclass(frozen=True, slots=True)
class ForeignAnnotations:
    """All that files of another tool hold.

    Attributes:
        images: In order of id.
        labels: Label id to name.
        clipped: How many annotations were cut at the edge of their image.
        skipped: What is not among the annotations: reason to count.
    """

    images: tuple[ForeignImage, ...]
    labels: Mapping[int, str]
    clipped: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Format:
    """A writer and a reader.

    Attributes:
        write: Samples, read once and as a stream, to files in an empty folder.
        read: A file or a folder of it to images with annotations.
        images: What becomes of the images by default.
    """

    write: Callable[[Iterable[Sample], LabelMap, Path, WriteOptions], WriteReport]
    read: Callable[[Path], ForeignAnnotations]
    images: ImagePolicy = "none"


@dataclass(slots=True)
class Fitter:
    """Cuts what readers find to its image, and counts."""

    clipped: int = 0
    skipped: Counter[str] = field(default_factory=Counter)

    def fit(self, annotations: Iterable[Annotation], width: int, height: int) -> tuple[Annotation, ...]:
        """What lies inside the image, in order, each thing once."""
        known: dict[Annotation, None] = {}
        for annotation in annotations:
            if annotation in known:
                self.skipped["drawn twice"] += 1
            known[annotation] = None
        inside = fitted(Drawing(tuple(sorted(known, key=_order)), {}), width, height)
        self.clipped += inside.clipped
        self.skipped.update(inside.skipped)
        return inside.annotations

    def result(self, images: Iterable[ForeignImage], labels: Mapping[int, str]) -> ForeignAnnotations:
        in_order = tuple(sorted(images, key=lambda image: image.id))
        return ForeignAnnotations(in_order, dict(labels), self.clipped, dict(sorted(self.skipped.items())))


def box_of(label: int, left: float, top: float, right: float, bottom: float) -> Annotation | None:
    """A box of corners that may be fractions; ``None`` if no area is left of it.

    Raises:
        TypeError, ValueError, OverflowError: A corner is no finite number.
    """
    x_min, y_min, x_max, y_max = (whole(value) for value in (left, top, right, bottom))
    return Annotation("box", label, ((x_min, y_min), (x_max, y_max))) if x_min < x_max and y_min < y_max else None


def whole(value: Any) -> int:
    """The nearest whole pixel.

    Raises:
        TypeError, ValueError, OverflowError: It is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    return round(value)


def read_bytes(path: Path, *, limit: int = MAX_FILE) -> bytes:
    """The content of a file of annotations.

    Raises:
        DatasetError: It cannot be read, or is too large.
    """
    try:
        if path.stat().st_size > limit:
            raise DatasetError(f"{path} is larger than {limit:,} bytes.", cure="Split it into several files.")
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"{path} cannot be read: {error.strerror or type(error).__name__}.", cure="Check the path."
        ) from error


def sorted_files(folder: Path, *patterns: str) -> Iterator[Path]:
    """The files of a folder that match any of the patterns, each once, in order of their paths."""
    yield from sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _order(annotation: Annotation) -> tuple[Any, ...]:
    return annotation.type, annotation.label_file_id, annotation.points, annotation.attributes
