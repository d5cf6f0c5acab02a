"""Boxes as brains of Diffgram's earlier SDK find them: they predict, and cannot be trained."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from diffgram_flows.brains.methods.object_detection import ObjectDetection
from diffgram_flows.brains.methods.protocol import Trained
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Progress, Snapshot


class LegacyDetection(ObjectDetection):
    """What :func:`~diffgram_flows.brains.legacy.convert_legacy` has made of a frozen graph."""

    name: ClassVar[str] = "legacy_detection"
    part: ClassVar[str] = "legacy"

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
        raise ConfigurationError(
            "A brain of the earlier SDK is a frozen graph and cannot be trained.",
            cure=f"Train one with the method {ObjectDetection.name}; both can be compared on the same images.",
        )
