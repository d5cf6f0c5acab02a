"""How much of what is in a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

import numpy as np
import numpy.typing as npt

from diffgram_flows.models import AnnotationType, LabelMap, Split

SPLITS: tuple[Split, ...] = get_args(Split)
_TYPES: tuple[AnnotationType, ...] = get_args(AnnotationType)
_WITH_AREA = [_TYPES.index("box"), _TYPES.index("polygon")]


@dataclass(frozen=True, slots=True)
class SplitStatistics:
    """Counts of one split.

    Attributes:
        images: All images.
        empty: Images without an annotation: people found nothing to draw.
        boxes: Boxes, and polygons, around which there is one.
        per_label: Annotations by label name, in order of class index, labels without one included.
        per_type: Annotations by type, types without one left out.
    """

    images: int
    empty: int
    boxes: int
    per_label: dict[str, int]
    per_type: dict[str, int] = field(default_factory=dict)


class Tally:
    """Counts images and annotations by split, label and type, many at once.

    Args:
        label_map: Holds every label that will be counted.
    """

    def __init__(self, label_map: LabelMap) -> None:
        self._names = list(label_map.display_names().values())
        ids = np.array([label_file_id for label_file_id, _ in label_map.labels], np.int64)
        self._order = np.argsort(ids)
        self._ids = ids[self._order]
        self._annotations = np.zeros((len(SPLITS), max(1, len(ids)), len(_TYPES)), np.int64)
        self._images = np.zeros((len(SPLITS), 2), np.int64)

    def add_images(self, splits: npt.NDArray[np.int8], counts: npt.NDArray[np.int64]) -> None:
        """Count images by the place of their split in :data:`SPLITS` and their number of annotations."""
        np.add.at(self._images, (splits, (counts == 0).astype(np.int8)), 1)

    def add_annotations(
        self, splits: npt.NDArray[np.int8], labels: npt.NDArray[np.int64], types: npt.NDArray[np.int8]
    ) -> None:
        """Count annotations by split, label file id and type."""
        if len(labels):
            places = self._order[np.searchsorted(self._ids, labels)]
            shape = self._annotations.shape
            cells = np.ravel_multi_index((splits, places, types), shape)
            self._annotations += np.bincount(cells, minlength=self._annotations.size).reshape(shape)

    def by_split(self) -> dict[Split, SplitStatistics]:
        """The statistics of each split, empty ones included."""
        return {
            split: self._statistics(self._images[place], self._annotations[place]) for place, split in enumerate(SPLITS)
        }

    def total(self) -> SplitStatistics:
        """The statistics of everything."""
        return self._statistics(self._images.sum(axis=0), self._annotations.sum(axis=0))

    def _statistics(self, images: npt.NDArray[np.int64], annotations: npt.NDArray[np.int64]) -> SplitStatistics:
        per_type = dict(zip(_TYPES, annotations.sum(axis=0).tolist(), strict=True))
        return SplitStatistics(
            images=int(images.sum()),
            empty=int(images[1]),
            boxes=int(annotations[:, _WITH_AREA].sum()),
            per_label=dict(zip(self._names, annotations.sum(axis=1).tolist(), strict=False)),
            per_type={name: number for name, number in per_type.items() if number},
        )


def twins(contents: npt.NDArray[np.int64], splits: npt.NDArray[np.int8]) -> int:
    """How many images have the same bytes as one of another split: they make a judgement look better than it is.

    Args:
        contents: For each image a number from 0 on, equal where the bytes are equal.
        splits: For each image the place of its split in :data:`SPLITS`.
    """
    seen = np.zeros((int(contents.max(initial=-1)) + 1, len(SPLITS)), np.int64)
    np.add.at(seen, (contents, splits), 1)
    torn = (seen > 0).sum(axis=1) > 1
    return int(seen[torn].sum())
