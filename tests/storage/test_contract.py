"""What every provider promises, asked of a real folder, a real S3 server and a Google stand-in that verifies."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests

from diffgram_flows.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    ObjectNotFound,
    SigningError,
    StorageError,
)
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import MAX_SIGNED_TTL, fetchable, list_parallel

if TYPE_CHECKING:
    from storage.conftest import Shelf

HOUR = timedelta(hours=1)
KEYS = ("a-b", "a.jpg", "a/b", "a/c/d", "a/c/e", "a0", "ab", "b/1", "b/2", "z", "é", "\uff01", "😀")
"""In the order of their UTF-8 bytes; UTF-16 would swap the last two, and a naive walk the first three."""

RANGES = {
    (0, None): b"0123456789",
    (0, 4): b"0123",
    (3, None): b"3456789",
    (3, 4): b"3456",
    (8, 100): b"89",
    (9, 1): b"9",
    (10, None): b"",
    (50, 5): b"",
    (4, 0): b"",
}
"""Start and length of a part of ten digits."""

NAMES = {"se": "expires", "sig": "signature"}
"""What Azure calls the parameters that others call by longer names."""


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10)


def keys(shelf: Shelf, prefix: str = "", after: str | None = None) -> list[str]:
    return [stored.key for stored in shelf.store.iter_objects(prefix, after=after)]


def skipped(shelf: Shelf, **filters: Any) -> list[tuple[StoredObject, str]]:
    """What is left out, and why."""
    told: list[tuple[StoredObject, str]] = []
    for _ in shelf.store.iter_objects(on_skip=lambda obj, reason: told.append((obj, reason)), **filters):
        pass
    return told


def fill(shelf: Shelf) -> tuple[str, ...]:
    """Put the keys in; they come back in their order."""
    filled = tuple(key for key in KEYS if key not in shelf.unordered)
    for key in reversed(filled):
        shelf.put(key, key.encode())
    return filled


def test_an_empty_bucket_is_good_and_lists_nothing(shelf: Shelf) -> None:
    shelf.store.check()
    assert keys(shelf) == []


def test_lists_in_the_order_of_utf8_bytes_over_several_pages(shelf: Shelf) -> None:
    filled = fill(shelf)
    assert keys(shelf) == list(filled) == sorted(filled, key=str.encode)


def test_resumes_after_any_key(shelf: Shelf) -> None:
    filled = fill(shelf)
    for position, key in enumerate(filled):
        assert keys(shelf, after=key) == list(filled[position + 1 :])
    assert keys(shelf, after="a/c") == ["a/c/d", "a/c/e", *filled[5:]]


def test_a_range_ends_with_a_key_that_need_not_exist(shelf: Shelf) -> None:
    filled = fill(shelf)
    for after, until in product((None, "a/c/d"), ("a-b", "a/c", "a/c/e", "é", "")):
        expected = [key for key in filled if (after or "") < key <= until]
        assert [stored.key for stored in shelf.store.iter_objects(after=after, until=until)] == expected
    assert [stored.key for stored in shelf.store.iter_objects("a/", after="a/b", until="a/c/d")] == ["a/c/d"]


def test_ranges_are_all_keys_each_once(shelf: Shelf) -> None:
    assert shelf.store.plan_ranges() == []
    filled = fill(shelf)
    ranges = shelf.store.plan_ranges("", 6)
    assert 3 <= len(ranges) <= 6
    found = [[obj.key for obj in shelf.store.iter_objects(after=after, until=until)] for after, until in ranges]
    assert all(found)
    assert [key for part in found for key in part] == list(filled)
    assert [obj.key for obj in list_parallel(shelf.store, "a/", in_order=True)] == ["a/b", "a/c/d", "a/c/e"]


def test_what_cannot_be_used_is_left_out_and_told(shelf: Shelf, started: datetime) -> None:
    for key, data in {"A.JPG": b"x", "b.txt": b"x", "c.jpg": b"", "d.jpg": b"too long", "e.jpg": b"x"}.items():
        shelf.put(key, data)
    found = list(shelf.store.iter_objects(suffixes={".jpg"}, max_size=4))
    assert [stored.key for stored in found] == ["A.JPG", "e.jpg"]
    told = [(obj.key, reason) for obj, reason in skipped(shelf, suffixes={".jpg"}, max_size=4)]
    assert told == [("b.txt", "unsupported type"), ("c.jpg", "empty"), ("d.jpg", "too large")]
    assert keys(shelf) == ["A.JPG", "b.txt", "d.jpg", "e.jpg"]
    past, future = started - HOUR, started + HOUR
    assert len(list(shelf.store.iter_objects(modified_since=past))) == 4
    assert {reason for _, reason in skipped(shelf, modified_since=future, suffixes={".jpg"})} == {
        "unsupported type",
        "empty",
        "not modified since",
    }


def test_a_time_without_a_zone_is_refused(shelf: Shelf) -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        shelf.store.iter_objects(modified_since=datetime(2026, 1, 1))


def test_a_prefix_is_a_beginning_not_a_folder(shelf: Shelf) -> None:
    filled = fill(shelf)
    for prefix, after in product(("a", "a/", "a/c/", "a/c/d", "b", "nothing", "é"), (None, "a/c/d", "b")):
        assert keys(shelf, prefix, after) == [key for key in filled if key.startswith(prefix) and key > (after or "")]


def test_tells_size_time_and_place(shelf: Shelf, started: datetime, only: StoredObject) -> None:
    assert only.uri == f"{shelf.store.bucket}/cats/1.jpg"
    assert only.size == 10
    assert only.modified is not None
    assert only.modified.utcoffset() == timedelta()
    assert abs(only.modified - started) < timedelta(minutes=1)


def test_the_version_changes_with_the_content_only(shelf: Shelf, only: StoredObject) -> None:
    assert next(shelf.store.iter_objects()).version == only.version
    shelf.put(only.key, b"other bytes")
    assert next(shelf.store.iter_objects()).version != only.version


def test_a_lease_is_fetched_by_anybody(shelf: Shelf, started: datetime, only: StoredObject) -> None:
    lease = shelf.store.lease(only, HOUR)
    assert get(lease.url).content == b"0123456789"
    assert lease.uri == only.uri
    assert started + HOUR - timedelta(seconds=1) <= lease.expires_at <= datetime.now(UTC) + HOUR
    assert "ignature" not in repr(lease)


def test_a_lease_of_a_part_answers_206(shelf: Shelf, only: StoredObject) -> None:
    reply = get(shelf.store.lease(only, HOUR).url, Range="bytes=2-4")
    assert (reply.status_code, reply.content) == (206, b"234")


def test_a_lease_is_cut_to_what_a_signature_can_do(shelf: Shelf, only: StoredObject) -> None:
    lease = shelf.store.lease(only, timedelta(days=30))
    assert lease.expires_at <= datetime.now(UTC) + MAX_SIGNED_TTL
    assert shelf.store.max_ttl() == MAX_SIGNED_TTL
    assert get(lease.url).status_code == 200


@pytest.mark.parametrize("what", ["path", "expiry", "signature", "unsigned"])
def test_a_lease_that_was_tampered_with_is_refused(shelf: Shelf, only: StoredObject, what: str) -> None:
    shelf.put("cats/2.jpg", b"secret")
    parts = urlsplit(shelf.store.lease(only, HOUR).url)
    path, query = parts.path, dict(parse_qsl(parts.query))
    names = {NAMES.get(name, name.lower().rpartition("-")[2]): name for name in query}
    if what == "path":
        path = path.replace("1.jpg", "2.jpg")
    elif what == "expiry":
        query[names["expires"]] = re.sub(r"^\d+", lambda number: str(int(number[0]) + 1), query[names["expires"]])
    elif what == "signature":
        first = query[names["signature"]][0]
        query[names["signature"]] = ("0" if first != "0" else "1") + query[names["signature"]][1:]
    else:
        query = {}
    reply = get(parts._replace(path=path, query=urlencode(query)).geturl())
    assert reply.status_code in (400, 403)
    assert b"secret" not in reply.content


def test_an_expired_lease_is_refused(shelf: Shelf, only: StoredObject) -> None:
    lease = shelf.store.lease(only, timedelta(seconds=1))
    time.sleep(2.1)
    reply = get(lease.url)
    assert reply.status_code in (400, 403)
    assert re.search(b"xpired|not valid in the specified time frame|ding the signature", reply.content)


def test_a_lease_of_no_time_is_refused(shelf: Shelf, only: StoredObject) -> None:
    for ttl in (timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=900)):
        with pytest.raises(SigningError, match="a second at least"):
            shelf.store.lease(only, ttl)


def test_reads_ranges(shelf: Shelf, only: StoredObject) -> None:
    for (start, length), expected in RANGES.items():
        assert shelf.store.read(only, start=start, length=length) == expected


def test_reads_an_empty_object(shelf: Shelf) -> None:
    shelf.put("empty", b"")
    ((empty, reason),) = skipped(shelf)
    assert reason == "empty"
    assert shelf.store.read(empty) == b""


def test_does_not_read_more_than_the_limit(shelf: Shelf, only: StoredObject) -> None:
    for start, length in ((0, None), (0, 6), (4, None)):
        with pytest.raises(StorageError, match="5 at most"):
            shelf.store.read(only, start=start, length=length, limit=5)
    assert shelf.store.read(only, start=5, limit=5) == b"56789"


def test_a_size_that_is_told_wrong_does_not_lift_the_limit(shelf: Shelf, only: StoredObject) -> None:
    lying = StoredObject(only.bucket, only.key, size=1, version=only.version)
    with pytest.raises(StorageError, match="5 at most"):
        shelf.store.read(lying, limit=5)


def test_does_not_read_negative_ranges(shelf: Shelf, only: StoredObject) -> None:
    for start, length in ((-1, None), (0, -1)):
        with pytest.raises(StorageError, match="negative"):
            shelf.store.read(only, start=start, length=length)


def test_reads_the_listed_version_only(shelf: Shelf, only: StoredObject) -> None:
    shelf.put(only.key, b"other bytes")
    with pytest.raises(ObjectNotFound, match=r"cats/1\.jpg"):
        shelf.store.read(only)


def test_what_is_not_there_cannot_be_read(shelf: Shelf, only: StoredObject) -> None:
    with pytest.raises(ObjectNotFound, match="absent"):
        shelf.store.read(StoredObject(only.bucket, "absent", 10, only.version))


def test_a_missing_bucket_is_named(shelf: Shelf) -> None:
    with shelf.missing() as store:
        with pytest.raises(BucketNotFound, match="absent"):
            store.check()
        with pytest.raises(BucketNotFound, match="absent"):
            next(store.iter_objects())


def test_a_stranger_gets_nothing(shelf: Shelf, only: StoredObject) -> None:
    with shelf.forbidden() as store:
        with pytest.raises(AccessDenied):
            store.check()
        with pytest.raises(AccessDenied):
            next(store.iter_objects())
        with pytest.raises(AccessDenied):
            store.read(only)


def test_odd_keys_come_back_as_they_are_and_can_be_fetched(shelf: Shelf) -> None:
    for key in shelf.odd_keys:
        shelf.put(key, key.encode())
    folders = [obj for obj, _ in skipped(shelf)]
    objects = [*shelf.store.iter_objects(), *folders]
    assert sorted((stored.key for stored in objects), key=str.encode) == sorted(shelf.odd_keys, key=str.encode)
    assert [stored.key for stored in folders] == [key for key in shelf.odd_keys if key.endswith("/")]
    leases = list(shelf.store.sign_many(objects, HOUR))
    assert [lease.uri for lease in leases] == [stored.uri for stored in objects]
    assert [get(lease.url).content for lease in leases] == [stored.key.encode() for stored in objects]
    for stored in objects:
        assert fetchable(stored.key)
        assert shelf.store.read(stored) == stored.key.encode()
        assert get(shelf.store.lease(stored, HOUR).url).content == stored.key.encode()


def test_what_no_client_can_fetch_is_not_signed(shelf: Shelf, only: StoredObject) -> None:
    lost = StoredObject(only.bucket, "cats/../1.jpg", 10, only.version)
    with pytest.raises(SigningError, match="cannot be fetched"):
        shelf.store.lease(lost, HOUR)
    with pytest.raises(SigningError, match="cannot be fetched"):
        list(shelf.store.sign_many([lost], HOUR))
    failed: list[tuple[StoredObject, str]] = []
    leases = shelf.store.sign_many([lost, only], HOUR, on_failure=lambda obj, error: failed.append((obj, str(error))))
    assert [lease.uri for lease in leases] == [only.uri]
    assert [obj for obj, _ in failed] == [lost]


def test_a_url_answers_with_the_type_of_its_suffix(shelf: Shelf) -> None:
    shelf.put("1.png", b"x")
    shelf.put("notes", b"x")
    png, notes = sorted(shelf.store.iter_objects(), key=lambda obj: len(obj.key))
    assert get(shelf.store.lease(png, HOUR).url).headers["Content-Type"] == "image/png"
    assert get(shelf.store.lease(notes, HOUR).url).headers["Content-Type"] != "image/png"


def test_a_preflight_of_a_good_bucket(shelf: Shelf, only: StoredObject) -> None:
    shelf.put("cats/2.jpg", b"")
    report = shelf.store.preflight("cats/", ttl=HOUR)
    assert report.ok
    assert (report.listed, report.sample, report.skipped) == (1, only.uri, {"empty": 1})
    assert [finding.what for finding in report.findings if "only this machine" not in finding.what] == []


def test_a_preflight_says_what_is_missing(shelf: Shelf, only: StoredObject) -> None:
    report = shelf.store.preflight("Cats/")
    assert not report.ok
    assert "nothing to import" in report.findings[0].what
    with shelf.missing() as store:
        report = store.preflight()
    assert [finding.level for finding in report.findings] == ["error"]
    assert "absent" in report.findings[0].what
    with shelf.forbidden() as store:
        assert not store.preflight().ok


def test_closing_twice_is_closing(shelf: Shelf, only: StoredObject) -> None:
    shelf.store.lease(only, HOUR)
    shelf.store.close()
    shelf.store.close()
