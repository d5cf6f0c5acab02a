from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Sample
from diffgram_flows.windows import DAYS, recent, windows

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = 86_400.0
PATTERN = r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)"


def sample(number: int, age: float | None, uri: str = "") -> Sample:
    modified = None if age is None else NOW - age * DAY
    return Sample(number, f"{number}.jpg", uri, "", Path(f"{number}.jpg"), 8, 8, "test", modified=modified)


def ids(samples: tuple[Sample, ...]) -> list[int]:
    return [one.file_id for one in samples]


def test_a_window_holds_what_is_no_older() -> None:
    samples = [sample(1, 0), sample(2, 30), sample(3, 30.001), sample(4, 59), sample(5, 179), sample(6, 400)]
    month, two, half = windows(samples, DAYS, NOW)
    assert (ids(month.samples), ids(two.samples), ids(half.samples)) == ([1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5])
    assert (month.days, month.until, month.since) == (30, NOW, NOW - 30 * DAY)
    assert recent(samples, 60, NOW) == two.samples


def test_what_has_no_time_and_what_is_later_is_counted_and_in_no_window() -> None:
    (month,) = windows(iter([sample(1, None), sample(2, -1), sample(3, 1), sample(4, None)]), (30,), NOW)
    assert (ids(month.samples), month.undated, month.future) == ([3], 2, 1)


def test_a_pattern_finds_the_time_in_the_uri_and_the_objects_own_is_not_asked() -> None:
    samples = [
        sample(1, 0, "s3://b/2026-11-20/a.jpg"),
        sample(2, 0, "s3://b/2026-01-02/a.jpg"),
        sample(3, 0, "s3://b/undated/a.jpg"),
        sample(4, 0, "s3://b/2026-13-77/a.jpg"),
    ]
    month, year = windows(samples, (30, 365), NOW, pattern=PATTERN)
    assert (ids(month.samples), ids(year.samples), year.undated) == ([1], [1, 2], 2)


def test_hours_count_where_the_pattern_names_them() -> None:
    samples = [sample(1, None, "cam/2026-11-23T11-59.jpg"), sample(2, None, "cam/2026-11-23T12-01.jpg")]
    (day,) = windows(samples, (1,), NOW, pattern=PATTERN + r"T(?P<hour>\d\d)-(?P<minute>\d\d)")
    assert ids(day.samples) == [2]


@pytest.mark.parametrize(
    ("days", "pattern", "message"),
    [
        ((0,), "", "0 days"),
        ((float("nan"),), "", "nan"),
        ((30,), "(", "no regular expression"),
        ((30,), r"(?P<year>\d{4})", "no group named month"),
    ],
)
def test_what_makes_no_window_is_refused(days: tuple[float, ...], pattern: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        windows([], days, NOW, pattern=pattern)
