"""Where to cut a long listing, without knowing how its keys are made.

The only question asked is "which is the first key after X?", which every store answers at once. Keys that begin alike
are a branch of a tree; asking for the first key behind a branch finds the next one, so that no question is a guess into
nothing. The branch that is thought to hold most keys is opened next, taking its neighbours for equally full.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby

Probe = Callable[[str], str | None]
"""A text to the first key after it, if there is one."""

AT_ONCE = 8
"""Branches that are opened at the same time."""

PROBES_AT_ONCE = 16
"""Questions that are asked at the same time."""

STRIDE = 5
"""Characters between the places where a fork is entered, to be walked from each of them at the same time."""


@dataclass(frozen=True, slots=True)
class _Branch:
    """Keys that begin alike.

    Attributes:
        after: They come after this text.
        first: The first of them.
        until: They come before or with this text.
        shared: How many characters they have in common at least.
        share: The part of all keys that they are thought to be.
    """

    after: str | None
    first: str
    until: str | None
    shared: int
    share: float

    def holds(self, key: str | None) -> bool:
        """Whether a key that comes after the first one is among them."""
        return key is not None and (self.until is None or key <= self.until)


def plan_ranges(
    first_after: Callable[[str, str | None], str | None], prefix: str, n: int
) -> list[tuple[str | None, str | None]]:
    """See :meth:`ObjectStore.plan_ranges`.

    Args:
        first_after: Prefix and key to the first key of the prefix after it.
        prefix: How the keys begin.
        n: How many ranges at most.
    """
    first = first_after(prefix, None)
    if first is None:
        return []
    branches, single = [_Branch(None, first, None, len(prefix), 1.0)], set[_Branch]()
    with (
        ThreadPoolExecutor(PROBES_AT_ONCE, thread_name_prefix="probing") as probing,
        ThreadPoolExecutor(AT_ONCE, thread_name_prefix="planning") as pool,
    ):
        opener = _Opener(partial(first_after, prefix), probing)
        while len(branches) < n:
            heavy = sorted((branch for branch in branches if branch not in single), key=lambda branch: -branch.share)
            chosen = heavy[: min(AT_ONCE, n - len(branches))]
            if not chosen:
                break
            opened = dict(zip(chosen, pool.map(opener.open, chosen), strict=True))
            single.update(branch for branch, parts in opened.items() if len(parts) == 1)
            branches = [part for branch in branches for part in opened.get(branch, [branch])]
    return _ranges(branches, n)


def _ranges(branches: list[_Branch], n: int) -> list[tuple[str | None, str | None]]:
    """At most ``n`` groups of neighbours that are thought to be equally full."""
    middles, below = [], 0.0
    for branch in branches:
        middles.append(below + branch.share / 2)
        below += branch.share
    groups = groupby(zip(middles, branches, strict=True), key=lambda pair: int(pair[0] * n))
    starts = [next(group)[1].after for _, group in groups]
    return list(zip(starts, [*starts[1:], None], strict=True))


class _Opener:
    """Finds the branches of a branch.

    Args:
        probe: Asks the store.
        pool: For questions that do not wait for each other.
    """

    def __init__(self, probe: Probe, pool: ThreadPoolExecutor) -> None:
        self._probe, self._pool = probe, pool

    def open(self, branch: _Branch) -> list[_Branch]:
        """The branches of a branch; itself alone if it is a single key."""
        fork = self._fork(branch)
        if fork is None:  # all other keys begin with the whole first one
            second = self._probe(branch.first)
            found = [(branch.after, branch.first)]
            found += [(branch.first, second)] if second is not None and branch.holds(second) else []
            length = len(branch.first)
        else:
            found, length = self._forks(branch, fork), fork + 1
        if len(found) == 1:
            return [branch]
        untils = [after for after, _ in found[1:]] + [branch.until]
        share = branch.share / len(found)
        return [
            _Branch(after, first, until, min(length, len(first)), share)
            for (after, first), until in zip(found, untils, strict=True)
        ]

    def _fork(self, branch: _Branch) -> int | None:
        """The first character in which not all keys of a branch are alike.

        It is sought by doubling steps and then by halving, since keys often have a long beginning in common.
        """
        low, step = branch.shared, 1
        while low < len(branch.first):
            high = min(low + step, len(branch.first)) - 1
            if not self._all_alike(branch, high):
                break
            low, step = high + 1, step * 2
        else:
            return None
        while low < high:  # alike before ``low``, not alike at ``high``
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._all_alike(branch, middle) else (low, middle)
        return high

    def _all_alike(self, branch: _Branch, position: int) -> bool:
        """Whether no key has another character there or before."""
        return not branch.holds(self._probe(_behind(branch.first[: position + 1])))

    def _forks(self, branch: _Branch, fork: int) -> list[tuple[str | None, str]]:
        """Where each branch at a fork begins, and its first key."""
        stem = branch.first[:fork]
        places = [stem + chr(code) for code in range(ord(branch.first[fork]) + STRIDE, 0x7F, STRIDE)]
        places = [place for place in places if branch.holds(place)]
        starts: list[tuple[str | None, str]] = [(branch.after, branch.first)]
        for place, key in zip(places, self._pool.map(self._probe, places), strict=True):
            if key is not None and branch.holds(key) and key != starts[-1][1]:
                starts.append((place, key))
        ends = [after for after, _ in starts[1:]] + [branch.until]
        walks = self._pool.map(partial(self._walk, fork), starts, ends)
        return [step for walk in walks for step in walk]

    def _walk(self, fork: int, start: tuple[str | None, str], end: str | None) -> list[tuple[str | None, str]]:
        """From branch to branch, up to and including ``end``."""
        found = [start]
        while len(found[-1][1]) > fork:
            place = _behind(found[-1][1][: fork + 1])
            key = self._probe(place)
            if key is None or key <= found[-1][1] or (end is not None and key > end):
                break
            found.append((place, key))
        return found


def _behind(beginning: str) -> str:
    """The least text after all keys that begin so: its last character replaced by the next one."""
    following = ord(beginning[-1]) + 1
    if following == 0xD800:  # up to 0xDFFF they are halves of UTF-16 pairs and no characters
        following = 0xE000
    return beginning[:-1] + chr(min(following, 0x10FFFF))


def prefix_end(prefix: str) -> str:
    """The least text after all keys of a prefix, empty if there is none."""
    return _behind(prefix) if prefix else ""
