"""Boxes around objects, found by keras-hub's RetinaNet."""

from __future__ import annotations

from typing import ClassVar

from diffgram_flows.brains.methods.in_tensorflow import module
from diffgram_flows.brains.methods.object_detection import ObjectDetection
from diffgram_flows.brains.methods.protocol import Model
from diffgram_flows.brains.records import BrainRecord


class RetinaNet(ObjectDetection):
    """A larger network than that of :class:`ObjectDetection`, for presets with pretrained weights."""

    name: ClassVar[str] = "retinanet"
    part: ClassVar[str] = "retinanet"
    learning_rate: ClassVar[float] = 1e-3  # with four times as much it does not learn at all

    def load(self, record: BrainRecord) -> Model:
        # The saved program is all that predicting needs; keras-hub is for training.
        model: Model = module("detector").load(record)
        return model
