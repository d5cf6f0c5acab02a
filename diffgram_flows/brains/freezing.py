"""Brains for programs of TensorFlow 1, such as the local half of Diffgram's official SDK."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from diffgram_flows.brains.methods import find_method
from diffgram_flows.brains.methods.in_tensorflow import module
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.errors import ConfigurationError

_LEGACY_GRAPH, _LEGACY_LABELS = "frozen_inference_graph.pb", "label_dict.json"


def freeze(record: BrainRecord, path: Path) -> None:
    """Write a detector as one frozen graph that takes encoded images.

    Inputs and outputs are called as in TensorFlow's object detection: ``encoded_image_string_tensor``,
    ``detection_boxes`` (y_min, x_min, y_max, x_max in [0, 1]), ``detection_scores``, ``detection_classes`` (from 1, in
    order of the label map), ``num_detections``.

    Args:
        record: The brain.
        path: The file.

    Raises:
        ConfigurationError: It does not find boxes, or TensorFlow is not installed.
        BrainTampered: A file of it was changed.
    """
    record.verify()
    if _LEGACY_GRAPH in record.manifest.files:
        shutil.copyfile(record.folder / _LEGACY_GRAPH, path)
    elif find_method(record.manifest.method).finds == "boxes":
        module("frozen").freeze(record, path)
    else:
        raise ConfigurationError(
            f"The brain {record.ref} learned {record.manifest.method}, which has no frozen graph of boxes.",
            cure="Ask the service for its predictions.",
        )


def class_numbers(record: BrainRecord) -> dict[str, int]:
    """The number that each label has in the graph of :func:`freeze`, by label file id: the SDK's ``label_dict``."""
    if _LEGACY_LABELS in record.manifest.files:
        return {
            str(file_id): int(number)
            for file_id, number in json.loads((record.folder / _LEGACY_LABELS).read_bytes()).items()
        }
    return {str(file_id): number for number, (file_id, _) in enumerate(record.manifest.label_map.labels, 1)}
