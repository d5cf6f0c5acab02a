"""Training and loading of a detector: what the room's parts do together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diffgram_flows.brains.evaluation import evaluate, sample_key
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.augmentation import augment
from diffgram_flows.brains.tensorflow.decoding import detect
from diffgram_flows.brains.tensorflow.grid import make_grid
from diffgram_flows.brains.tensorflow.inference import Detector
from diffgram_flows.brains.tensorflow.lesson import Lesson
from diffgram_flows.brains.tensorflow.loading import load_program
from diffgram_flows.brains.tensorflow.loss import DetectionObjective
from diffgram_flows.brains.tensorflow.network import build_network
from diffgram_flows.brains.tensorflow.objective import Objective
from diffgram_flows.brains.tensorflow.targets import truth
from diffgram_flows.brains.tensorflow.warm_start import OWN_CLASS_LAYER, ClassLayer
from diffgram_flows.models import Box, LabelMap, Prediction, Sample, Snapshot


def lesson(snapshot: Snapshot, options: TrainingOptions, parent: BrainRecord | None) -> Lesson:
    """How a detector of the snapshot's labels is trained."""
    return detection_lesson(snapshot.label_map, options)


def detection_lesson(label_map: LabelMap, options: TrainingOptions) -> Lesson:
    """How a detector of these labels is trained."""
    grid = make_grid(options.image_size)
    return boxes_lesson(
        label_map,
        grid.size,
        layers=lambda: build_network(len(label_map.labels), options),
        objective=DetectionObjective(grid),
        answer=lambda outputs: detect(grid, outputs),
    )


def boxes_lesson(
    label_map: LabelMap,
    size: int,
    *,
    layers: Callable[[], Any],
    objective: Objective,
    answer: Callable[[Any], dict[str, Any]],
    class_layer: ClassLayer = OWN_CLASS_LAYER,
) -> Lesson:
    """How a network that finds boxes is trained.

    Args:
        label_map: What it has to find.
        size: Side of the square in pixels.
        layers: As of :class:`Lesson`.
        objective: Compares its outputs with boxes and classes, as of :func:`~.targets.truth`.
        answer: From its outputs to boxes, as of :func:`~.decoding.best_boxes`.
        class_layer: As of :class:`Lesson`.
    """
    index_of = label_map.index_of()
    return Lesson(
        layers=layers,
        objective=objective,
        truth=lambda samples: truth(samples, label_map, size),
        augment=augment,
        answer=answer,
        scores=lambda samples: _scores(samples, label_map),
        classes=lambda samples: [[index_of[box.label_file_id] for box in sample.boxes] for sample in samples],
        class_layer=class_layer,
    )


def _scores(samples: Sequence[Sample], label_map: LabelMap) -> Callable[[Sequence[Any]], dict[str, float]]:
    """From what ``detect`` found in all batches to scores."""
    ids = [label_file_id for label_file_id, _ in label_map.labels]

    def scores(answers: Sequence[Any]) -> dict[str, float]:
        parts = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
        found = [np.concatenate([answer[part].numpy() for answer in answers]) for part in parts]
        predictions = [_prediction(sample, ids, *row) for sample, *row in zip(samples, *found, strict=True)]
        evaluation = evaluate(samples, predictions, label_map)
        return {"mAP50": evaluation.map50, "mAP": evaluation.map} if evaluation.boxes else {}

    return scores


def _prediction(sample: Sample, ids: Sequence[int], boxes: Any, scores: Any, classes: Any, count: Any) -> Prediction:
    corners = np.rint(boxes[:count] * np.array([sample.height, sample.width] * 2)).astype(int).tolist()
    seen = [
        Box(ids[index], x_min, y_min, x_max, y_max, float(score))
        for (y_min, x_min, y_max, x_max), score, index in zip(
            corners, scores[:count], classes[:count].tolist(), strict=True
        )
    ]
    return Prediction(sample_key(sample), sample.width, sample.height, tuple(seen))


def load(record: BrainRecord) -> Detector:
    """Load a brain for prediction.

    Raises:
        BrainTampered: Its graph holds a forbidden operation.
    """
    module, function = load_program(record.folder)
    return Detector(module, function, size=record.manifest.options.image_size, label_map=record.manifest.label_map)
