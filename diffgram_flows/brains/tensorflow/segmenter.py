"""Training and loading of a brain that says what every pixel of an image belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation import evaluate_segmentation, sample_key
from diffgram_flows.brains.methods.protocol import Answer
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.augmentation import augment_masks
from diffgram_flows.brains.tensorflow.lesson import Lesson
from diffgram_flows.brains.tensorflow.loading import load_program
from diffgram_flows.brains.tensorflow.segmentation import (
    SegmentationObjective,
    build_segmenter,
    likelihoods,
    mask_truth,
)
from diffgram_flows.geometry import is_flat
from diffgram_flows.masks import mask_of, polygons_of
from diffgram_flows.models import Annotation, LabelMap, Point, Prediction, Sample, Snapshot

_LIKELIER_THAN_NOT = 128
# Outlines may be off by so many pixels of the square to have fewer points, and smaller parts are noise.
_TOLERANCE = 0.75
_LEAST_AREA = 12.0


def lesson(snapshot: Snapshot, options: TrainingOptions, parent: BrainRecord | None) -> Lesson:
    """How a segmenter of the snapshot's labels is trained."""
    label_map = snapshot.label_map
    index_of = label_map.index_of()

    def truth(samples: Sequence[Sample]) -> tuple[Any, ...]:
        return (mask_truth(samples, label_map, options.image_size),)

    def classes(samples: Sequence[Sample]) -> list[list[int]]:
        return [[index_of[p.label_file_id] for p in s.annotations if p.type == "polygon"] for s in samples]

    return Lesson(
        layers=lambda: build_segmenter(len(label_map.labels), options),
        objective=SegmentationObjective(len(label_map.labels)),
        truth=truth,
        augment=augment_masks,
        answer=likelihoods,
        scores=lambda samples: _scores(samples, label_map),
        classes=classes,
    )


def outlined(
    masks: NDArray[np.uint8], labels: Sequence[int], width: int, height: int, threshold: float
) -> tuple[Annotation, ...]:
    """The polygons around what is likelier than not, best first.

    Args:
        masks: ``[S, S, C]``: likelihoods from 0 to 255.
        labels: Label file id of each class.
        width: Of the image in pixels.
        height: The same.
        threshold: Polygons with a lower mean likelihood, from 0 to 1, are left out.
    """
    side, found = masks.shape[0], []
    for index in np.flatnonzero(masks.max((0, 1)) >= _LIKELIER_THAN_NOT).tolist():
        likely = masks[:, :, index]
        for outline in polygons_of(likely >= _LIKELIER_THAN_NOT, tolerance=_TOLERANCE, least_area=_LEAST_AREA):
            inside = likely[mask_of(outline, side, side)]
            score = float(inside.mean()) / 255 if inside.size else 0.0
            points = _scaled(outline, width / side, height / side)
            if score >= threshold and len(points) > 2 and not is_flat(points):
                found.append(Annotation("polygon", labels[index], points, score=score))
    return tuple(sorted(found, key=lambda polygon: -(polygon.score or 0.0)))


def _scaled(outline: Sequence[Point], across: float, down: float) -> tuple[Point, ...]:
    points = [(round(x * across), round(y * down)) for x, y in outline]
    return tuple(point for point, before in zip(points, (points[-1], *points), strict=False) if point != before)


def _scores(samples: Sequence[Sample], label_map: LabelMap) -> Callable[[Sequence[Any]], dict[str, float]]:
    """From the answers to all batches to scores."""
    labels = [label_file_id for label_file_id, _ in label_map.labels]

    def scores(answers: Sequence[Any]) -> dict[str, float]:
        rows = (masks for answer in answers for masks in answer["masks"].numpy())
        predictions = [
            Prediction(
                sample_key(sample), sample.width, sample.height, (),
                outlined(masks, labels, sample.width, sample.height, 0.0),
            )
            for sample, masks in zip(samples, rows, strict=True)
        ]  # fmt: skip
        evaluation = evaluate_segmentation(samples, predictions, label_map)
        return dict(evaluation.scores) if evaluation.truths else {}

    return scores


class Segmenter:
    """A loaded segmenter.

    Args:
        module: The loaded program, kept alive for its function.
        function: Its signature.
        size: Side of the square that it wants.
        label_map: Which of its classes is which label.
    """

    tileable = False

    def __init__(self, module: Any, function: Any, *, size: int, label_map: LabelMap) -> None:
        self._module = module
        self._function = function
        self.size: int | None = size
        self._labels = [label_file_id for label_file_id, _ in label_map.labels]

    def answer(
        self, images: NDArray[np.uint8], sizes: Sequence[tuple[int, int]], score_threshold: float
    ) -> list[Answer]:
        """The polygons of each image, best first."""
        rows = self._function(images=tf.constant(images))["masks"].numpy()
        return [
            Answer(annotations=outlined(masks, self._labels, width, height, score_threshold))
            for masks, (width, height) in zip(rows, sizes, strict=True)
        ]


def load(record: BrainRecord) -> Segmenter:
    """Load a brain for prediction.

    Raises:
        BrainTampered: Its graph holds a forbidden operation.
    """
    module, function = load_program(record.folder)
    return Segmenter(module, function, size=record.manifest.options.image_size, label_map=record.manifest.label_map)
