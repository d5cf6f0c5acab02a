"""Training and loading of a detector: what the room's parts do together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from diffgram_flows.brains.evaluation import evaluate, sample_key
from diffgram_flows.brains.methods.protocol import Trained
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.augmentation import augment
from diffgram_flows.brains.tensorflow.batches import Batches, balancing_weights
from diffgram_flows.brains.tensorflow.decoding import detect
from diffgram_flows.brains.tensorflow.fitting import fit
from diffgram_flows.brains.tensorflow.grid import make_grid
from diffgram_flows.brains.tensorflow.inference import Detector
from diffgram_flows.brains.tensorflow.judging import make_judge
from diffgram_flows.brains.tensorflow.loading import load_network, load_program
from diffgram_flows.brains.tensorflow.loss import DetectionObjective
from diffgram_flows.brains.tensorflow.machines import build, for_any_machine
from diffgram_flows.brains.tensorflow.network import build_network
from diffgram_flows.brains.tensorflow.samples import decode_for_training
from diffgram_flows.brains.tensorflow.saving import save
from diffgram_flows.brains.tensorflow.targets import truth
from diffgram_flows.brains.tensorflow.warm_start import copy_weights
from diffgram_flows.models import Box, LabelMap, Prediction, Progress, Sample, Snapshot

# Looking at more of the validation images after each interval would cost a good part of a short training.
_WATCHED = 48


def train_detector(
    snapshot: Snapshot,
    folder: Path,
    options: TrainingOptions,
    parent: BrainRecord | None,
    progress: Progress,
    checkpoints: Path | None,
) -> Trained:
    """Train on a snapshot and write the brain's files into ``folder``.

    Raises:
        NotEnoughData: None of the training images can be decoded.
        BrainTampered: The parent's network cannot be loaded safely.
    """
    grid, label_map = make_grid(options.image_size), snapshot.label_map

    def layers() -> Any:
        return build_network(len(label_map.labels), options)

    def answer(outputs: Any) -> dict[str, Any]:
        return detect(grid, outputs)

    network = build(options, layers)
    if parent is not None:
        copy_weights(load_network(parent.folder), network)
    objective = DetectionObjective(grid)
    with kept(checkpoints) as cache:
        train, validation = decode_for_training(snapshot, grid.size, cache)
        boxes, classes = truth(train.samples, label_map, grid.size)
        weights = balancing_weights([row[row >= 0].tolist() for row in classes], options.balance)
        data = Batches(train.images, (boxes, classes), options, augment=augment, weights=weights)
        watched = validation.samples if options.patience else validation.samples[:_WATCHED]
        judge = make_judge(
            validation.images[: len(watched)],
            truth(watched, label_map, grid.size),
            objective,
            answer=answer,
            scores=_scores(watched, label_map),
            batch_size=options.batch_size,
        )
        history = fit(network, objective, data, options, judge=judge, checkpoints=checkpoints, progress=progress)
    save(for_any_machine(network, layers), grid.size, answer, folder)
    return Trained(history, train.skipped + validation.skipped)


@contextmanager
def kept(checkpoints: Path | None) -> Iterator[Path]:
    """The folder for decoded images: that of the checkpoints, or one that is gone afterwards."""
    if checkpoints is not None:
        yield checkpoints
        return
    with tempfile.TemporaryDirectory(prefix="diffgram-flows-") as scratch:
        yield Path(scratch)


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


def load_detector(record: BrainRecord) -> Detector:
    """Load a brain for prediction.

    Raises:
        BrainTampered: Its graph holds a forbidden operation.
    """
    module, function = load_program(record.folder)
    return Detector(module, function, size=record.manifest.options.image_size, label_map=record.manifest.label_map)
