"""Boxes around objects, learned with TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from diffgram_flows.brains.evaluation import Evaluation, evaluate
from diffgram_flows.brains.methods.in_tensorflow import InTensorflow
from diffgram_flows.brains.thresholds import best_threshold
from diffgram_flows.models import LabelMap, Prediction, Sample


class ObjectDetection(InTensorflow):
    """The anchor-free detector of :mod:`diffgram_flows.brains.tensorflow`."""

    name: ClassVar[str] = "object_detection"
    finds: ClassVar[str] = "boxes"
    part: ClassVar[str] = "detector"
    instance_types: ClassVar[frozenset[str]] = frozenset({"box", "polygon"})

    def evaluate(self, samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap) -> Evaluation:
        return evaluate(samples, predictions, label_map)

    def best_threshold(self, samples: Sequence[Sample], predictions: Iterable[Prediction]) -> float:
        return best_threshold(samples, predictions)
