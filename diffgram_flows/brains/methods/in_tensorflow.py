"""What all methods that learn with TensorFlow share: it is imported when it is needed, in five seconds and 600 MB."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from diffgram_flows.brains.methods.protocol import Model, Trained
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Progress, Snapshot

_TENSORFLOW = "Install diffgram-flows with the extra tensorflow, or tensorflow-cpu where there is no GPU."
_CURES = {
    "tensorflow": _TENSORFLOW,
    "keras": _TENSORFLOW,
    "keras_hub": "Install diffgram-flows with the extras tensorflow and keras-hub.",
}


class InTensorflow:
    """The half of a method that trains and loads.

    Attributes:
        part: The module of :mod:`diffgram_flows.brains.tensorflow` that has its ``lesson`` and ``load``.
    """

    part: ClassVar[str]
    learning_rate: ClassVar[float] = TrainingOptions().learning_rate

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
        lesson = module(self.part).lesson(snapshot, options, parent)
        how: dict[str, Any] = {"parent": parent, "progress": progress, "checkpoints": checkpoints}
        trained: Trained = module("lesson").learn(lesson, snapshot, folder, options, **how)
        return trained

    def load(self, record: BrainRecord) -> Model:
        model: Model = module(self.part).load(record)
        return model


def module(part: str) -> ModuleType:
    """A module of :mod:`diffgram_flows.brains.tensorflow`.

    Raises:
        ConfigurationError: TensorFlow, or what the method needs beside it, is not installed.
    """
    try:
        return importlib.import_module(f"diffgram_flows.brains.tensorflow.{part}")
    except ModuleNotFoundError as error:
        if error.name not in _CURES:
            raise
        raise ConfigurationError(f"The package {error.name} is not installed.", cure=_CURES[error.name]) from error
