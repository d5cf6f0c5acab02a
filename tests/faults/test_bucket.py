"""A bucket that goes away, whose credential expires, and whose listing breaks off: a real S3 server behind a proxy."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from servers.bench import Bench, draw
from servers.faulty import Answer, FaultyProxy, Plan, Visit, drawn, no_fault
from servers.s3 import S3Server, s3_server
from servers.settled import assert_settled, import_once, settle

from diffgram_flows.errors import AccessDenied, StorageError, StorageUnavailable
from diffgram_flows.storage import StorageSettings, open_store

__all__ = ["s3_server"]

Report = Callable[..., None]

EXPIRED = Answer(
    400,
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ExpiredToken</Code>'
    b"<Message>The provided token has expired.</Message></Error>",
    {"Content-Type": "application/xml"},
    name="expired token",
)
DENIED = Answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>", name="access denied")
OBJECTS = 17


@dataclass(frozen=True)
class Remote:
    """A bench whose bucket is reached through a proxy."""

    bench: Bench
    proxy: FaultyProxy


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The name of a bucket, and a folder with the same objects. A page of its listing is 5 keys."""
    name, folder = f"b-{uuid.uuid4().hex}", tmp_path_factory.mktemp("objects")
    s3_server.client.create_bucket(Bucket=name)
    draw(folder, OBJECTS)
    for path in folder.iterdir():
        s3_server.client.put_object(Bucket=name, Key=path.name, Body=path.read_bytes())
    return name, folder


@pytest.fixture
def remote(
    bench: Bench, bucket: tuple[str, Path], s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Remote]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.owner[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.owner[1])
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    name, folder = bucket
    with FaultyProxy(s3_server.endpoint) as proxy:
        settings = StorageSettings(s3_endpoint=proxy.url, s3_region=s3_server.region)
        with open_store(f"s3://{name}", settings)[0] as store:
            store.check()
            yield Remote(replace(bench, store=store, folder=folder), proxy)


def after(number: int, then: str | Answer, *, counts: Callable[[Visit], bool] = lambda visit: True) -> Plan:
    """Do ``then`` to all requests from the ``number``-th on, of those that count."""
    lock = threading.Lock()
    seen = 0

    def plan(visit: Visit) -> str | Answer | None:
        nonlocal seen
        with lock:
            seen += counts(visit)
            return then if seen >= number else None

    return plan


def lists(visit: Visit) -> bool:
    return "list-type" in visit.path


def run(remote: Remote) -> None:
    import_once(remote.bench, chunk_size=5)


def test_a_credential_that_expires_in_the_middle_of_a_chunk(remote: Remote) -> None:
    remote.proxy.plan = after(8, EXPIRED, counts=lambda visit: not lists(visit))
    with pytest.raises(StorageError, match=r"(?i)expired"):
        run(remote)
    assert "refused" not in remote.bench.states()


def test_a_credential_that_expires_between_two_chunks(remote: Remote, report: Report) -> None:
    remote.proxy.plan = after(3, EXPIRED, counts=lists)
    with pytest.raises(StorageError, match=r"(?i)expired"):
        run(remote)
    remote.proxy.plan = after(6, EXPIRED, counts=lambda visit: not lists(visit))
    with pytest.raises(StorageError, match=r"(?i)expired"):
        run(remote)
    assert remote.bench.states().get("new", 0) > 0
    remote.proxy.plan = no_fault
    assert settle(remote.bench) == []
    report(assert_settled(remote.bench), injected=dict(remote.proxy.injected))


@pytest.mark.parametrize(
    "kind", ["cut", pytest.param("error", marks=pytest.mark.slow), pytest.param("reset", marks=pytest.mark.slow)]
)
def test_a_listing_that_breaks_in_the_middle(remote: Remote, report: Report, kind: str) -> None:
    remote.proxy.plan = after(3, kind, counts=lists)
    with pytest.raises(StorageUnavailable):
        run(remote)
    remote.proxy.plan = no_fault
    settle(remote.bench)
    report(assert_settled(remote.bench), injected=dict(remote.proxy.injected))


@pytest.mark.slow
def test_a_host_that_goes_away_for_a_while(remote: Remote, report: Report) -> None:
    leave = threading.Event()

    def watched(visit: Visit) -> None:
        if not lists(visit) and visit.number >= 6:
            leave.set()

    remote.proxy.plan = watched

    def come_and_go() -> None:
        assert leave.wait(60)
        with remote.proxy.away():
            time.sleep(2)

    host = threading.Thread(target=come_and_go)
    host.start()
    errors = settle(remote.bench, chunk_size=5)
    host.join()
    assert all(isinstance(error, StorageUnavailable) for error in errors), errors
    report(assert_settled(remote.bench), runs_that_failed=len(errors))


def test_bytes_that_are_cut_are_no_corrupt_image(remote: Remote, report: Report) -> None:
    remote.proxy.plan = lambda visit: "cut" if visit.method == "GET" and ".jpg" in visit.path else None
    with pytest.raises(StorageUnavailable):
        run(remote)
    remote.proxy.plan = no_fault
    settle(remote.bench)
    report(assert_settled(remote.bench), injected=dict(remote.proxy.injected))


@pytest.mark.parametrize("seed", [5, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(10, 15))])
def test_requests_to_the_bucket_that_fail_by_chance(remote: Remote, report: Report, seed: int) -> None:
    kinds = ("reset", "error", "gateway", "lost", "cut", "late error", "delay")
    remote.proxy.plan = drawn(seed, 0.2, kinds)
    errors = settle(remote.bench)
    remote.proxy.plan = no_fault
    assert all(isinstance(error, StorageUnavailable) for error in errors), errors
    report(assert_settled(remote.bench), injected=dict(remote.proxy.injected), runs_that_failed=len(errors))


def test_a_credential_that_may_not_read_refuses_nothing_for_good(remote: Remote, report: Report) -> None:
    remote.proxy.plan = lambda visit: None if lists(visit) or visit.method == "HEAD" else DENIED
    with pytest.raises(AccessDenied):
        run(remote)
    assert remote.bench.states() == {"new": OBJECTS}
    remote.proxy.plan = no_fault
    settle(remote.bench)
    report(assert_settled(remote.bench), injected=dict(remote.proxy.injected))
