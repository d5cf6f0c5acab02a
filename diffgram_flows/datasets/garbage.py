"""Python's search for reference cycles, held back where millions of small objects come and go without any."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_RARELY = 100_000  # objects between two searches, of which nearly all are gone by then
_lock = threading.Lock()
_users = 0
_before = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Search for cycles rarely while the block runs: otherwise it is half of the cost of reading an export.

    Cycles are still found, of other threads, too. May be entered by several threads at the same time.
    """
    global _users, _before
    with _lock:
        if not _users:
            _before = gc.get_threshold()
            if 0 < _before[0] < _RARELY:  # 0: somebody has switched it off
                gc.set_threshold(_RARELY, *_before[1:])
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                gc.set_threshold(*_before)
