"""What is taken for what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Confusion:
    """A matrix of counts.

    Attributes:
        labels: Names of rows and columns. Of detections the last one is :data:`NOTHING`: its row holds what was seen
            where nothing is, its column what was missed.
        counts: ``[truth][answer]``.
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, labels: tuple[str, ...], counts: NDArray[np.int64]) -> Confusion:
        return cls(labels, tuple(map(tuple, counts.tolist())))

    def worst(self, count: int) -> list[tuple[str, str, int]]:
        """The most frequent mistakes: truth, answer and how often, most frequent first."""
        wrong = [
            (truth, answer, self.counts[row][column])
            for row, truth in enumerate(self.labels)
            for column, answer in enumerate(self.labels)
            if row != column and self.counts[row][column]
        ]
        return sorted(wrong, key=lambda mistake: -mistake[2])[:count]


@dataclass(frozen=True, slots=True)
class Inspection:
    """What people would see at the operating threshold.

    Attributes:
        confusion: Over all images.
        mistakes: By image, in the order of the samples: things missed, seen where nothing is, or called wrongly; of a
            segmentation, the share of pixels that are wrong.
    """

    confusion: Confusion
    mistakes: tuple[float, ...]
