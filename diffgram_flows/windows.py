"""Sliding windows over time: what was recorded last, for a judgement of what a brain will meet next."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Sample

DAYS = (30, 60, 180)
_DAY = 86_400.0
_PARTS = ("year", "month", "day", "hour", "minute", "second")


@dataclass(frozen=True, slots=True)
class Window:
    """The samples of the last days.

    Attributes:
        days: How far it reaches back.
        since, until: Seconds since 1970; a sample of either moment is in it.
        samples: In the order in which they were given.
        undated: Samples of which nobody knows the time. They are in no window.
        future: Samples that are later than the window's end. They are in no window.
    """

    days: float
    since: float
    until: float
    samples: tuple[Sample, ...]
    undated: int
    future: int


def recent(samples: Iterable[Sample], days: float, now: float, *, pattern: str = "") -> tuple[Sample, ...]:
    """The samples of the last ``days`` before ``now`` (seconds since 1970), in their order; see :func:`windows`."""
    return windows(samples, (days,), now, pattern=pattern)[0].samples


def windows(samples: Iterable[Sample], days: Sequence[float], now: float, *, pattern: str = "") -> tuple[Window, ...]:
    r"""Windows that end at ``now`` and reach back for ``days`` each, in the order of ``days``.

    Args:
        samples: Read once.
        days: For example :data:`DAYS`.
        now: Their common end, in seconds since 1970.
        pattern: A regular expression with named groups that finds the time in a sample's URI, or in its name where it
            has no URI: ``(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)``, and ``hour``, ``minute``, ``second`` if
            they are there; in UTC. Without it, and only then, the time is that of the object in its bucket.

    Raises:
        ConfigurationError: A window has no length, or the pattern is not of that form.
    """
    if any(not (math.isfinite(length) and length > 0) for length in days):
        raise ConfigurationError(f"Windows of {list(days)} days.", cure="Give lengths of more than 0 days.")
    find = _compiled(pattern) if pattern else None
    inside: list[list[Sample]] = [[] for _ in days]
    undated = future = 0
    for sample in samples:
        moment = sample.modified if find is None else _told(find, sample.uri or sample.file_name)
        if moment is None:
            undated += 1
        elif moment > now:
            future += 1
        else:
            for length, members in zip(days, inside, strict=True):
                if moment >= now - length * _DAY:
                    members.append(sample)
    return tuple(
        Window(length, now - length * _DAY, now, tuple(members), undated, future)
        for length, members in zip(days, inside, strict=True)
    )


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigurationError(
            f"The time pattern {pattern!r} is no regular expression: {error}.",
            cure=r"Write it like '(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)'.",
        ) from error
    lacking = [part for part in _PARTS[:3] if part not in compiled.groupindex]
    if lacking:
        raise ConfigurationError(
            f"The time pattern {pattern!r} has no group named {lacking[0]}.",
            cure=r"Name year, month and day, like '(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)'.",
        )
    return compiled


def _told(find: re.Pattern[str], text: str) -> float | None:
    """The time that a text tells; ``None`` where it tells none, or one that no calendar has."""
    match = find.search(text)
    if match is None:
        return None
    found = match.groupdict()
    try:
        year, month, day, hour, minute, second = (int(found.get(part) or 0) for part in _PARTS)
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError:
        return None
