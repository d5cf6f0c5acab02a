"""Whether a score of 0.8 is right in eight of ten cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """The answers whose scores lie between two edges.

    Attributes:
        low, high: The edges; ``high`` belongs to the bin, ``low`` only to the first.
        score: Mean score of its answers, NaN where there is none.
        hits: Share of them that were right, NaN where there is none.
        count: How many there are.
    """

    low: float
    high: float
    score: float
    hits: float
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scores against being right.

    Attributes:
        bins: In order, as wide as one another, from 0 to 1.
        error: The expected calibration error: mean distance of score and share of hits over all answers; NaN without
            answers.
    """

    bins: tuple[Bin, ...]
    error: float

    @property
    def count(self) -> int:
        return sum(found.count for found in self.bins)


def calibrate(scores: ArrayLike, hits: ArrayLike, *, bins: int = BINS) -> Calibration:
    """Compare scores with being right.

    Args:
        scores: ``[N]`` in [0, 1].
        hits: ``[N]``, whether each answer was right.
        bins: How many parts [0, 1] is cut into.
    """
    told, right = np.asarray(scores, np.float64), np.asarray(hits, np.float64)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(told, edges, right=True) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        score = np.bincount(place, told, minlength=bins) / count
        share = np.bincount(place, right, minlength=bins) / count
    found = tuple(
        Bin(float(edges[i]), float(edges[i + 1]), float(score[i]), float(share[i]), int(count[i])) for i in range(bins)
    )
    return Calibration(found, _error(found))


def _error(bins: Sequence[Bin]) -> float:
    full = [one for one in bins if one.count]
    total = sum(one.count for one in full)
    return sum(one.count * abs(one.score - one.hits) for one in full) / total if total else float("nan")
