"""Leaks: images of different splits that show the same, so that a brain is judged by what it has learned by heart.

Two images are twins if their bytes are the same, or if their perceptual hashes differ in a few bits: the same
photograph, encoded anew, resized, brightened or cropped a little. An image without features is the twin of its own
bytes only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from diffgram_flows.datasets.near import Places, bits_apart, check_distance, components, near_pairs
from diffgram_flows.datasets.statistics import SPLITS
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Split
from diffgram_flows.perceptual import FEATURELESS, NEAR

Policy = Literal["report", "move"]
_NOBODY = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Leak:
    """An image that has an elder twin in another split; of several the eldest.

    Attributes:
        distance: In how many bits their hashes differ.
        same_bytes: Whether the two files are the same.
    """

    file_id: int
    split: Split
    elder_id: int
    elder_split: Split
    distance: int
    same_bytes: bool


@dataclass(frozen=True, slots=True)
class Move:
    """An image that went into the split of its elder."""

    file_id: int
    before: Split
    after: Split
    elder_id: int


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of the splits.

    Attributes:
        splits: Of each image, in the order in which they were given.
        leaks: Those that are left.
        moved: Images that changed their split.
    """

    splits: list[Split]
    leaks: tuple[Leak, ...]
    moved: tuple[Move, ...]


def settle_leaks(
    file_ids: Sequence[int] | npt.NDArray[np.int64],
    splits: Sequence[Split],
    phashes: Sequence[int] | npt.NDArray[np.uint64],
    sha256s: Sequence[str],
    *,
    policy: Policy = "report",
    distance: int = NEAR,
    fixed: Collection[int] = (),
    groups: Sequence[str] | None = None,
) -> Settled:
    """Find twins in different splits, and bring them together if that is wanted.

    With ``move``, all images that are twins of each other, directly or through others, go into the split of the
    eldest. Elder is what is ``fixed``, and then what has the smaller file id.

    Args:
        file_ids: Diffgram's ids, each once.
        splits: Of each image; of a fixed one the split that it has in the parent snapshot.
        phashes: See :func:`~diffgram_flows.perceptual.perceptual_hash`.
        sha256s: Of each image's bytes.
        policy: Only look, or move.
        distance: How many bits twins may differ in.
        fixed: Files that never move: those of the parent snapshot.
        groups: Of each image what keeps it together with others, empty for none; what moves takes its group along.

    Raises:
        ConfigurationError: The distance is out of range.
        DatasetError: The sequences are of different lengths.
    """
    check_distance(distance)
    if len({len(file_ids), len(splits), len(phashes), len(sha256s), len(file_ids if groups is None else groups)}) > 1:
        raise DatasetError("Ids, splits and hashes are of different lengths.", cure="Give one of each for every image.")
    pictures = _Pictures(file_ids, phashes, sha256s, fixed, distance)
    codes = np.array([SPLITS.index(split) for split in splits], np.int64)
    moved: tuple[Move, ...] = ()
    if policy == "move" and len(codes):
        after, elders = pictures.together(codes, groups)
        moved = tuple(
            Move(int(pictures.ids[i]), SPLITS[codes[i]], SPLITS[after[i]], int(pictures.ids[elders[i]]))
            for i in np.flatnonzero(after != codes)
        )
        codes = after
    return Settled([SPLITS[code] for code in codes.tolist()], pictures.leaks(codes), moved)


class _Pictures:
    """Images, the different pictures among them (nodes), and which pictures are near each other (edges)."""

    def __init__(
        self,
        file_ids: Sequence[int] | npt.NDArray[np.int64],
        phashes: Sequence[int] | npt.NDArray[np.uint64],
        sha256s: Sequence[str],
        fixed: Collection[int],
        distance: int,
    ) -> None:
        self.ids = np.asarray(file_ids, np.int64)
        self._hashes = np.asarray(phashes, np.uint64)
        self._sha256s = sha256s
        self._fixed = np.isin(self.ids, np.fromiter(fixed, np.int64, len(fixed)))
        self._by_rank = np.lexsort((self.ids, ~self._fixed))
        self._rank = np.empty(len(self.ids), np.int64)
        self._rank[self._by_rank] = np.arange(len(self.ids))
        telling, self._node = np.unique(self._hashes, return_inverse=True)
        self._one, self._other = near_pairs(telling, distance)
        if len(telling) and telling[0] == FEATURELESS:
            self._split_featureless(len(telling))
        self._nodes = int(self._node.max(initial=-1)) + 1

    def leaks(self, splits: Places) -> tuple[Leak, ...]:
        """Every image with an elder twin in another split."""
        first = np.full((self._nodes, len(SPLITS)), _NOBODY)
        np.minimum.at(first, (self._node, splits), self._rank)
        others = np.stack([np.delete(first, split, axis=1).min(axis=1) for split in range(len(SPLITS))], axis=1)
        eldest = others.copy()
        np.minimum.at(eldest, self._one, others[self._other])
        np.minimum.at(eldest, self._other, others[self._one])
        elder = eldest[self._node, splits]
        newer = np.flatnonzero(elder < self._rank)
        newer = newer[np.argsort(self.ids[newer])]
        elders = self._by_rank[elder[newer]]
        apart = bits_apart(self._hashes[newer], self._hashes[elders])
        return tuple(
            Leak(
                int(self.ids[image]),
                SPLITS[splits[image]],
                int(self.ids[twin]),
                SPLITS[splits[twin]],
                bits,
                self._sha256s[image] == self._sha256s[twin],
            )
            for image, twin, bits in zip(newer.tolist(), elders.tolist(), apart.tolist(), strict=True)
        )

    def together(self, splits: Places, groups: Sequence[str] | None) -> tuple[Places, Places]:
        """The splits after every image went to its elder's, and the place of each one's elder."""
        one, other = self._one, self._other
        if groups is not None:
            named, group = np.unique(np.asarray(groups, object).astype(str), return_inverse=True)
            tied = named[group] != ""
            one = np.concatenate([one, self._node[tied]])
            other = np.concatenate([other, self._nodes + group[tied]])
        count = self._nodes + (0 if groups is None else len(named))
        whole = components(count, one, other)[self._node]
        eldest = np.full(count, _NOBODY)
        np.minimum.at(eldest, whole, self._rank)
        elders = self._by_rank[eldest[whole]]
        return np.where(self._fixed, splits, splits[elders]), elders

    def _split_featureless(self, nodes: int) -> None:
        """Images without features are one picture by their hash, and as many as there are different bytes in truth."""
        flat = np.flatnonzero(self._hashes == FEATURELESS)
        _, number = np.unique(np.array([self._sha256s[i] for i in flat.tolist()]), return_inverse=True)
        self._node[flat] = np.where(number == 0, 0, nodes + number - 1)
        telling = (self._one != 0) & (self._other != 0)
        self._one, self._other = self._one[telling], self._other[telling]
