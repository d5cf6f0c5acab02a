"""Whether what came in since the last snapshot is like what was there: labels, and sizes of boxes.

New images are compared with those of the previous snapshot, and not snapshot with snapshot: a growing set hides what
its newcomers are like. Chance is judged by images, which come independently, and not by boxes, which come in crowds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from diffgram_flows.datasets.census import Census, quantile
from diffgram_flows.datasets.measures import chi_square, kolmogorov_smirnov, stability_index
from diffgram_flows.models import LabelMap

Verdict = Literal["steady", "shifted a little", "shifted", "too few to tell"]
_SLIGHT, _MUCH = 0.1, 0.25  # the usual borders of the population stability index
_UNLIKELY = 0.01
_FEW_IMAGES, _FEW_BOXES = 20, 30
_CLASSES = 10  # of equal weight, into which sizes are put for the index


@dataclass(frozen=True, slots=True)
class Shift:
    """How one distribution moved.

    Attributes:
        index: Population stability index.
        distance: Of Kolmogorov and Smirnov for sizes; for labels half the sum of the differences of shares. 0 to 1.
        chance: How likely chance alone moves it so far.
    """

    index: float
    distance: float
    chance: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class LabelDrift:
    """What became of a label.

    Attributes:
        before: Share of the previous snapshot's images that have it.
        after: Share of the new images that have it.
        chance: How likely chance alone makes this difference.
        verdict: In words.
        size_before, size_after: Median size of its boxes, as a share of the image's side; 0 where there are none.
        sizes: How the sizes of its boxes moved.
    """

    label: str
    before: float
    after: float
    chance: float
    verdict: str
    size_before: float
    size_after: float
    sizes: Shift


@dataclass(frozen=True, slots=True)
class Drift:
    """What came since the previous snapshot, beside it.

    Attributes:
        previous: Id of the previous snapshot.
        images_before: Its images.
        images_new: Images that it does not have.
        empty_before, empty_after: Shares of images without an annotation.
        labels: How the shares of labels among annotations moved.
        sizes: How the sizes of all boxes moved.
        per_label: In order of class index; labels that neither has are left out.
    """

    previous: str
    images_before: int
    images_new: int
    empty_before: float
    empty_after: float
    labels: Shift
    sizes: Shift
    per_label: tuple[LabelDrift, ...]


def drift(before: Census, fresh: Census, label_map: LabelMap, previous: str) -> Drift:
    """Compare the census of the previous snapshot with that of the new images; both count by ``label_map``."""
    images = int(before.images.sum()), int(fresh.images.sum())
    names = list(label_map.display_names().values())
    counts = before.annotations.sum(axis=0), fresh.annotations.sum(axis=0)
    having = before.having.sum(axis=0), fresh.having.sum(axis=0)
    shares = [count / max(1, count.sum()) for count in counts]
    index = stability_index(*counts)
    chance = chi_square(*having)
    there = np.flatnonzero(having[0] + having[1])
    per_label = tuple(_of_label(names[i], i, before, fresh, images, len(there)) for i in there.tolist())
    empty = [float(one.empty.sum() / max(1, one.images.sum())) for one in (before, fresh)]
    return Drift(
        previous=previous,
        images_before=images[0],
        images_new=images[1],
        empty_before=empty[0],
        empty_after=empty[1],
        labels=Shift(index, float(np.abs(shares[0] - shares[1]).sum() / 2), chance, _verdict(index, chance, images)),
        sizes=_sizes(before.sizes.sum(axis=0), fresh.sizes.sum(axis=0), (before.with_boxes, fresh.with_boxes)),
        per_label=per_label,
    )


def _of_label(name: str, label: int, before: Census, fresh: Census, images: tuple[int, int], tests: int) -> LabelDrift:
    having = int(before.having[:, label].sum()), int(fresh.having[:, label].sum())
    shares = having[0] / max(1, images[0]), having[1] / max(1, images[1])
    lacking = images[0] - having[0], images[1] - having[1]
    chance = chi_square(np.array([having[0], lacking[0]]), np.array([having[1], lacking[1]]))
    likely = chance * tests >= _UNLIKELY  # one of many labels is always the odd one
    sizes = before.sizes[label], fresh.sizes[label]
    return LabelDrift(
        name,
        *shares,
        chance,
        _of_share(having, shares, likely, images),
        quantile(sizes[0], 0.5),
        quantile(sizes[1], 0.5),
        _sizes(*sizes, having),
    )


def _of_share(having: tuple[int, int], shares: tuple[float, float], likely: bool, images: tuple[int, int]) -> str:
    if not having[0]:
        return "new"
    if likely:
        return "steady" if min(images) >= _FEW_IMAGES else "too few to tell"
    if not having[1]:
        return "gone"
    return "more often" if shares[1] > shares[0] else "less often"


def _sizes(before: npt.NDArray[np.int64], after: npt.NDArray[np.int64], images: tuple[int, int]) -> Shift:
    distance, chance = kolmogorov_smirnov(before, after, (max(1, images[0]), max(1, images[1])))
    borders = np.searchsorted(before.cumsum(), before.sum() * np.arange(1, _CLASSES) / _CLASSES)
    classes = [np.add.reduceat(np.append(one, 0), [0, *np.unique(borders + 1)]) for one in (before, after)]
    index = stability_index(*classes)
    few = min(int(before.sum()), int(after.sum())) < _FEW_BOXES
    return Shift(index, distance, chance, "too few to tell" if few else _verdict(index, chance, images))


def _verdict(index: float, chance: float, images: tuple[int, int]) -> Verdict:
    if index < _SLIGHT:
        return "steady" if min(images) >= _FEW_IMAGES else "too few to tell"
    if chance >= _UNLIKELY:
        return "too few to tell"
    return "shifted" if index > _MUCH else "shifted a little"
