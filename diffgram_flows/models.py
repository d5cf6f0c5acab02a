"""Value types that travel between rooms. They hold facts and know nothing of HTTP, SQL or TensorFlow."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

from diffgram_flows.names import Attribute, distinct

Split = Literal["train", "val", "test"]


class Progress(Protocol):
    """Told how far a piece of work has come; a bar in a terminal, an artifact in Prefect, or nothing."""

    def __call__(self, done: int, total: int, note: str = "") -> None: ...


def no_progress(done: int, total: int, note: str = "") -> None:
    """The progress of work that nobody watches."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One thing in a bucket.

    Attributes:
        bucket: Root URI without a trailing slash: ``s3://photos``, ``gs://photos``, ``file:///data/photos``.
        key: The key below the root, byte for byte as the store names it (not URL-encoded).
        size: Bytes.
        version: What changes when the content changes: S3 version id or ETag, GCS generation, file mtime and size.
        modified: Time of the last change, in UTC, if the store tells it.
        storage_class: As the store calls it, empty where it does not tell; only a listing knows it.
    """

    bucket: str
    key: str
    size: int
    version: str
    modified: datetime | None = None
    storage_class: str = field(default="", compare=False)

    @property
    def uri(self) -> str:
        return f"{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A signed URL with the time (UTC) until which it is certainly valid. The URL is a secret and is not printed."""

    url: str = field(repr=False)
    expires_at: datetime
    uri: str


@dataclass(frozen=True, slots=True)
class Box:
    """A labelled rectangle in pixels of the upright image, ``x_min < x_max`` and ``y_min < y_max``.

    Attributes:
        label_file_id: Diffgram's id of the label *file* (what instances refer to).
        score: Confidence in [0, 1] of a machine, ``None`` for a person.
    """

    label_file_id: int
    x_min: int
    y_min: int
    x_max: int
    y_max: int
    score: float | None = None

    @property
    def area(self) -> int:
        return max(0, self.x_max - self.x_min) * max(0, self.y_max - self.y_min)

    def iou(self, other: Box) -> float:
        """Intersection over union with another box, labels ignored; 0 for disjoint or empty boxes."""
        width = min(self.x_max, other.x_max) - max(self.x_min, other.x_min)
        height = min(self.y_max, other.y_max) - max(self.y_min, other.y_min)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)

    def clipped(self, width: int, height: int) -> Box | None:
        """The part inside a ``width`` x ``height`` image, or ``None`` where nothing is left."""
        box = replace(
            self,
            x_min=max(0, self.x_min),
            y_min=max(0, self.y_min),
            x_max=min(width, self.x_max),
            y_max=min(height, self.y_max),
        )
        return box if box.x_min < box.x_max and box.y_min < box.y_max else None


AnnotationType = Literal["box", "polygon", "line", "point", "tag"]
Point = tuple[int, int]


class Annotation(NamedTuple):
    """What a person drew on an image or said of it, or what a machine did.

    A tuple, because there are millions of them: it is made in less than half the time of a frozen dataclass.

    Attributes:
        type: As Diffgram calls it.
        label_file_id: Diffgram's id of the label *file*.
        points: (x, y) in pixels of the upright image. A box has its top left and its bottom right corner, a polygon
            its outline, a line its vertices, a point itself, and a tag, which is about the whole image, none.
        attributes: Pairs of attribute group id and what was chosen or written, in order of the group's id.
        score: Confidence in [0, 1] of a machine, ``None`` for a person.
    """

    type: AnnotationType
    label_file_id: int
    points: tuple[Point, ...] = ()
    attributes: tuple[tuple[int, str], ...] = ()
    score: float | None = None

    @classmethod
    def of_box(cls, box: Box) -> Annotation:
        corners = (box.x_min, box.y_min), (box.x_max, box.y_max)
        return cls("box", box.label_file_id, corners, score=box.score)

    @property
    def box(self) -> Box | None:
        """The box itself or the rectangle around a polygon; ``None`` for what has no area."""
        if self.type not in ("box", "polygon") or not self.points:
            return None
        across, down = [x for x, _ in self.points], [y for _, y in self.points]
        box = Box(self.label_file_id, min(across), min(down), max(across), max(down), self.score)
        return box if box.area else None


Seen: TypeAlias = Box | Annotation
"""What a brain sees: a box, or something else, such as a polygon or a tag."""


Place: TypeAlias = tuple[str, int, tuple[Point, ...]]


def place(seen: Seen) -> Place:
    """Type, label and geometry, without score and attributes: what is drawn in the same place is equal."""
    if isinstance(seen, Box):
        return "box", seen.label_file_id, ((seen.x_min, seen.y_min), (seen.x_max, seen.y_max))
    return seen.type, seen.label_file_id, seen.points


