"""One piece of work for each of many things, on threads, where one bad thing does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

from diffgram_flows.errors import DiffgramFlowsError
from diffgram_flows.models import Progress, no_progress

T = TypeVar("T")
R = TypeVar("R")

# So many passing troubles are no longer odd objects: the store or the server is down.
_OUTAGE = 10


def gather(
    work: Callable[[T], R],
    items: Iterable[T],
    *,
    threads: int = 8,
    progress: Progress = no_progress,
    note: str = "",
) -> list[tuple[T, R | DiffgramFlowsError]]:
    """The results in the order of ``items``; where the work raised an error of ours, that error.

    Raises:
        DiffgramFlowsError: More than ten errors that a retry may cure. A store that is down must not look like a
            data set that has become small.
    """
    with ThreadPoolExecutor(max(1, threads)) as pool:
        futures = [(item, pool.submit(work, item)) for item in items]
        try:
            _watch([future for _, future in futures], progress, note)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    outcomes: list[tuple[T, R | DiffgramFlowsError]] = []
    for item, future in futures:
        error = future.exception()
        outcomes.append((item, error if isinstance(error, DiffgramFlowsError) else future.result()))
    return outcomes


def _watch(futures: Sequence[Future[R]], progress: Progress, note: str) -> None:
    """Wait for all, or until something happens that is not one thing's own trouble."""
    troubles = 0
    for done, future in enumerate(as_completed(futures), 1):
        error = future.exception()
        if error is not None and not isinstance(error, DiffgramFlowsError):
            raise error
        if error is not None and error.retryable:
            troubles += 1
            if troubles > _OUTAGE:
                raise error
        progress(done, len(futures), note)
