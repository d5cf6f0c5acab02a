"""Prefect's log in a terminal, without what the command itself says better."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging.handlers import PrefectConsoleHandler

from diffgram_flows.errors import DiffgramFlowsError

_RUNS = ("prefect.flow_runs", "prefect.task_runs")
_EXCEPTION = re.compile(r"encountered an exception (\w+):")


@contextmanager
def own_errors_told_once() -> Iterator[None]:
    """Keep what the caller tells anyway, our own errors and Ctrl+C, out of Prefect's log in the terminal.

    The log that goes to the Prefect API stays as it is. With DIFFGRAM_FLOWS_DEBUG nothing is kept out.
    """
    if os.environ.get("DIFFGRAM_FLOWS_DEBUG"):
        yield
        return
    for name in ("EventsWorker", "APILogWorker"):
        logging.getLogger(name).addFilter(_at_exit)
    news = _News()
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, PrefectConsoleHandler)]
    for handler in handlers:
        handler.addFilter(news)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(news)


class _AtExit(logging.Filter):
    """Holds back the first word on what is still under way when the process ends.

    Prefect gives it at once, and only after seconds again (3.8, ``_internal/concurrency/services.py``).
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.getMessage().startswith("Still processing") or record.name in self._told:
            return True
        self._told.add(record.name)
        return False


_at_exit = _AtExit()


class _News(logging.Filter):
    """Lets through what is of anything else than a run that ended with what the caller tells."""

    def __init__(self) -> None:
        super().__init__()
        self._ended: set[str | None] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith(_RUNS) or record.levelno < logging.ERROR:
            return True
        run = getattr(record, "task_run_id", None) or getattr(record, "flow_run_id", None)
        error = (record.exc_info or sys.exc_info())[1]  # Prefect logs a crash while it handles it, without naming it
        if isinstance(error, (DiffgramFlowsError, KeyboardInterrupt)):
            self._ended.add(run)
            return False
        # In which state it ended comes last, without the error; where no retry was worth it, nothing comes before.
        return error is not None or (run not in self._ended and not _names_ours(record.getMessage()))


def _names_ours(message: str) -> bool:
    """Whether a state's message begins with the class of one of our own errors."""
    found = _EXCEPTION.search(message)
    return found is not None and found[1] in _names(DiffgramFlowsError)


def _names(error: type[Exception]) -> set[str]:
    return {error.__name__}.union(*map(_names, error.__subclasses__()))
