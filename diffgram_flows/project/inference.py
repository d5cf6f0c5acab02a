"""What a brain sees in one image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from diffgram_flows.diffgram import MachineMark, instance_from_box
from diffgram_flows.diffgram.shapes import Shape
from diffgram_flows.models import Box, LabelMap, Prediction


@dataclass(frozen=True, slots=True)
class Instance:
    """One thing in an image.

    Attributes:
        label: The name of its label.
        score: The brain's confidence in [0, 1].
        box: Where it is, in pixels of the upright image, with the id of its label file.
    """

    label: str
    score: float
    box: Box


@dataclass(frozen=True, slots=True)
class Inference:
    """What a brain sees in one image.

    Attributes:
        brain: Which version looked, such as ``cars@3``.
        method: How it had learned, such as ``object_detection``.
        width, height: Pixels of the upright image.
        instances: Best first.
    """

    brain: str
    method: str
    width: int
    height: int
    instances: tuple[Instance, ...]

    def __iter__(self) -> Iterator[Instance]:
        return iter(self.instances)

    def __len__(self) -> int:
        return len(self.instances)

    def as_instances(self) -> list[Shape]:
        """The same as instances for Diffgram, marked as drawn by this version of the brain.

        They can be given to ``project.file.update`` and to every import.
        """
        name, _, _ = self.brain.partition("@")
        mark = MachineMark(name, self.brain)
        return [instance_from_box(instance.box, machine=mark) for instance in self.instances]


def inference_of(prediction: Prediction, *, brain: str, method: str, label_map: LabelMap) -> Inference:
    """A prediction with the names of its labels."""
    names = label_map.name_of()
    instances = tuple(
        Instance(names[box.label_file_id], 1.0 if box.score is None else box.score, box) for box in prediction.boxes
    )
    return Inference(brain, method, prediction.width, prediction.height, instances)
