"""How good predictions are: average precision as COCO counts it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.models import Box, LabelMap, Picture, Prediction, Sample

RECALLS = tuple(round(index / 100, 2) for index in range(101))


@dataclass(frozen=True, slots=True)
class ClassScore:
    """Average precision of one class.

    Attributes:
        ap: Mean over the IoU thresholds 0.50, 0.55 ... 0.95.
        ap50: At IoU 0.5.
        boxes: How many boxes of the class there were to find.
    """

    ap: float
    ap50: float
    boxes: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good predictions are on some images.

    Attributes:
        map: Mean over the classes of the average precision over the IoU thresholds 0.50, 0.55 ... 0.95; 0 where there
            was nothing to find (COCO says -1).
        map50: The same at IoU 0.5.
        per_class: By label name, only classes that were there to find.
        precision_recall: Precision at each of :data:`RECALLS` at IoU 0.5, mean over the classes; empty where there
            was nothing to find.
        images: Judged images, also those without boxes.
        boxes: Boxes to find.
    """

    map: float
    map50: float
    per_class: Mapping[str, ClassScore]
    precision_recall: tuple[float, ...]
    images: int
    boxes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Evaluation:
        """Read :meth:`to_json`.

        Raises:
            KeyError, TypeError: It is not of that form.
        """
        per_class = {name: ClassScore(**score) for name, score in value["per_class"].items()}
        return cls(**{**value, "per_class": per_class, "precision_recall": tuple(value["precision_recall"])})


def sample_key(sample: Sample) -> str:
    """The key under which predictions of a sample are expected."""
    return str(sample.file_id)


def pictures_of(samples: Iterable[Sample]) -> Iterator[Picture]:
    """The samples as pictures to predict, without the truth."""
    return (Picture(sample_key(sample), sample.path) for sample in samples)


def evaluate(samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap) -> Evaluation:
    """Judge predictions by what people drew.

    Args:
        samples: The truth. A sample without a prediction, or whose prediction is an error, counts as "saw nothing".
        predictions: With the samples' file ids as keys (:func:`pictures_of`); others are ignored, as are boxes whose
            label is not in the map.
        label_map: The classes; all labels of the samples must be in it.

    Raises:
        LabelMapChanged: A sample has a label that is not in the map.
    """
    rows = {sample_key(sample): row for row, sample in enumerate(samples)}
    truth = list(_truth(samples, label_map))
    counts = Counter(annotation["category_id"] for annotation in truth)
    if not truth:
        return Evaluation(0.0, 0.0, {}, (), len(samples), 0)
    precision = _precision(samples, truth, list(_detections(rows, predictions, label_map)), len(label_map.labels))
    per_class = {
        name: ClassScore(float(precision[:, :, index].mean()), float(precision[0, :, index].mean()), counts[index])
        for index, name in enumerate(label_map.names)
        if counts[index]
    }
    mean = precision[:, :, sorted(counts)].mean(axis=2)
    curve = tuple(round(float(value), 6) for value in mean[0])
    return Evaluation(float(mean.mean()), float(mean[0].mean()), per_class, curve, len(samples), len(truth))


def _precision(
    samples: Sequence[Sample], truth: list[dict[str, Any]], detections: list[dict[str, Any]], classes: int
) -> NDArray[np.float64]:
    """Precision by (10 IoU thresholds, 101 recalls, classes); all sizes of boxes, 100 boxes an image at most."""
    if not detections:
        return np.zeros((10, len(RECALLS), classes))
    from faster_coco_eval import COCO, COCOeval_faster

    images = [{"id": row, "width": sample.width, "height": sample.height} for row, sample in enumerate(samples)]
    categories = [{"id": index, "name": str(index)} for index in range(classes)]
    ground = COCO({"images": images, "annotations": truth, "categories": categories})
    judge = COCOeval_faster(ground, ground.loadRes(detections), "bbox", print_function=_silent)
    judge.evaluate()
    judge.accumulate()
    precision: NDArray[np.float64] = judge.eval["precision"][:, :, :, 0, -1]
    return precision


def _truth(samples: Sequence[Sample], label_map: LabelMap) -> Iterator[dict[str, Any]]:
    """COCO annotations; an image's id is its row, a category's the class index."""
    index_of = label_map.index_of()
    number = 0
    for row, sample in enumerate(samples):
        for box in sample.boxes:
            if box.label_file_id not in index_of:
                raise LabelMapChanged(
                    f"{sample.file_name} has a box of the label {box.label_file_id}, which is not in the label map.",
                    cure="Judge with the label map of the snapshot that the image comes from.",
                )
            number += 1
            yield {"id": number, "area": box.area, "iscrowd": 0} | _placed(row, index_of[box.label_file_id], box)


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


def _silent(*_: object) -> None:
    """What faster-coco-eval prints its progress to."""
