"""A long listing, read in several places at the same time.

A listing is a chain of pages, each asked for with the end of the one before, so a single one cannot be hurried. Parts
of it can be read side by side; where they begin is planned in :mod:`~diffgram_flows.storage.planning`.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from diffgram_flows.models import StoredObject

if TYPE_CHECKING:
    from diffgram_flows.storage.base import KeyRange, ObjectStore

_Batch = list[StoredObject] | BaseException | None

BATCH = 500
"""Objects that travel from a reading thread at a time."""

AHEAD = 20
"""Batches of a range that are read ahead of whoever takes them."""


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
        ranges: Where to cut; by default planned, two for each thread.
        in_order: Whether to give the objects in key order. It holds up to 10,000 objects of each range back until it is
            the range's turn, so ranges that are much longer make it no faster than one listing. Otherwise each range
            is in order and the ranges are mixed.
        **filters: ``suffixes``, ``modified_since``, ``max_size`` and ``on_skip``, which is never called twice at once.

    Raises:
        StorageError: As :meth:`ObjectStore.iter_objects`; the first that any of the readers meets.
    """
    if ranges is None:
        ranges = store.plan_ranges(prefix, 2 * threads)
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
