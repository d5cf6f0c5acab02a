"""Prefect's log in a terminal, without what the command itself says better."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.logging.handlers import PrefectConsoleHandler

from diffgram_flows.errors import DiffgramFlowsError

_RUNS = ("prefect.flow_runs", "prefect.task_runs")


@contextmanager
def own_errors_told_once() -> Iterator[None]:
    """Keep what the caller tells anyway, our own errors and Ctrl+C, out of Prefect's log in the terminal.

    The log that goes to the Prefect API stays as it is. With DIFFGRAM_FLOWS_DEBUG nothing is kept out.
    """
    if os.environ.get("DIFFGRAM_FLOWS_DEBUG"):
        yield
        return
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, PrefectConsoleHandler)]
    for handler in handlers:
        handler.addFilter(_tells_news)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(_tells_news)


def _tells_news(record: logging.LogRecord) -> bool:
    """Whether a record is of anything else than a run that ended with what the caller tells."""
    if not record.name.startswith(_RUNS) or record.levelno < logging.ERROR:
        return True
    error = (record.exc_info or sys.exc_info())[1]  # Prefect logs a crash while it handles it, without naming it
    return not isinstance(error, (DiffgramFlowsError, KeyboardInterrupt))