@dataclass(frozen=True, slots=True)
class LabelMap:
    """Which class index of a network is which Diffgram label. Append-only: an index never changes its meaning.

    Attributes:
        labels: Pairs of (label file id, name); the position is the class index.
        attributes: What people call the attribute groups of the labels, where that is known. They may rename them, so
            it is no part of what the map is: neither of its digest nor of its equality.
    """

    labels: tuple[tuple[int, str], ...] = ()
    attributes: tuple[Attribute, ...] = field(default=(), compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON form: what snapshots, brains and predictions are compared by."""
        return hashlib.sha256(json.dumps(self.labels, ensure_ascii=False).encode()).hexdigest()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for _, name in self.labels)

    def index_of(self) -> dict[int, int]:
        """Label file id to class index."""
        return {label_file_id: index for index, (label_file_id, _) in enumerate(self.labels)}

    def name_of(self) -> dict[int, str]:
        """Label file id to name."""
        return dict(self.labels)

    def display_names(self) -> dict[int, str]:
        """Label file id to a name that is unique in the map: the server allows two labels of one name."""
        return distinct(self.name_of())

    def attribute(self, group: int) -> Attribute:
        """What people call an attribute group; nameless if that is not known."""
        return next((one for one in self.attributes if one.group == group), Attribute(group))

    def extended(self, found: Mapping[int, str]) -> LabelMap:
        """This map with the labels of ``found`` (label file id to name) that it lacks, appended in order of id."""
        known = self.index_of()
        new = sorted((label_file_id, name) for label_file_id, name in found.items() if label_file_id not in known)
        return replace(self, labels=self.labels + tuple(new))

    def is_prefix_of(self, other: LabelMap) -> bool:
        """Whether every class index here means the same label in ``other`` (names may change, ids may not)."""
        return [i for i, _ in self.labels] == [i for i, _ in other.labels[: len(self.labels)]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One finished image of a snapshot.

    Attributes:
        file_id: Diffgram's file id.
        file_name: The unique name under which it was imported.
        uri: The object it came from, empty for a file that was not imported by us.
        sha256: Of the image's bytes.
        path: Where those bytes lie on this machine.
        width, height: Pixels, upright.
        split: Which part of the data it belongs to, for ever.
        annotations: What people drew or confirmed, clipped to the image.
        modified: When the object was last changed, in seconds since 1970, if its store told.
        group: What it shares with images that are not independent of it, such as the frames of a camera; empty if it
            stands alone.
    """

    file_id: int
    file_name: str
    uri: str
    sha256: str
    path: Path
    width: int
    height: int
    split: Split
    annotations: tuple[Annotation, ...] = ()
    modified: float | None = None
    group: str = ""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Its boxes, and the rectangles around its polygons."""
        return tuple(box for annotation in self.annotations if (box := annotation.box) is not None)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An immutable, content-addressed set of samples with its label map.

    Attributes:
        id: SHA-256 of the content (hex, first 16 characters): the same content gives the same id.
        folder: Where its manifest lies.
        samples: In order of file id. May be read from disk anew each time, so keep what is used twice.
    """

    id: str
    folder: Path
    label_map: LabelMap
    samples: Sequence[Sample]

    def split(self, name: Split) -> tuple[Sample, ...]:
        reading = getattr(self.samples, "split", None)  # from disk: nothing of the other splits is decoded
        return tuple(reading(name) if reading else (sample for sample in self.samples if sample.split == name))


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that a brain is asked about.

    Attributes:
        key: Of the caller's choice; what errors call the image.
        source: The file on this machine, or its bytes.
    """

    key: str
    source: Path | bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a brain saw in one image.

    Attributes:
        key: The caller's key of the picture.
        width, height: Pixels of the upright image.
        boxes: Scored boxes, best first, clipped to the image.
        annotations: What is not a box, best first: polygons of a segmentation, tags of a classification.
        error: Why there is no answer, empty if there is one.
    """

    key: str
    width: int
    height: int
    boxes: tuple[Box, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    error: str = ""

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Its boxes, then everything else."""
        return (*self.boxes, *self.annotations)


@dataclass(frozen=True, slots=True)
class Failure:
    """One object that could not be dealt with, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class BrainRef:
    """A brain version, written ``name@3``."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> BrainRef:
        """Read ``name@3``.

        Raises:
            ValueError: It is not of that form.
        """
        name, _, version = text.rpartition("@")
        if not name or not version.isdigit():
            raise ValueError(f"{text!r} is not of the form name@version")
        return cls(name, int(version))


def unique_by_name(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """The failures with one entry a name, the last reason kept."""
    return tuple({failure.name: failure for failure in failures}.values())
