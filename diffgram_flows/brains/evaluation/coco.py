"""COCO's own numbers, by faster-coco-eval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# As COCO's own code makes them, to the last bit: its 0.70 is 0.7000000000000001, which 7 boxes of 10 do not reach.
RECALLS: tuple[float, ...] = tuple(np.linspace(0, 1, 101).tolist())
SIZES = ("small", "medium", "large")
# Name, average precision or recall, IoU threshold (None: mean of all), size, boxes an image at most.
_SUMMARY = (
    ("AP", "precision", None, "all", 100),
    ("AP50", "precision", 0, "all", 100),
    ("AP75", "precision", 5, "all", 100),
    ("AP small", "precision", None, "small", 100),
    ("AP medium", "precision", None, "medium", 100),
    ("AP large", "precision", None, "large", 100),
    ("AR1", "recall", None, "all", 1),
    ("AR10", "recall", None, "all", 10),
    ("AR100", "recall", None, "all", 100),
    ("AR small", "recall", None, "small", 100),
    ("AR medium", "recall", None, "medium", 100),
    ("AR large", "recall", None, "large", 100),
)
_AREAS = ("all", *SIZES)
_LIMITS = (1, 10, 100)


@dataclass(frozen=True, slots=True)
class CocoScores:
    """Average precision and recall as COCO counts them; -1 where there is nothing to find.

    Attributes:
        precision: ``[10 IoU thresholds, 101 recalls, classes, 4 sizes, 3 limits]``: sizes are all, small (up to 32 x
            32 pixels), medium (up to 96 x 96) and large; limits are 1, 10 and 100 boxes an image.
        recall: ``[10 IoU thresholds, classes, 4 sizes, 3 limits]``.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    def average_precision(self, index: int, size: str = "all", threshold: int | None = None) -> float | None:
        """Of one class; ``threshold`` is a row of IoU thresholds. ``None`` where there was nothing to find."""
        rows = slice(None) if threshold is None else [threshold]
        return _mean(self.precision[rows, :, index, _AREAS.index(size), -1])

    def summary(self) -> dict[str, float | None]:
        """COCO's twelve numbers by name; ``None`` where there was nothing to find."""
        found = {}
        for name, what, threshold, size, limit in _SUMMARY:
            table = self.precision if what == "precision" else self.recall
            rows = slice(None) if threshold is None else [threshold]
            found[name] = _mean(table[rows][..., _AREAS.index(size), _LIMITS.index(limit)])
        return found


def coco_scores(
    truth: Sequence[Mapping[str, Any]], detections: Sequence[Mapping[str, Any]], *, images: int, classes: int
) -> CocoScores:
    """Judge boxes.

    Args:
        truth: COCO annotations: ``image_id``, ``category_id``, ``bbox`` (x, y, width, height), ``area``, ``iscrowd``.
            A crowd region is not to be found; boxes inside it are neither right nor wrong.
        detections: ``image_id``, ``category_id``, ``bbox``, ``score``.
        images: Their ids are 0, 1 ... ``images`` - 1.
        classes: Likewise.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    frame = {
        "images": [{"id": i} for i in range(images)],
        "categories": [{"id": i, "name": ""} for i in range(classes)],
    }
    drawn = [{"id": number, **annotation} for number, annotation in enumerate(truth, start=1)]
    seen = [
        {"id": number, "iscrowd": 0, "area": found["bbox"][2] * found["bbox"][3], **found}
        for number, found in enumerate(detections, start=1)
    ]
    judge = COCOeval_faster(
        COCO(frame | {"annotations": drawn}), COCO(frame | {"annotations": seen}), "bbox", print_function=_silent
    )
    judge.evaluate()
    judge.accumulate()
    return CocoScores(judge.eval["precision"], judge.eval["recall"])


def _mean(values: NDArray[np.float64]) -> float | None:
    found = values[values > -1]
    return float(found.mean()) if found.size else None


def _silent(*_: object) -> None:
    """What faster-coco-eval prints its progress to."""
