"""Boxes as people would see them: which are right, which are called wrongly, missed, or of nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation.base import sample_key
from diffgram_flows.brains.evaluation.confusion import NOTHING, Confusion, Inspection
from diffgram_flows.models import Box, LabelMap, Prediction, Sample

_SAME_THING = 0.5


def inspect_boxes(samples: Sequence[Sample], shown: Iterable[Prediction], label_map: LabelMap) -> Inspection:
    """Match boxes at IoU 0.5 whatever their labels, best score first, and count.

    Args:
        samples: The truth.
        shown: With the samples' keys, only boxes that people would see; others are ignored.
        label_map: The classes; boxes of others are ignored.
    """
    index_of = label_map.index_of()
    seen = {prediction.key: prediction.boxes for prediction in shown}
    counts = np.zeros((len(index_of) + 1, len(index_of) + 1), np.int64)
    mistakes = []
    for sample in samples:
        boxes = [box for box in seen.get(sample_key(sample), ()) if box.label_file_id in index_of]
        found = _counted(sample.boxes, boxes, index_of)
        counts += found
        mistakes.append(float(found.sum() - np.trace(found)))
    return Inspection(Confusion.of((*label_map.display_names().values(), NOTHING), counts), tuple(mistakes))


def _counted(truth: Sequence[Box], boxes: Sequence[Box], index_of: dict[int, int]) -> NDArray[np.int64]:
    counts = np.zeros((len(index_of) + 1, len(index_of) + 1), np.int64)
    left = list(truth)
    for box in sorted(boxes, key=lambda box: -1.0 if box.score is None else -box.score):
        column = index_of[box.label_file_id]
        match = max(left, key=lambda real: (real.iou(box), real.label_file_id == box.label_file_id), default=None)
        if match is None or match.iou(box) < _SAME_THING:
            counts[-1, column] += 1
            continue
        left.remove(match)
        counts[index_of[match.label_file_id], column] += 1
    for missed in left:
        counts[index_of[missed.label_file_id], -1] += 1
    return counts
