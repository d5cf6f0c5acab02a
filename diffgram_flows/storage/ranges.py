"""A long listing in parts: where to cut it without knowing how the keys are made, and how to read the parts at once.

A listing is a chain of pages, each asked for with the end of the one before, so a single one cannot be hurried. Parts
of it can run side by side. Where they begin is found by probes, "the first key after X", which every store answers at
once: a guessed place with keys on both sides is a cut.
"""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from typing import TYPE_CHECKING, Any

from diffgram_flows.models import StoredObject

if TYPE_CHECKING:
    from diffgram_flows.storage.base import KeyRange, ObjectStore

FirstAfter = Callable[[str, str | None], str | None]
"""Prefix and key to the first key of the prefix after it, if there is one."""

_Batch = list[StoredObject] | BaseException | None

PROBES = 40
"""How often a place to cut is guessed between two keys before they are taken for neighbours."""

BATCH = 500
"""Objects that travel from a reading thread at a time."""

AHEAD = 20
"""Batches of a range that are read ahead of whoever takes them."""

_FIRST, _LAST = 0x20, 0x7E
"""Where guesses lie: printable ASCII. Other characters are found in the keys themselves."""


@dataclass(order=True)
class _Piece:
    """Keys from ``first``, which exists, up to and including the bound ``until``."""

    rank: tuple[int, int]
    first: str = field(compare=False)
    until: str | None = field(compare=False)
    start: str | None = field(compare=False)


def plan_ranges(first_after: FirstAfter, prefix: str, n: int) -> list[KeyRange]:
    """See :meth:`ObjectStore.plan_ranges`.

    The piece that was cut least is cut next: nobody tells how many keys lie in it.
    """
    first = first_after(prefix, None)
    if first is None:
        return []
    numbers = count()
    open_pieces = [_Piece((0, next(numbers)), first, None, None)]
    done: list[_Piece] = []
    while open_pieces and len(open_pieces) + len(done) < n:
        piece = heapq.heappop(open_pieces)
        cut = _cut(first_after, prefix, piece)
        if cut is None:
            done.append(piece)
            continue
        place, upper_first = cut
        depth = piece.rank[0] + 1
        heapq.heappush(open_pieces, _Piece((depth, next(numbers)), piece.first, place, piece.start))
        heapq.heappush(open_pieces, _Piece((depth, next(numbers)), upper_first, piece.until, place))
    return sorted(((piece.start, piece.until) for piece in open_pieces + done), key=lambda pair: pair[0] or "")


def _cut(first_after: FirstAfter, prefix: str, piece: _Piece) -> tuple[str, str] | None:
    """A place inside the piece with keys on both sides, and the first key behind it."""
    until = piece.until
    for _ in range(PROBES):
        place = _between(prefix, piece.first, until)
        if place is None:
            return None
        found = first_after(prefix, place)
        if found is not None and (piece.until is None or found <= piece.until):
            return place, found
        until = place  # nothing behind it: the keys are all before
    return None


def _between(prefix: str, first: str, until: str | None) -> str | None:
    """A text about half way from ``first``, which it is not below, to ``until``, which it is below.

    Args:
        prefix: Of both; without ``until`` the keys end with it.
        first: A key.
        until: A bound, not below the key.
    """
    position = len(prefix)
    while position < len(first) and until is not None and until[position : position + 1] == first[position]:
        position += 1
    if until is not None and position >= len(until):
        return None
    for at in range(position, len(first) + 1):
        lower = ord(first[at]) if at < len(first) else _FIRST - 1
        upper = ord(until[at]) if until is not None and at == position else _upper(lower)
        middle = (lower + upper) // 2
        if lower < middle and not 0xD800 <= middle < 0xE000:  # halves of UTF-16 pairs are no characters
            return first[:at] + chr(middle)
    return None


def _upper(lower: int) -> int:
    """What is guessed to be above the character: the end of ASCII, or of the alphabet that it is from."""
    return _LAST + 1 if lower < _LAST else min(lower + 0x400, 0x10FFFF)


def list_parallel(
    store: ObjectStore,
    prefix: str = "",
    *,
    threads: int = 8,
    ranges: Sequence[KeyRange] | None = None,
    in_order: bool = False,
    **filters: Any,
) -> Iterator[StoredObject]:
    """What :meth:`ObjectStore.iter_objects` gives, read in several places of the bucket at the same time.

    Args:
        store: The bucket.
        prefix: How the keys begin.
        threads: Places at the same time.
        ranges: Where to cut; by default planned, four for each thread.
        in_order: Whether to give the objects in key order. It holds up to 10,000 objects of each range back until it is
            the range's turn, so ranges that are much longer make it no faster than one listing. Otherwise each range
            is in order and the ranges are mixed.
        **filters: ``suffixes``, ``modified_since``, ``max_size`` and ``on_skip``, which is never called twice at once.

    Raises:
        StorageError: As :meth:`ObjectStore.iter_objects`; the first that any of the readers meets.
    """
    if ranges is None:
        ranges = store.plan_ranges(prefix, 4 * threads)
    if on_skip := filters.pop("on_skip", None):
        filters["on_skip"] = _one_at_a_time(on_skip)
    readers = _Readers(store, prefix, ranges, filters, in_order=in_order)
    readers.start(min(threads, len(ranges)))
    try:
        yield from readers.objects()
    finally:
        readers.stop()


class _Readers:
    """Threads that read ranges, one after the other in their order, into bounded queues."""

    def __init__(
        self, store: ObjectStore, prefix: str, ranges: Sequence[KeyRange], filters: dict[str, Any], *, in_order: bool
    ) -> None:
        self._store, self._prefix, self._filters = store, prefix, filters
        self._ranges = ranges
        self._todo = iter(range(len(ranges)))
        self._next = threading.Lock()
        self._stopped = threading.Event()
        shared: queue.Queue[_Batch] = queue.Queue(AHEAD)
        self._queues = [queue.Queue(AHEAD) if in_order else shared for _ in ranges]
        self._threads: list[threading.Thread] = []

    def start(self, threads: int) -> None:
        for number in range(threads):
            thread = threading.Thread(target=self._work, name=f"listing-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def objects(self) -> Iterator[StoredObject]:
        for mine in self._queues:  # in key order each has its own; else it is one, and as many ends come out of it
            while (batch := mine.get()) is not None:
                if isinstance(batch, BaseException):
                    raise batch
                yield from batch

    def stop(self) -> None:
        """Let the threads run out; whatever they wait to hand over is dropped."""
        self._stopped.set()
        for thread in self._threads:
            while thread.is_alive():
                for waiting in self._queues:
                    with suppress(queue.Empty):
                        waiting.get_nowait()
                thread.join(0.01)

    def _work(self) -> None:
        while not self._stopped.is_set():
            with self._next:
                number = next(self._todo, None)
            if number is None:
                return
            self._read(self._ranges[number], self._queues[number])

    def _read(self, bounds: KeyRange, out: queue.Queue[_Batch]) -> None:
        try:
            after, until = bounds
            objects = self._store.iter_objects(self._prefix, after=after, until=until, **self._filters)
            while not self._stopped.is_set() and (batch := list(islice(objects, BATCH))):
                out.put(batch)
            out.put(None)
        except BaseException as error:
            out.put(error)


def _one_at_a_time(call: Callable[..., object]) -> Callable[..., object]:
    lock = threading.Lock()

    def locked(*arguments: object) -> object:
        with lock:
            return call(*arguments)

    return locked
