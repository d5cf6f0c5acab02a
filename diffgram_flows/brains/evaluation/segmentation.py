"""How good areas are, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation.base import Evaluation, Floats, sample_key
from diffgram_flows.brains.evaluation.calibration import Calibration, calibrate
from diffgram_flows.brains.evaluation.confusion import NOTHING, Confusion, Inspection
from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.masks import mask_of
from diffgram_flows.models import Annotation, LabelMap, Prediction, Sample

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AreaScore:
    """How good the areas of one class are.

    Attributes:
        iou: Pixels that belong to the class in truth and answer, over those that do in either; over all images.
        recall: Share of its pixels that were found.
        pixels: Its pixels in the truth.
    """

    measure: ClassVar[str] = "iou"
    iou: float
    recall: float
    pixels: int

    @property
    def value(self) -> float:
        return self.iou

    @property
    def support(self) -> int:
        return self.pixels


@dataclass(frozen=True, kw_only=True)
class SegmentationEvaluation(Evaluation):
    """How good areas are on some images.

    Attributes:
        mean_iou: Mean of the classes' IoU, of those that were there to find; the background is none.
        pixel_accuracy: Share of all pixels, those of the background included, that have the right class.
        areas: Polygons in the truth.
    """

    kind: ClassVar[str] = "segmentation"
    metric: ClassVar[str] = "mean IoU"
    mean_iou: float
    pixel_accuracy: float
    per_class: Mapping[str, AreaScore]
    areas: int

    @property
    def scores(self) -> Mapping[str, float]:
        return {"mean IoU": self.mean_iou, "pixel accuracy": self.pixel_accuracy}

    @property
    def truths(self) -> int:
        return self.areas

    @classmethod
    def _read(cls, value: dict[str, Any]) -> SegmentationEvaluation:
        return cls(**value | {"per_class": {name: AreaScore(**score) for name, score in value["per_class"].items()}})


def evaluate_segmentation(
    samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap
) -> SegmentationEvaluation:
    """Judge polygons by what people drew.

    Args:
        samples: The truth: their annotations of type ``polygon``, painted in their order, later ones on top.
        predictions: Polygons in ``annotations``, with the samples' keys, best on top. A sample without one is all
            background; other types and labels that are not in the map are ignored.
        label_map: The classes; the labels of all polygons must be in it.

    Raises:
        LabelMapChanged: A sample has a polygon of a label that is not in the map.
    """
    counts, scored = _compared(samples, predictions, label_map)
    total: Counts = counts.sum(axis=0)
    right, drawn, seen = np.diag(total)[:-1], total.sum(axis=1)[:-1], total.sum(axis=0)[:-1]
    found = {
        name: AreaScore(float(right[i] / (drawn[i] + seen[i] - right[i])), float(right[i] / drawn[i]), int(drawn[i]))
        for i, name in enumerate(label_map.display_names().values())
        if drawn[i]
    }
    return SegmentationEvaluation(
        mean_iou=float(np.mean([score.iou for score in found.values()])) if found else 0.0,
        pixel_accuracy=float(np.trace(total) / total.sum()) if total.sum() else 0.0,
        per_class=found,
        areas=sum(len(_polygons(sample.annotations)) for sample in samples),
        images=len(samples),
        evidence=AreaEvidence(samples, label_map, counts, scored),
    )


class AreaEvidence:
    """Every image's pixels by true and by answered class, and every answered polygon's score and share of hits."""

    def __init__(
        self, samples: Sequence[Sample], label_map: LabelMap, counts: Counts, scored: Sequence[tuple[float, bool]]
    ) -> None:
        self._samples, self._label_map, self._counts, self._scored = samples, label_map, counts, scored

    def replicates(self, weights: Floats, classes: Sequence[int] | None = None) -> Floats:
        index = np.arange(len(self._label_map.labels)) if classes is None else np.array(classes, np.int64)
        right = weights @ self._counts[:, index, index].astype(np.float64)
        drawn = weights @ self._counts.sum(axis=2)[:, index].astype(np.float64)
        seen = weights @ self._counts.sum(axis=1)[:, index].astype(np.float64)
        there = drawn > 0
        with np.errstate(invalid="ignore"):
            iou = np.where(there, right / np.maximum(drawn + seen - right, 1), 0)
            mean: Floats = iou.sum(axis=1) / there.sum(axis=1)
        return mean

    def calibration(self) -> Calibration:
        """Scores of polygons against most of their pixels being right; polygons without a score are left out."""
        return calibrate([score for score, _ in self._scored], [hit for _, hit in self._scored])

    def inspect(self, shown: Iterable[Prediction]) -> Inspection:
        """Pixels by true and answered class; mistakes are the share of an image's pixels that are wrong."""
        counts, _ = _compared(self._samples, shown, self._label_map)
        right = np.trace(counts, axis1=1, axis2=2)
        wrong = 1 - right / np.maximum(counts.sum(axis=(1, 2)), 1)
        matrix = Confusion.of((*self._label_map.display_names().values(), NOTHING), counts.sum(axis=0))
        return Inspection(matrix, tuple(float(share) for share in wrong))


def _compared(
    samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap
) -> tuple[Counts, list[tuple[float, bool]]]:
    """Pixels by image, true and answered class, the background last; and the polygons' scores with their hits."""
    index_of, size = label_map.index_of(), len(label_map.labels) + 1
    rows = {sample_key(sample): row for row, sample in enumerate(samples)}
    counts = np.zeros((len(samples), size, size), np.int64)
    drawn = [_checked(sample, index_of) for sample in samples]
    answers: dict[int, list[Annotation]] = {}
    for prediction in predictions:
        if prediction.key in rows:
            areas = _polygons(prediction.annotations)
            answers[rows[prediction.key]] = [area for area in areas if area.label_file_id in index_of]
    scored: list[tuple[float, bool]] = []
    for row, sample in enumerate(samples):  # one image's pixels in memory at a time
        known, truth = answers.get(row, []), _painted(drawn[row], sample, index_of)
        answer = _painted(known[::-1], sample, index_of)
        counts[row] = np.bincount((truth * size + answer).ravel(), minlength=size * size).reshape(size, size)
        scored += [(area.score, _hit(area, truth, index_of)) for area in known if area.score is not None]
    return counts, scored


def _painted(areas: Iterable[Annotation], sample: Sample, index_of: Mapping[int, int]) -> Counts:
    """``[height, width]`` class indices; what is not painted is background, the index behind the last class."""
    canvas = np.full((sample.height, sample.width), len(index_of), np.int64)
    for area in areas:
        canvas[mask_of(area.points, sample.width, sample.height)] = index_of[area.label_file_id]
    return canvas


def _hit(area: Annotation, truth: Counts, index_of: Mapping[int, int]) -> bool:
    inside = truth[mask_of(area.points, truth.shape[1], truth.shape[0])]
    return bool(inside.size and (inside == index_of[area.label_file_id]).mean() > 0.5)


def _checked(sample: Sample, index_of: Mapping[int, int]) -> list[Annotation]:
    areas = _polygons(sample.annotations)
    for area in areas:
        if area.label_file_id not in index_of:
            raise LabelMapChanged(
                f"{sample.file_name} has a polygon of the label {area.label_file_id}, which is not in the label map.",
                cure="Judge with the label map of the snapshot that the image comes from.",
            )
    return areas


def _polygons(annotations: Iterable[Annotation]) -> list[Annotation]:
    return [annotation for annotation in annotations if annotation.type == "polygon"]
