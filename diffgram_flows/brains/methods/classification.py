"""Tags of whole images and their attributes, learned with TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from diffgram_flows.brains.evaluation import Evaluation, evaluate_classification
from diffgram_flows.brains.methods.in_tensorflow import InTensorflow
from diffgram_flows.brains.thresholds import best_tag_threshold
from diffgram_flows.models import LabelMap, Prediction, Sample


class Classification(InTensorflow):
    """Says which tags an image has, and what is chosen in their attributes."""

    name: ClassVar[str] = "classification"
    finds: ClassVar[str] = "tags"
    part: ClassVar[str] = "classifier"
    instance_types: ClassVar[frozenset[str]] = frozenset({"tag"})

    def evaluate(self, samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap) -> Evaluation:
        return evaluate_classification(samples, predictions, label_map)

    def best_threshold(self, samples: Sequence[Sample], predictions: Iterable[Prediction]) -> float:
        return best_tag_threshold(samples, predictions)
