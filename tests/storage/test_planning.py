"""Ranges: whatever the keys are like, each is in exactly one of them, and none is empty."""

from __future__ import annotations

import random
import threading
import uuid
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffgram_flows.errors import BucketNotFound
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import KeyRange, ObjectStore, list_parallel, open_store
from diffgram_flows.storage.planning import plan_ranges

ALPHABET = st.sampled_from(["a", "b", "/", "0", "9", "~", " ", "\x01", "é", "\ud7ff", "\ue000", "😀", "\U0010ffff"])
KEYS = st.lists(st.text(ALPHABET, min_size=1, max_size=7), max_size=60, unique=True)


class Lister:
    """The first key after another one, counted."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = sorted(keys)
        self.asked: Counter[str] = Counter()

    def first_after(self, prefix: str, after: str | None) -> str | None:
        self.asked[after or ""] += 1
        place = bisect_right(self.keys, after) if after else 0
        return next((key for key in self.keys[place:] if key.startswith(prefix)), None)

    def sizes(self, ranges: list[KeyRange]) -> list[int]:
        return [len([key for key in self.keys if inside(key, bounds)]) for bounds in ranges]


def inside(key: str, bounds: KeyRange) -> bool:
    after, until = bounds
    return (after is None or key > after) and (until is None or key <= until)


def uuids(count: int) -> list[str]:
    rng = random.Random(1)  # noqa: S311 - reproducible keys
    return [f"images/{uuid.UUID(int=rng.getrandbits(128))}.jpg" for _ in range(count)]


def dated(count: int) -> list[str]:
    rng = random.Random(1)  # noqa: S311 - reproducible keys
    days = [f"cam{rng.randrange(3)}/2026/{rng.randrange(1, 13):02}/{rng.randrange(1, 29):02}" for _ in range(count)]
    return [f"{day}/{number:08}.jpg" for number, day in enumerate(days)]


def three(count: int) -> list[str]:
    rng = random.Random(1)  # noqa: S311 - reproducible keys
    return [f"{rng.choice(('train', 'val', 'test'))}/img_{number:012}.jpg" for number in range(count)]


@settings(max_examples=60, deadline=None)
@given(KEYS, st.integers(1, 40), st.sampled_from(["", "a", "a/", "é"]))
def test_ranges_are_complete_disjoint_and_not_empty(keys: list[str], n: int, prefix: str) -> None:
    lister = Lister([key for key in keys if key.startswith(prefix)])
    ranges = plan_ranges(lister.first_after, prefix, n)
    assert len(ranges) <= n
    assert all(sum(inside(key, bounds) for bounds in ranges) == 1 for key in lister.keys)
    assert all(lister.sizes(ranges))
    assert [after for after, _ in ranges[1:]] == [until for _, until in ranges[:-1]]


@pytest.mark.parametrize(
    ("keys", "largest", "probes"), [(uuids(20_000), 0.07, 300), (dated(20_000), 0.06, 600), (three(20_000), 0.06, 600)]
)
def test_no_range_is_most_of_the_bucket(keys: list[str], largest: float, probes: int) -> None:
    lister = Lister(keys)
    ranges = plan_ranges(lister.first_after, "", 64)
    assert len(ranges) >= 32
    assert max(lister.sizes(ranges)) / len(keys) < largest
    assert lister.asked.total() < probes


def test_an_empty_bucket_has_no_range_and_a_single_key_one() -> None:
    assert plan_ranges(Lister([]).first_after, "", 8) == []
    assert plan_ranges(Lister(["a"]).first_after, "", 8) == [(None, None)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(300):
        path = tmp_path / "photos" / f"{number % 7}" / f"{number:05}.{'txt' if number % 25 == 0 else 'jpg'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


@pytest.fixture
def store(folder: Path) -> Iterator[ObjectStore]:
    store, _ = open_store(f"file://{folder}")
    with store:
        yield store


@pytest.mark.parametrize("in_order", [True, False])
def test_reads_all_ranges_at_once(store: ObjectStore, in_order: bool) -> None:
    expected = [obj.key for obj in store.iter_objects(suffixes={".jpg"})]
    told: list[StoredObject] = []
    found = list_parallel(
        store, threads=4, in_order=in_order, suffixes={".jpg"}, on_skip=lambda obj, reason: told.append(obj)
    )
    keys = [obj.key for obj in found]
    assert (keys if in_order else sorted(keys)) == expected
    assert len(told) == 12


def test_reads_the_ranges_that_it_is_given(store: ObjectStore) -> None:
    ranges: list[KeyRange] = [(None, "2/"), ("4/", None)]
    keys = {obj.key[0] for obj in list_parallel(store, ranges=ranges)}
    assert keys == {"0", "1", "4", "5", "6"}


@pytest.mark.parametrize("in_order", [True, False])
def test_threads_end_with_whoever_takes_the_objects(store: ObjectStore, in_order: bool) -> None:
    listing = list_parallel(store, threads=4, in_order=in_order)
    next(listing)
    listing.close()  # type: ignore[attr-defined]
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("listing", "prob", "plan"))]


def test_an_error_of_any_reader_is_raised(store: ObjectStore, folder: Path) -> None:
    ranges = store.plan_ranges("", 4)
    folder.rename(folder.with_name("moved"))
    with pytest.raises(BucketNotFound):
        list(list_parallel(store, ranges=ranges))
