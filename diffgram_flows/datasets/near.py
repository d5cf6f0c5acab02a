"""Which of a million 64-bit hashes are nearly the same: found by equal pieces, not by comparing every two."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from diffgram_flows.errors import ConfigurationError

Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]

MAX_DISTANCE = 8  # beyond, different images are called alike, and equal pieces become too short to help
_BITS = 64
# Two hashes that differ in d bits, cut into d + 2 pieces, have two equal pieces; long distances take three of d + 3.
_LONG = 6
# Comparisons in one pass. Where more hashes than that share pieces, each is compared with its next ones in order.
_BUDGET = 400_000_000
_FEWEST = 64


def near_pairs(hashes: Hashes, distance: int) -> tuple[Places, Places]:
    """Pairs of places whose hashes differ in at most ``distance`` bits, each pair once, the smaller place first.

    Exact as long as no piece of the hashes is shared by more than 400 million / n of n hashes: always for 20,000.

    Args:
        hashes: All different.
        distance: 0 to :data:`MAX_DISTANCE`; nothing is found with 0.

    Raises:
        ConfigurationError: The distance is out of range.
    """
    check_distance(distance)
    count = len(hashes)
    masks = _masks(distance) if distance and count > 1 else []
    found = [_pairs_of(hashes, hashes & mask, distance) for mask in masks]
    # A pair is found once for every choice of equal pieces; one number for both places makes them comparable.
    codes = np.unique(np.concatenate([*found, np.empty(0, np.int64)]))
    return codes // max(1, count), codes % max(1, count)


def check_distance(distance: int) -> None:
    """Raise :class:`ConfigurationError` for a distance that is out of range."""
    if not 0 <= distance <= MAX_DISTANCE:
        raise ConfigurationError(
            f"Near-duplicates cannot be looked for at a distance of {distance} bits.",
            cure=f"Choose 0 to {MAX_DISTANCE}; different images are {MAX_DISTANCE} bits apart and more.",
        )


def bits_apart(one: Hashes, other: Hashes) -> Places:
    """In how many bits the hashes differ, place by place."""
    bits = one ^ other
    bits = bits - ((bits >> np.uint64(1)) & np.uint64(0x5555555555555555))
    bits = (bits & np.uint64(0x3333333333333333)) + ((bits >> np.uint64(2)) & np.uint64(0x3333333333333333))
    bits = (bits + (bits >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return ((bits * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)


def components(count: int, one: Places, other: Places) -> Places:
    """For each of ``count`` things the smallest thing that it is joined with by these pairs, directly or not."""
    root = list(range(count))

    def find(thing: int) -> int:
        while root[thing] != thing:
            root[thing] = root[root[thing]]
            thing = root[thing]
        return thing

    for left, right in zip(one.tolist(), other.tolist(), strict=True):
        left, right = find(left), find(right)
        root[max(left, right)] = min(left, right)
    return np.fromiter((find(thing) for thing in range(count)), np.int64, count)


def _masks(distance: int) -> list[np.uint64]:
    """The bits of every choice of pieces of which one choice must be equal."""
    equal = 3 if distance >= _LONG else 2
    pieces = distance + equal
    borders = [_BITS * piece // pieces for piece in range(pieces + 1)]
    masks = [((1 << end) - 1) ^ ((1 << start) - 1) for start, end in pairwise(borders)]
    return [np.uint64(sum(chosen)) for chosen in combinations(masks, equal)]


def _pairs_of(hashes: Hashes, keys: Hashes, distance: int) -> Places:
    """Near pairs among the hashes with equal keys, as ``smaller place * count + larger place``."""
    count = len(hashes)
    order = np.argsort(keys, kind="stable")
    keys, sorted_hashes = keys[order], hashes[order]
    alike = np.arange(count)
    found = [np.empty(0, np.int64)]
    for step in range(1, max(_FEWEST, _BUDGET // count) + 1):
        alike = alike[: np.searchsorted(alike, count - step)]
        alike = alike[keys[alike] == keys[alike + step]]
        if not len(alike):
            break
        near = alike[bits_apart(sorted_hashes[alike], sorted_hashes[alike + step]) <= distance]
        one, other = order[near], order[near + step]
        found.append(np.minimum(one, other) * count + np.maximum(one, other))
    return np.concatenate(found)
