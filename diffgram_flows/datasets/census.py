"""One walk through the samples of a snapshot: what is counted, and what is kept to be shown."""

from __future__ import annotations

import heapq
import math
import zlib
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from diffgram_flows.datasets.statistics import SPLITS
from diffgram_flows.datasets.suspicion import Kind, Suspicion, suspicions
from diffgram_flows.models import Box, LabelMap, Sample

BINS = 96  # of sizes: six for each halving of the side, from the whole image down to a 65,000th of it
_PER_HALF = 6
_SHOWN = 8
_BATCH = 20_000
Thing = TypeVar("Thing")


class Few(Generic[Thing]):
    """A few of many things for each of several kinds: always the same ones, and not the first ones."""

    def __init__(self, most: int = _SHOWN) -> None:
        self._most = most
        self._kept: dict[Hashable, list[tuple[int, int, Thing]]] = {}
        self._count = 0

    def offer(self, kind: Hashable, name: int, thing: Thing) -> None:
        """Keep it if its number's hash is among the lowest of its kind."""
        kept = self._kept.setdefault(kind, [])
        self._count += 1
        entry = (-zlib.crc32(name.to_bytes(8)), self._count, thing)
        if len(kept) < self._most:
            heapq.heappush(kept, entry)
        elif entry > kept[0]:
            heapq.heapreplace(kept, entry)

    def of(self, kind: Hashable) -> tuple[Thing, ...]:
        """What was kept, in a fixed order."""
        return tuple(thing for *_, thing in sorted(self._kept.get(kind, ()), reverse=True))


@dataclass
class Census:
    """Counts of samples; numbers of labels are class indices.

    Attributes:
        label_map: Holds every label that is counted.
        images: By split.
        empty: Images without an annotation, by split.
        annotations: By split and label.
        having: Images with the label, by split and label.
        sizes: Boxes by label and bin of size; see :func:`size_of_bin`.
        with_boxes: Images with a box.
        scale: Boxes by label of less than 32 x 32 pixels, less than 96 x 96, and larger, as COCO counts.
        suspicious: By kind.
        odd: Some of the suspicious ones, by kind.
        shown: Some samples of each label, by class index; ``None`` are those without an annotation.
    """

    label_map: LabelMap
    images: npt.NDArray[np.int64] = field(init=False)
    empty: npt.NDArray[np.int64] = field(init=False)
    annotations: npt.NDArray[np.int64] = field(init=False)
    having: npt.NDArray[np.int64] = field(init=False)
    sizes: npt.NDArray[np.int64] = field(init=False)
    scale: npt.NDArray[np.int64] = field(init=False)
    with_boxes: int = 0
    suspicious: Counter[Kind] = field(default_factory=Counter)
    odd: Few[Suspicion] = field(default_factory=Few)
    shown: Few[Sample] = field(default_factory=Few)

    def __post_init__(self) -> None:
        labels = len(self.label_map.labels)
        self._index = self.label_map.index_of()
        self.images, self.empty = np.zeros(len(SPLITS), np.int64), np.zeros(len(SPLITS), np.int64)
        self.annotations = np.zeros((len(SPLITS), labels), np.int64)
        self.having = np.zeros((len(SPLITS), labels), np.int64)
        self.sizes, self.scale = np.zeros((labels, BINS), np.int64), np.zeros((labels, 3), np.int64)
        self._boxes: list[tuple[int, int, int]] = []

    def add(self, sample: Sample, *, examples: bool = True) -> None:
        """Count a sample; ``examples`` are looked for only where they are wanted."""
        split = SPLITS.index(sample.split)
        self.images[split] += 1
        self.empty[split] += not sample.annotations
        found = Counter(self._index[annotation.label_file_id] for annotation in sample.annotations)
        for label, count in found.items():
            self.annotations[split, label] += count
            self.having[split, label] += 1
        boxes = sample.boxes
        self.with_boxes += bool(boxes)
        pixels = sample.width * sample.height
        self._boxes += [(self._index[box.label_file_id], box.area, pixels) for box in boxes]
        if len(self._boxes) >= _BATCH:
            self._count_boxes()
        if examples:
            self._keep(sample, boxes, found)

    def done(self) -> Census:
        """This, with everything counted."""
        self._count_boxes()
        return self

    def _keep(self, sample: Sample, boxes: tuple[Box, ...], labels: Iterable[int]) -> None:
        for one in suspicions(sample, boxes):
            self.suspicious[one.kind] += 1
            self.odd.offer(one.kind, sample.file_id, one)
        for label in labels:
            self.shown.offer(label, sample.file_id, sample)
        if not sample.annotations:
            self.shown.offer(None, sample.file_id, sample)

    def _count_boxes(self) -> None:
        if not self._boxes:
            return
        label, area, pixels = np.array(self._boxes, np.int64).T
        self._boxes = []
        halvings = -np.log2(np.maximum(1, area) / pixels) / 2  # of the side
        np.add.at(self.sizes, (label, np.clip(halvings * _PER_HALF, 0, BINS - 1).astype(np.int64)), 1)
        np.add.at(self.scale, (label, np.digitize(area, (32 * 32, 96 * 96))), 1)


def census(samples: Iterable[Sample], label_map: LabelMap, *, examples: bool = True) -> Census:
    """Count samples."""
    counted = Census(label_map)
    for sample in samples:
        counted.add(sample, examples=examples)
    return counted.done()


def size_of_bin(place: float) -> float:
    """The size of a box at the upper edge of a bin: the side of a square of its area, as a share of the image's."""
    return math.pow(2, -place / _PER_HALF)


def quantile(sizes: npt.NDArray[np.int64], share: float) -> float:
    """The size that this share of the boxes does not exceed, to within a bin; 0 where there are none."""
    total = int(sizes.sum())
    if not total:
        return 0.0
    larger = total - math.ceil(share * total)  # bins go from large to small
    return size_of_bin(int(np.searchsorted(sizes.cumsum(), larger, side="right")) + 0.5)
