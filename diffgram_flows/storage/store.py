"""What every provider's store has in common: it only has to list, sign and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self

from diffgram_flows.errors import DiffgramFlowsError, SigningError
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.base import READ_LIMIT, KeyRange, OnFailure
from diffgram_flows.storage.judging import OnSkip, Wanted, fetchable
from diffgram_flows.storage.planning import plan_ranges
from diffgram_flows.storage.preflight import PreflightReport, inspect_store


class BaseStore(ABC):
    """An :class:`~diffgram_flows.storage.ObjectStore` made of what a provider does in its own way."""

    bucket: str
    urls_die_with_it: bool = False
    _signing_threads = 1
    """URLs that are made at the same time: more where each is a call over the network."""

    @abstractmethod
    def check(self) -> None: ...

    @abstractmethod
    def max_ttl(self) -> timedelta: ...

    @abstractmethod
    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease: ...

    @abstractmethod
    def read(
        self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT
    ) -> bytes: ...

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        """All that is below the prefix, in key order: after ``after``, up to and including ``until``."""

    def iter_objects(
        self,
        prefix: str = "",
        *,
        after: str | None = None,
        until: str | None = None,
        suffixes: Collection[str] = (),
        modified_since: datetime | None = None,
        max_size: int | None = None,
        on_skip: OnSkip | None = None,
    ) -> Iterator[StoredObject]:
        wanted = Wanted(frozenset(suffixes), modified_since, max_size)
        return wanted.sift(self._objects(prefix, after, until), on_skip)

    def plan_ranges(self, prefix: str = "", n: int = 16) -> list[KeyRange]:
        return plan_ranges(self._first_after, prefix, n)

    def sign_many(
        self, objects: Iterable[StoredObject], ttl: timedelta, *, on_failure: OnFailure | None = None
    ) -> Iterator[Lease]:
        make = partial(self.lease, ttl=ttl)
        results = (
            calls(make, objects) if self._signing_threads == 1 else calls_ahead(make, objects, self._signing_threads)
        )
        for obj, result in results:
            try:
                lease = result()
            except DiffgramFlowsError as error:
                if on_failure is None:
                    raise
                on_failure(obj, error)
            else:
                yield lease

    def preflight(self, prefix: str = "", *, ttl: timedelta = timedelta(hours=6)) -> PreflightReport:
        return inspect_store(self, prefix, ttl)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _first_after(self, prefix: str, after: str | None) -> str | None:
        """The first key of the prefix after ``after``, if there is one."""
        return next((obj.key for obj in islice(self._objects(prefix, after, None), 1)), None)


def calls(
    call: Callable[[StoredObject], Lease], objects: Iterable[StoredObject]
) -> Iterator[tuple[StoredObject, Callable[[], Lease]]]:
    """Each object with what makes its lease."""
    for obj in objects:
        yield obj, partial(call, obj)


def calls_ahead(
    call: Callable[[StoredObject], Lease], objects: Iterable[StoredObject], threads: int
) -> Iterator[tuple[StoredObject, Callable[[], Lease]]]:
    """Like :func:`calls`, but at most twice as many as there are threads are begun before they are taken."""
    waiting: deque[tuple[StoredObject, Future[Lease]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="signing")
    try:
        for obj in objects:
            waiting.append((obj, pool.submit(call, obj)))
            if len(waiting) >= 2 * threads:
                first, future = waiting.popleft()
                yield first, future.result
        for first, future in waiting:
            yield first, future.result
    finally:
        pool.shutdown(cancel_futures=True)


def refuse_unfetchable(obj: StoredObject) -> None:
    """Sign nothing that nobody could fetch.

    Raises:
        SigningError: No URL can name the key.
    """
    if not fetchable(obj.key):
        raise SigningError(f"{obj.uri!a} cannot be fetched by a URL.", cure="Rename it, or skip it.")
