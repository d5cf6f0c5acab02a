"""What every provider's store has in common: it only has to list, sign and read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Self

from diffgram_flows.errors import DiffgramFlowsError, SigningError
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.base import READ_LIMIT, KeyRange, OnFailure
from diffgram_flows.storage.judging import OnSkip, Wanted, fetchable
from diffgram_flows.storage.preflight import PreflightReport, inspect_store
from diffgram_flows.storage.ranges import plan_ranges


class BaseStore(ABC):
    """An :class:`~diffgram_flows.storage.ObjectStore` made of what a provider does in its own way."""

    bucket: str

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
        for obj in objects:
            try:
                lease = self.lease(obj, ttl)
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


def refuse_unfetchable(obj: StoredObject) -> None:
    """Sign nothing that nobody could fetch.

    Raises:
        SigningError: No URL can name the key.
    """
    if not fetchable(obj.key):
        raise SigningError(f"{obj.uri!a} cannot be fetched by a URL.", cure="Rename it, or skip it.")
