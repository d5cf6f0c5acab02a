"""Training and loading of a brain that says what an image shows as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation import evaluate_classification, sample_key
from diffgram_flows.brains.methods.protocol import Answer
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tags import TagClass, tag_classes, tag_truth, tags_of
from diffgram_flows.brains.tensorflow.augmentation import augment_whole
from diffgram_flows.brains.tensorflow.classification import ClassificationObjective, build_classifier, tag_scores
from diffgram_flows.brains.tensorflow.lesson import Lesson
from diffgram_flows.brains.tensorflow.loading import load_program
from diffgram_flows.errors import BrainTampered
from diffgram_flows.models import LabelMap, Prediction, Sample, Snapshot

CLASSES_FILE = "classes.json"


def lesson(snapshot: Snapshot, options: TrainingOptions, parent: BrainRecord | None) -> Lesson:
    """How a classifier of the snapshot's tags is trained.

    Raises:
        BrainTampered: The parent's classes cannot be read.
    """
    known = read_classes(parent.folder) if parent else ()
    classes = tag_classes(snapshot.split("train"), snapshot.label_map, known)

    def truth(samples: Sequence[Sample]) -> tuple[Any, ...]:
        return (tag_truth(samples, classes),)

    return Lesson(
        layers=lambda: build_classifier(len(classes), options),
        objective=ClassificationObjective(),
        truth=truth,
        augment=augment_whole,
        answer=tag_scores,
        scores=lambda samples: _scores(samples, classes, snapshot.label_map),
        classes=lambda samples: [np.flatnonzero(row > 0).tolist() for row in tag_truth(samples, classes)],
        files={CLASSES_FILE: json.dumps(classes, ensure_ascii=False).encode() + b"\n"},
    )


def read_classes(folder: Path) -> tuple[TagClass, ...]:
    """The classes of a brain.

    Raises:
        BrainTampered: They cannot be read.
    """
    path = folder / CLASSES_FILE
    try:
        return tuple(
            TagClass(int(label), int(group), str(value)) for label, group, value in json.loads(path.read_bytes())
        )
    except (OSError, ValueError, TypeError) as error:
        raise BrainTampered(
            f"The classes {path} cannot be read ({error}).", cure="Restore it from a backup, or train from scratch."
        ) from error


def _scores(
    samples: Sequence[Sample], classes: Sequence[TagClass], label_map: LabelMap
) -> Callable[[Sequence[Any]], dict[str, float]]:
    """From the answers to all batches to scores."""

    def scores(answers: Sequence[Any]) -> dict[str, float]:
        rows = np.concatenate([answer["scores"].numpy() for answer in answers])
        predictions = [
            Prediction(sample_key(sample), sample.width, sample.height, (), tags_of(row.tolist(), classes, 0.0))
            for sample, row in zip(samples, rows, strict=True)
        ]
        evaluation = evaluate_classification(samples, predictions, label_map)
        return dict(evaluation.scores) if evaluation.truths else {}

    return scores


class Classifier:
    """A loaded classifier.

    Args:
        module: The loaded program, kept alive for its function.
        function: Its signature.
        size: Side of the square that it wants.
        classes: What its scores are about.
    """

    tileable = False

    def __init__(self, module: Any, function: Any, *, size: int, classes: Sequence[TagClass]) -> None:
        self._module = module
        self._function = function
        self.size: int | None = size
        self._classes = classes

    def answer(
        self, images: NDArray[np.uint8], sizes: Sequence[tuple[int, int]], score_threshold: float
    ) -> list[Answer]:
        """The tags of each image, best first."""
        rows = self._function(images=tf.constant(images))["scores"].numpy()
        return [Answer(annotations=tags_of(row.tolist(), self._classes, score_threshold)) for row in rows]


def load(record: BrainRecord) -> Classifier:
    """Load a brain for prediction.

    Raises:
        BrainTampered: Its graph holds a forbidden operation, or its classes cannot be read.
    """
    module, function = load_program(record.folder)
    size = record.manifest.options.image_size
    return Classifier(module, function, size=size, classes=read_classes(record.folder))
