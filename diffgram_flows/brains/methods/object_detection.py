"""Boxes around objects, learned with TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import ClassVar

from diffgram_flows.brains.evaluation import Evaluation, evaluate
from diffgram_flows.brains.methods.protocol import Model, Trained
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.thresholds import best_threshold
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import LabelMap, Prediction, Progress, Sample, Snapshot


class ObjectDetection:
    """The anchor-free detector of :mod:`diffgram_flows.brains.tensorflow`."""

    name: ClassVar[str] = "object_detection"
    instance_types: ClassVar[frozenset[str]] = frozenset({"box"})

    def train(
        self,
        snapshot: Snapshot,
        folder: Path,
        options: TrainingOptions,
        *,
        parent: BrainRecord | None,
        progress: Progress,
        checkpoints: Path | None = None,
    ) -> Trained:
        trained: Trained = _detector().train_detector(snapshot, folder, options, parent, progress, checkpoints)
        return trained

    def load(self, record: BrainRecord) -> Model:
        model: Model = _detector().load_detector(record)
        return model

    def evaluate(self, samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap) -> Evaluation:
        return evaluate(samples, predictions, label_map)

    def best_threshold(self, samples: Sequence[Sample], predictions: Iterable[Prediction]) -> float:
        return best_threshold(samples, predictions)


def _detector() -> ModuleType:
    """The TensorFlow part, imported when it is needed: five seconds and 600 MB."""
    try:
        from diffgram_flows.brains.tensorflow import detector
    except ModuleNotFoundError as error:
        if error.name not in ("tensorflow", "keras"):
            raise
        raise ConfigurationError(
            f"The package {error.name} is not installed.",
            cure="Install diffgram-flows with the extra tensorflow, or tensorflow-cpu where there is no GPU.",
        ) from error
    return detector
