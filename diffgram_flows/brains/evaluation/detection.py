"""How good boxes are: average precision as COCO counts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from diffgram_flows.brains.evaluation.average_precision import weighted_map
from diffgram_flows.brains.evaluation.base import Evaluation, Floats, sample_key
from diffgram_flows.brains.evaluation.calibration import Calibration, calibrate
from diffgram_flows.brains.evaluation.coco import CocoScores, coco_scores
from diffgram_flows.brains.evaluation.confusion import Inspection
from diffgram_flows.brains.evaluation.matching import MatchTable, match_tables
from diffgram_flows.brains.evaluation.mistakes import inspect_boxes
from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.models import Box, LabelMap, Prediction, Sample


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Average precision of one class.

    Attributes:
        ap: Mean over the IoU thresholds 0.50, 0.55 ... 0.95.
        ap50: At IoU 0.5.
        boxes: How many boxes of the class there were to find.
        small, medium, large: ``ap`` of boxes up to 32 x 32 pixels, up to 96 x 96, and above; ``None`` without any.
    """

    measure: ClassVar[str] = "ap50"
    ap: float
    ap50: float
    boxes: int
    small: float | None = None
    medium: float | None = None
    large: float | None = None

    @property
    def value(self) -> float:
        return self.ap50

    @property
    def support(self) -> int:
        return self.boxes


@dataclass(frozen=True, kw_only=True)
class DetectionEvaluation(Evaluation):
    """How good boxes are on some images.

    Attributes:
        map: Mean over the classes of the average precision over the IoU thresholds 0.50, 0.55 ... 0.95; 0 where there
            was nothing to find (COCO says -1).
        map50: The same at IoU 0.5.
        precision_recall: Precision at each of :data:`~diffgram_flows.brains.evaluation.RECALLS` at IoU 0.5, mean over
            the classes; empty where there was nothing to find.
        boxes: Boxes to find.
        summary: COCO's twelve numbers by name; ``None`` where there was nothing to find.
    """

    kind: ClassVar[str] = "detection"
    metric: ClassVar[str] = "mAP50"
    map: float
    map50: float
    per_class: Mapping[str, ClassScore]
    precision_recall: tuple[float, ...] = ()
    boxes: int
    summary: Mapping[str, float | None]

    @property
    def scores(self) -> Mapping[str, float]:
        return {"mAP50": self.map50, "mAP": self.map}

    @property
    def truths(self) -> int:
        return self.boxes

    @classmethod
    def _read(cls, value: dict[str, Any]) -> DetectionEvaluation:
        per_class = {name: ClassScore(**score) for name, score in value["per_class"].items()}
        curve = tuple(value["precision_recall"])
        return cls(**{"summary": {}} | value | {"per_class": per_class, "precision_recall": curve})


def evaluate(
    samples: Sequence[Sample],
    predictions: Iterable[Prediction],
    label_map: LabelMap,
    *,
    crowds: Mapping[str, Sequence[Box]] | None = None,
) -> DetectionEvaluation:
    """Judge boxes by what people drew.

    Args:
        samples: The truth. A sample without a prediction, or whose prediction is an error, counts as "saw nothing".
        predictions: With the samples' file ids as keys (:func:`pictures_of`); others are ignored, as are boxes whose
            label is not in the map.
        label_map: The classes; all labels of the samples must be in it.
        crowds: By the samples' keys, regions that hold uncounted things of a label, as COCO's ``iscrowd`` marks them:
            what is seen in them is neither right nor wrong. Diffgram knows no such mark, so they come from elsewhere.

    Raises:
        LabelMapChanged: A sample has a label that is not in the map.
    """
    rows = {sample_key(sample): row for row, sample in enumerate(samples)}
    truth = list(_truth(samples, label_map, crowds or {}))
    counts = Counter(annotation["category_id"] for annotation in truth if not annotation["iscrowd"])
    found = list(_detections(rows, predictions, label_map))
    evidence = BoxEvidence(samples, label_map, truth, found)
    if not counts:
        return DetectionEvaluation(
            map=0.0, map50=0.0, per_class={}, images=len(samples), boxes=0, summary={}, evidence=evidence
        )
    scores = coco_scores(truth, found, images=len(samples), classes=len(label_map.labels))
    mean = scores.precision[:, :, sorted(counts), 0, -1].mean(axis=2)
    return DetectionEvaluation(
        map=float(mean.mean()),
        map50=float(mean[0].mean()),
        per_class={
            name: _class_score(scores, index, counts[index])
            for index, name in enumerate(label_map.display_names().values())
            if counts[index]
        },
        precision_recall=tuple(round(float(value), 6) for value in mean[0]),
        images=len(samples),
        boxes=counts.total(),
        summary=scores.summary(),
        evidence=evidence,
    )


