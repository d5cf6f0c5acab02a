"""Which detection found which box, as COCO decides it; once for all resamplings of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(0.5, 0.95, 10)
_MOST = 100  # detections of a class in an image that COCO looks at
Corners = NDArray[np.float64]  # [N, 4]: x, y, width, height


@dataclass(frozen=True, slots=True)
class MatchTable:
    """All detections of one class, best score first.

    Attributes:
        image: ``[D]``, in which image.
        score: ``[D]``.
        hit: ``[10, D]``, whether it found a box at each of :data:`THRESHOLDS`.
        ignored: ``[10, D]``, whether it found a crowd region and counts for nothing.
        wanted: ``[N]``, boxes to find in each image.
    """

    image: NDArray[np.int64]
    score: NDArray[np.float64]
    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    wanted: NDArray[np.int64]


def match_tables(
    truth: Sequence[Mapping[str, Any]], detections: Sequence[Mapping[str, Any]], *, images: int, classes: int
) -> tuple[MatchTable, ...]:
    """One table a class, from what :func:`~diffgram_flows.brains.evaluation.coco.coco_scores` takes."""
    drawn, seen = _by_place(truth), _by_place(detections)
    return tuple(_table(index, drawn, seen, images) for index in range(classes))


def overlaps(boxes: Corners, others: Corners, crowd: NDArray[np.bool_]) -> NDArray[np.float64]:
    """``[N, M]``: IoU; with a crowd region, the share of the box that lies in it."""
    corner = np.maximum(boxes[:, None, :2], others[None, :, :2])
    end = np.minimum((boxes[:, :2] + boxes[:, 2:])[:, None], (others[:, :2] + others[:, 2:])[None])
    shared = np.prod(np.clip(end - corner, 0, None), axis=2)
    area, other = np.prod(boxes[:, 2:], axis=1)[:, None], np.prod(others[:, 2:], axis=1)[None]
    found: NDArray[np.float64] = shared / np.where(crowd[None], area, area + other - shared)
    return found


def _by_place(boxes: Sequence[Mapping[str, Any]]) -> dict[tuple[int, int], list[Mapping[str, Any]]]:
    places: dict[tuple[int, int], list[Mapping[str, Any]]] = {}
    for box in boxes:
        places.setdefault((box["category_id"], box["image_id"]), []).append(box)
    return places


def _table(
    index: int,
    drawn: Mapping[tuple[int, int], list[Mapping[str, Any]]],
    seen: Mapping[tuple[int, int], list[Mapping[str, Any]]],
    images: int,
) -> MatchTable:
    wanted = np.zeros(images, np.int64)
    for (category, image), boxes in drawn.items():
        if category == index:
            wanted[image] = sum(not box["iscrowd"] for box in boxes)
    rows, scores, hits, ignored = [], [], [], []
    for image in sorted(image for category, image in seen if category == index):
        found = sorted(seen[index, image], key=lambda box: -box["score"])[:_MOST]
        hit, passed = _matched(found, drawn.get((index, image), []))
        rows.append(np.full(len(found), image))
        scores.append(np.array([box["score"] for box in found], np.float64))
        hits.append(hit)
        ignored.append(passed)
    if not rows:
        nothing = np.zeros((len(THRESHOLDS), 0), np.bool_)
        return MatchTable(np.zeros(0, np.int64), np.zeros(0), nothing, nothing, wanted)
    score = np.concatenate(scores)
    order = np.argsort(-score, kind="stable")
    hit, passed = np.concatenate(hits, axis=1)[:, order], np.concatenate(ignored, axis=1)[:, order]
    return MatchTable(np.concatenate(rows)[order], score[order], hit, passed, wanted)


def _matched(
    found: Sequence[Mapping[str, Any]], boxes: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Hits and ignored ones ``[10, D]`` in one image; ``found`` is in order of score."""
    hit = np.zeros((len(THRESHOLDS), len(found)), np.bool_)
    passed = np.zeros_like(hit)
    if not boxes:
        return hit, passed
    crowd = np.array([bool(box["iscrowd"]) for box in boxes])
    iou = overlaps(
        np.array([box["bbox"] for box in found], np.float64),
        np.array([box["bbox"] for box in boxes], np.float64),
        crowd,
    )
    free = np.ones((len(THRESHOLDS), len(boxes)), np.bool_)
    every = np.arange(len(THRESHOLDS))
    for number in np.flatnonzero(iou.max(axis=1) >= THRESHOLDS[0]):
        reached = iou[number][None] >= np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
        best = _best(iou[number], reached & free & ~crowd)
        real = best >= 0
        hit[real, number] = True
        free[every[real], best[real]] = False
        passed[:, number] = ~real & (reached & crowd).any(axis=1)
    return hit, passed


def _best(iou: NDArray[np.float64], allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``[10]``: the allowed box with the largest overlap, of equal ones the last; -1 where none is allowed."""
    values = np.where(allowed, iou[None], -1.0)[:, ::-1]
    best = values.shape[1] - 1 - values.argmax(axis=1)
    found: NDArray[np.int64] = np.where(allowed.any(axis=1), best, -1)
    return found
