"""How sure it is that one brain is better than another: the bootstrap (Efron, 1979), paired over the same images."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation.base import Evidence, Floats

REPLICATES = 1000
_BLOCK = 2_000_000  # weights in memory at a time


@dataclass(frozen=True, slots=True)
class Interval:
    """The difference of a metric between two brains on the same images, and how far chance could move it.

    Attributes:
        difference: As measured; positive where the first brain is better.
        low, high: Ends of the central percentile interval; NaN where no resample had anything to find.
        confidence: Share of the resamples between the ends.
        better: Share of the resamples in which the first brain is better.
        draws: What was drawn: images, or groups of images that belong together.
    """

    difference: float
    low: float
    high: float
    confidence: float
    better: float
    draws: int

    def __str__(self) -> str:
        return f"{self.difference:+.4f} ({self.confidence:.0%} interval {self.low:+.4f} to {self.high:+.4f})"


def difference(
    first: Evidence,
    second: Evidence,
    groups: Sequence[Hashable],
    *,
    confidence: float,
    classes: Sequence[int] | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Interval:
    """Compare two brains that were judged on the same images.

    Args:
        first: The one that is to be better.
        second: The other; its images are the same, in the same order.
        groups: One an image. Images of a group, such as the frames of a video, are drawn together: they are not
            independent of one another. With a group an image, the images are drawn.
        confidence: Of the interval, between 0 and 1.
        classes: Indices of the classes that count; ``None`` is all.
        replicates: How often the images are drawn anew.
        seed: The same seed draws the same images.
    """
    ones = np.ones((1, len(groups)))
    measured = float((first.replicates(ones, classes) - second.replicates(ones, classes))[0])
    found = [
        first.replicates(weights, classes) - second.replicates(weights, classes)
        for weights in _resamples(groups, replicates, seed)
    ]
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    draws = len(set(groups))
    if not values.size:
        return Interval(measured, float("nan"), float("nan"), confidence, 0.0, draws)
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(measured, float(low), float(high), confidence, float((values > 0).mean()), draws)


def _resamples(groups: Sequence[Hashable], replicates: int, seed: int) -> Iterator[Floats]:
    """Blocks of weights ``[R, N]``: how often each image was drawn."""
    names = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    group_of = np.array([names[group] for group in groups], np.int64)
    random = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(1, len(groups)))
    for start in range(0, replicates, block):
        yield _drawn(random, min(block, replicates - start), len(names))[:, group_of]


def _drawn(random: np.random.Generator, rows: int, count: int) -> Floats:
    """``[rows, count]``: how often each of ``count`` things is among ``count`` draws with replacement."""
    picks: NDArray[np.int64] = random.integers(count, size=(rows, count))
    places = picks + np.arange(rows)[:, None] * count
    return np.bincount(places.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
