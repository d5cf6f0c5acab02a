"""Average precision for any weights of the images, without matching boxes again."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation.coco import RECALLS
from diffgram_flows.brains.evaluation.matching import MatchTable

_RECALLS = np.array(RECALLS)
_BLOCK = 4_000_000  # numbers in memory at a time
Floats = NDArray[np.float64]


def weighted_map(tables: Sequence[MatchTable], weights: Floats, *, threshold: int = 0) -> Floats:
    """Mean over the classes of the average precision.

    Args:
        tables: One a class.
        weights: ``[R, N]``, how often each image counts.
        threshold: Row of the IoU thresholds; 0 is 0.5.

    Returns:
        ``[R]``; classes of which nothing is left to find are left out, NaN where that is all of them.
    """
    values = np.stack([weighted_ap(table, weights, threshold=threshold) for table in tables])
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        mean: Floats = np.where(there, values, 0).sum(axis=0) / there.sum(axis=0)
    return mean


def weighted_ap(table: MatchTable, weights: Floats, *, threshold: int = 0) -> Floats:
    """``[R]``: average precision of one class; NaN where nothing of it is left to find."""
    wanted = weights @ table.wanted.astype(np.float64)
    image, hit = _counted(table, threshold)
    found = np.zeros(len(weights))
    block = max(1, _BLOCK // max(1, len(image)))
    for start in range(0, len(weights) if len(image) else 0, block):
        part = slice(start, start + block)
        found[part] = _areas(weights[part][:, image], hit, wanted[part])
    return np.where(wanted > 0, found, np.nan)


def _counted(table: MatchTable, threshold: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What decides about precision: no ignored detections, and none after the last hit."""
    kept = ~table.ignored[threshold]
    hit = table.hit[threshold][kept]
    end = int(np.flatnonzero(hit)[-1]) + 1 if hit.any() else 0
    return table.image[kept][:end], hit[:end]


def _areas(counts: Floats, hit: NDArray[np.bool_], wanted: Floats) -> Floats:
    """Mean precision at COCO's 101 recalls; ``counts`` is ``[R, D]``, how often each detection counts."""
    every = np.cumsum(counts, axis=1)[:, hit]
    hits = np.cumsum(counts[:, hit], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = hits / wanted[:, None]
        precision = hits / (every + np.spacing(1))
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    found = np.zeros(len(counts))
    for row, (reached, values) in enumerate(zip(recall, best, strict=True)):
        place = np.searchsorted(reached, _RECALLS, side="left")
        found[row] = values[place[place < len(values)]].sum() / len(_RECALLS)
    return found