class BoxEvidence:
    """Which detection found which box, computed when it is asked for."""

    def __init__(
        self,
        samples: Sequence[Sample],
        label_map: LabelMap,
        truth: Sequence[Mapping[str, Any]],
        detections: Sequence[Mapping[str, Any]],
    ) -> None:
        self._samples, self._label_map = samples, label_map
        self._truth, self._detections = truth, detections

    @cached_property
    def tables(self) -> tuple[MatchTable, ...]:
        """One a class."""
        return match_tables(
            self._truth, self._detections, images=len(self._samples), classes=len(self._label_map.labels)
        )

    def replicates(self, weights: Floats, classes: Sequence[int] | None = None) -> Floats:
        chosen = self.tables if classes is None else [self.tables[index] for index in classes]
        return weighted_map(chosen, weights)

    def calibration(self) -> Calibration:
        """Scores against having found a box at IoU 0.5."""
        kept = [~table.ignored[0] for table in self.tables]
        scores = [table.score[rows] for table, rows in zip(self.tables, kept, strict=True)]
        hits = [table.hit[0][rows] for table, rows in zip(self.tables, kept, strict=True)]
        return calibrate(np.concatenate([*scores, []]), np.concatenate([*hits, []]))

    def inspect(self, shown: Iterable[Prediction]) -> Inspection:
        return inspect_boxes(self._samples, shown, self._label_map)


def _class_score(scores: CocoScores, index: int, boxes: int) -> ClassScore:
    small, medium, large = (scores.average_precision(index, size) for size in ("small", "medium", "large"))
    ap, ap50 = scores.average_precision(index), scores.average_precision(index, threshold=0)
    return ClassScore(ap or 0.0, ap50 or 0.0, boxes, small, medium, large)


def _truth(
    samples: Sequence[Sample], label_map: LabelMap, crowds: Mapping[str, Sequence[Box]]
) -> Iterator[dict[str, Any]]:
    """COCO annotations; an image's id is its row, a category's the class index."""
    index_of = label_map.index_of()
    for row, sample in enumerate(samples):
        crowd = crowds.get(sample_key(sample), ())
        for number, box in enumerate((*sample.boxes, *crowd)):
            if box.label_file_id not in index_of:
                raise LabelMapChanged(
                    f"{sample.file_name} has a box of the label {box.label_file_id}, which is not in the label map.",
                    cure="Judge with the label map of the snapshot that the image comes from.",
                )
            known = {"area": box.area, "iscrowd": int(number >= len(sample.boxes))}
            yield known | _placed(row, index_of[box.label_file_id], box)


def _detections(
    rows: Mapping[str, int], predictions: Iterable[Prediction], label_map: LabelMap
) -> Iterator[dict[str, Any]]:
    index_of = label_map.index_of()
    for prediction in predictions:
        for box in prediction.boxes:
            if prediction.key in rows and box.label_file_id in index_of:
                score = 1.0 if box.score is None else box.score
                yield {"score": score} | _placed(rows[prediction.key], index_of[box.label_file_id], box)


def _placed(row: int, index: int, box: Box) -> dict[str, Any]:
    sides = [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min]
    return {"image_id": row, "category_id": index, "bbox": sides}
