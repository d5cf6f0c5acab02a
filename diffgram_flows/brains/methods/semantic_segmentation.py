"""Polygons around what every pixel belongs to, learned with TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from diffgram_flows.brains.evaluation import Evaluation, evaluate_segmentation
from diffgram_flows.brains.methods.in_tensorflow import InTensorflow
from diffgram_flows.brains.thresholds import best_threshold
from diffgram_flows.models import LabelMap, Prediction, Sample


class SemanticSegmentation(InTensorflow):
    """Paints every pixel with the classes it belongs to, and draws polygons around what it painted."""

    name: ClassVar[str] = "semantic_segmentation"
    finds: ClassVar[str] = "areas"
    part: ClassVar[str] = "segmenter"
    instance_types: ClassVar[frozenset[str]] = frozenset({"polygon"})

    def evaluate(self, samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap) -> Evaluation:
        return evaluate_segmentation(samples, predictions, label_map)

    def best_threshold(self, samples: Sequence[Sample], predictions: Iterable[Prediction]) -> float:
        # A polygon is to be drawn, corrected or deleted as a box is; how well it fits, its rectangle tells.
        drawn = [
            replace(sample, annotations=tuple(found for found in sample.annotations if found.type == "polygon"))
            for sample in samples
        ]
        seen = (
            replace(found, boxes=tuple(polygon.box for polygon in found.annotations if polygon.box is not None))
            for found in predictions
        )
        return best_threshold(drawn, seen)
