"""The five ways in which the recorded server writes a moment; all of them UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import formatdate


def iso(moment: float) -> str:
    """``2026-11-22T06:28:11.494238``."""
    return _utc(moment).isoformat(timespec="microseconds")


def spaced(moment: float | None) -> str:
    """``2026-11-22 06:39:34.939720``, and the word ``None`` for no moment."""
    return "None" if moment is None else _utc(moment).isoformat(" ", timespec="microseconds")


def spaced_seconds(moment: float) -> str:
    """``2026-11-22 06:28:11``."""
    return _utc(moment).isoformat(" ", timespec="seconds")


def http_date(moment: float | None) -> str | None:
    """``Sun, 22 Nov 2026 06:29:50 GMT``."""
    return None if moment is None else formatdate(moment, usegmt=True)


def duration(seconds: float) -> str:
    """``0:00:01.456013``."""
    return str(timedelta(seconds=max(0.0, seconds)))


def start_of_day(text: str) -> float:
    """The moment at which the day ``2026-11-22`` begins.

    Raises:
        ValueError: The text is no such day.
    """
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
