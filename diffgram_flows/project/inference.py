"""What a brain sees in one image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diffgram_flows.diffgram import MachineMark
from diffgram_flows.diffgram.shapes import Shape, instance_from
from diffgram_flows.models import Annotation, AnnotationType, Box, LabelMap, Point, Prediction


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing in an image, or a tag of the whole image.

    Attributes:
        label: The name of its label.
        score: The brain's confidence in [0, 1].
        annotation: Where and what it is, in pixels of the upright image, with the id of its label file.
    """

    label: str
    score: float
    annotation: Annotation

    @property
    def type(self) -> AnnotationType:
        """``box``, ``polygon`` or ``tag``."""
        return self.annotation.type

    @property
    def points(self) -> tuple[Point, ...]:
        """Two corners of a box, the outline of a polygon, nothing for a tag."""
        return self.annotation.points

    @property
    def box(self) -> Box | None:
        """The box, or the rectangle around a polygon; ``None`` for a tag, which is about the whole image."""
        return self.annotation.box


@dataclass(frozen=True, slots=True)
class Inference:
    """What a brain sees in one image.

    Attributes:
        brain: Which version looked, such as ``cars@3``.
        method: How it had learned, such as ``object_detection``.
        width, height: Pixels of the upright image.
        instances: Boxes, polygons and tags, best first.
        error: Why there is no answer; empty if there is one. Only :func:`predict_many` gives such, the methods of a
            brain raise.
    """

    brain: str
    method: str
    width: int
    height: int
    instances: tuple[Instance, ...]
    error: str = ""

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.instances)

    def __len__(self) -> int:
        return len(self.instances)

    @property
    def annotations(self) -> tuple[Annotation, ...]:
        """What it sees without the names, best first; boxes are among them."""
        return tuple(instance.annotation for instance in self.instances)

    def as_instances(self) -> list[Shape]:
        """The same as instances for Diffgram, marked as drawn by this version of the brain.

        They can be given to ``project.file.update`` and to every import.
        """
        name, _, _ = self.brain.partition("@")
        mark = MachineMark(name, self.brain)
        return [instance_from(annotation, machine=mark) for annotation in self.annotations]


def inference_of(prediction: Prediction, *, brain: str, method: str, label_map: LabelMap) -> Inference:
    """A prediction with the names of its labels."""
    names = label_map.name_of()
    seen = (*map(Annotation.of_box, prediction.boxes), *prediction.annotations)
    instances = [Instance(names[one.label_file_id], 1.0 if one.score is None else one.score, one) for one in seen]
    instances.sort(key=lambda instance: -instance.score)
    return Inference(brain, method, prediction.width, prediction.height, tuple(instances), prediction.error)
