"""How far two people agree: pictures that are there more than once, annotated each time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from diffgram_flows.datasets.measures import kappa
from diffgram_flows.models import Box, LabelMap, Sample

_MATCH = 0.5  # of two boxes with less in common nobody would say that they are of the same thing


@dataclass(frozen=True, slots=True)
class Twice:
    """A picture that was annotated twice.

    Attributes:
        one, other: The two files.
        ious: Of the boxes that both drew.
        unmatched: Boxes that only one of them drew.
    """

    one: Sample
    other: Sample
    ious: tuple[float, ...]
    unmatched: int

    @property
    def agreed(self) -> float:
        """The mean IoU, what only one drew counted as 0; 1 where both drew nothing."""
        count = len(self.ious) + self.unmatched
        return sum(self.ious) / count if count else 1.0


@dataclass
class Agreement:
    """Sums over all pictures that were annotated twice.

    Attributes:
        pictures: How many there are; those of which only a part was compared are in ``seen`` only.
        labels: Matched boxes by label of the one and label of the other (class indices).
        worst: The pictures with the least agreement, the least first.
    """

    label_map: LabelMap
    pictures: int = 0
    seen: int = 0
    matched: int = 0
    unmatched: int = 0
    iou_sum: float = 0.0
    labels: npt.NDArray[np.int64] = field(init=False)
    worst: list[Twice] = field(default_factory=list)

    def __post_init__(self) -> None:
        side = len(self.label_map.labels)
        self.labels = np.zeros((side, side), np.int64)
        self._index = self.label_map.index_of()

    @property
    def mean_iou(self) -> float:
        """Of the boxes that both drew."""
        return self.iou_sum / self.matched if self.matched else 0.0

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa of the labels of boxes that both drew; ``None`` if there is nothing to disagree about."""
        return kappa(self.labels)

    def compare(self, one: Sample, other: Sample, *, most: int = 6) -> None:
        """Add a picture that two files show; the boxes of ``other`` are scaled to the size of ``one``."""
        theirs = scaled(other.boxes, one.width / other.width, one.height / other.height)
        pairs = matched(one.boxes, theirs)
        for box, twin, iou in pairs:
            self.labels[self._index[box.label_file_id], self._index[twin.label_file_id]] += 1
            self.iou_sum += iou
        lonely = len(one.boxes) + len(theirs) - 2 * len(pairs)
        self.seen += 1
        self.matched += len(pairs)
        self.unmatched += lonely
        self.worst.append(Twice(one, other, tuple(iou for *_, iou in pairs), lonely))
        self.worst.sort(key=lambda twice: (twice.agreed, twice.one.file_id))
        del self.worst[most:]


def matched(boxes: Iterable[Box], others: Iterable[Box]) -> list[tuple[Box, Box, float]]:
    """Pairs of boxes that mean the same thing, the best first, whatever their labels; each box once."""
    left, right = list(boxes), list(others)
    ious = ((box.iou(other), i, j) for i, box in enumerate(left) for j, other in enumerate(right))
    taken: tuple[set[int], set[int]] = set(), set()
    pairs = []
    for iou, i, j in sorted((entry for entry in ious if entry[0] >= _MATCH), key=lambda entry: (-entry[0], entry[1:])):
        if i not in taken[0] and j not in taken[1]:
            taken[0].add(i)
            taken[1].add(j)
            pairs.append((left[i], right[j], iou))
    return pairs


def scaled(boxes: Iterable[Box], across: float, down: float) -> tuple[Box, ...]:
    """Boxes in the pixels of an image of another size."""
    if across == down == 1:
        return tuple(boxes)
    return tuple(
        replace(
            box,
            x_min=round(box.x_min * across),
            x_max=round(box.x_max * across),
            y_min=round(box.y_min * down),
            y_max=round(box.y_max * down),
        )
        for box in boxes
    )
