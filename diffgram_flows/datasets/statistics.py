"""How much of what is in a snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from diffgram_flows.datasets.labels import display_names
from diffgram_flows.models import LabelMap, Sample, Split

SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(frozen=True, slots=True)
class SplitStatistics:
    """Counts of one split.

    Attributes:
        images: All images.
        empty: Images without a box: people found nothing to draw.
        boxes: All boxes.
        per_label: Boxes by label name, in order of class index, labels without a box included.
    """

    images: int
    empty: int
    boxes: int
    per_label: dict[str, int]


def count(samples: Iterable[Sample], label_map: LabelMap) -> SplitStatistics:
    """The statistics of these samples, whatever their split."""
    images = empty = 0
    boxes: Counter[int] = Counter()
    for sample in samples:
        images += 1
        empty += not sample.boxes
        boxes.update(box.label_file_id for box in sample.boxes)
    names = display_names(label_map)
    return SplitStatistics(images, empty, boxes.total(), {name: boxes[i] for i, name in names.items()})


def count_by_split(samples: Iterable[Sample], label_map: LabelMap) -> dict[Split, SplitStatistics]:
    """The statistics of each split, empty ones included."""
    every = list(samples)
    return {split: count((sample for sample in every if sample.split == split), label_map) for split in SPLITS}


def twins(samples: Iterable[Sample]) -> int:
    """How many images have the same bytes as one of another split: they make a judgement look better than it is."""
    splits: dict[str, Counter[Split]] = {}
    for sample in samples:
        splits.setdefault(sample.sha256, Counter())[sample.split] += 1
    return sum(counts.total() for counts in splits.values() if len(counts) > 1)
