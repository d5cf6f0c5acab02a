"""How different two sets of counts are, and how often chance alone makes them so."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
_ROUNDS = 500
_PRECISION = 1e-12


def stability_index(before: Counts, after: Counts) -> float:
    """Population stability index: 0 for the same shares; below 0.1 counts as stable, above 0.25 as another population.

    Half a count is added to each class, so that one that is new or gone weighs much, but not without end.
    """
    if not before.sum() or not after.sum():
        return 0.0
    old, new = (before + 0.5) / (before + 0.5).sum(), (after + 0.5) / (after + 0.5).sum()
    return float(((new - old) * np.log(new / old)).sum())


def chi_square(before: Counts, after: Counts) -> float:
    """How likely two samples of one population differ so much: the p-value of the test of homogeneity, else 1."""
    table = np.stack([before, after]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or (table.sum(axis=1) == 0).any():
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return _upper_gamma((table.shape[1] - 1) / 2, statistic / 2)


def kolmogorov_smirnov(before: Counts, after: Counts, sizes: tuple[int, int] | None = None) -> tuple[float, float]:
    """The largest distance of two distributions in the same ordered bins (0 to 1), and its p-value.

    Args:
        before: Counts by bin.
        after: Counts of the others by bin.
        sizes: How many independent things were counted; their number if it is not given.
    """
    if not before.sum() or not after.sum():
        return 0.0, 1.0
    first, second = sizes or (int(before.sum()), int(after.sum()))
    distance = float(np.abs(before.cumsum() / before.sum() - after.cumsum() / after.sum()).max())
    root = math.sqrt(first * second / (first + second))
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return distance, 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return distance, min(1.0, max(0.0, 2 * sum(terms)))


def kappa(table: Counts) -> float | None:
    """Cohen's kappa of a square table of what one chose against what the other chose; ``None`` if chance explains all.

    1 is full agreement, 0 that of two who choose blindly.
    """
    total = table.sum()
    if not total:
        return None
    agreed = float(np.trace(table)) / total
    chance = float((table.sum(axis=0) / total * (table.sum(axis=1) / total)).sum())
    return (agreed - chance) / (1 - chance) if chance < 1 else None


def _upper_gamma(shape: float, x: float) -> float:
    """The regularized upper incomplete gamma function, by its series or its continued fraction."""
    if x <= 0:
        return 1.0
    scale = math.exp(-x + shape * math.log(x) - math.lgamma(shape))
    if x < shape + 1:
        term = total = 1 / shape
        for n in range(1, _ROUNDS):
            term *= x / (shape + n)
            total += term
            if term < total * _PRECISION:
                break
        return max(0.0, 1 - total * scale)
    tiny = 1e-300
    b = x + 1 - shape
    c, d = 1 / tiny, 1 / b
    fraction = d
    for n in range(1, _ROUNDS):
        a = -n * (n - shape)
        b += 2
        d = 1 / ((a * d + b) or tiny)
        c = (b + a / c) or tiny
        fraction *= d * c
        if abs(d * c - 1) < _PRECISION:
            break
    return min(1.0, fraction * scale)
