"""What goes wrong between the bucket, us and the server."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from servers.bench import Bench, Prelabels, client_of
from servers.lossy import LossyProxy

from diffgram_flows.diffgram import DiffgramClient, Packet
from diffgram_flows.errors import AuthenticationError, BrainError, BrokenReply, ServerUnreachable
from diffgram_flows.importing import FollowReport, follow, import_new, reconcile, scan, send_chunk
from diffgram_flows.importing.importer import ImportReport
from diffgram_flows.models import Box, Lease, StoredObject
from diffgram_flows.sandbox.process import SandboxProcess
from diffgram_flows.storage.file import FileStore

EVERYTHING = (0, 10**9)


def send(bench: Bench, **options: object) -> object:
    return send_chunk(
        bench.client,
        bench.store,
        bench.ledger,
        EVERYTHING,
        **{"directory_id": bench.directory_id, **options},  # type: ignore[arg-type]
    )


def watch(bench: Bench, **options: float) -> FollowReport:
    defaults = {"timeout": 20.0, "poll": 0.05}
    return follow(bench.client, bench.ledger, directory_id=bench.directory_id, **{**defaults, **options})  # type: ignore[arg-type]


def prepared(bench: Bench, count: int) -> Bench:
    bench.draw(count)
    scan(bench.store, "", bench.ledger)
    return bench


class DeadLinks(FileStore):
    """Its URLs are dead when the server fetches them: expired, or of a process that is gone."""

    def __init__(self, folder: Path, *, expired: bool) -> None:
        super().__init__(folder)
        self._expired = expired

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        if self._expired:
            lease = super().lease(obj, timedelta(seconds=1))
            time.sleep(2.1)
            return lease
        with FileStore(self._root) as gone:
            return gone.lease(obj, ttl)


@pytest.mark.parametrize("expired", [pytest.param(True, id="expired"), pytest.param(False, id="server gone")])
def test_a_url_that_died_in_the_queue_is_signed_again(bench: Bench, *, expired: bool) -> None:
    prepared(bench, 3)
    with DeadLinks(bench.folder, expired=expired) as dead:
        send_chunk(bench.client, dead, bench.ledger, EVERYTHING, directory_id=bench.directory_id)
        report = watch(bench)
    assert (report.imported, report.requeued, report.failed) == (0, 3, 0)
    for row in bench.ledger.objects.rows("new"):
        assert ("403" if expired else "downloading") in row.reason
        assert "signature=" not in row.reason, "a signed query must not reach the ledger"
        assert row.input_id is not None, "or the dead import is taken for the next one's"
    send(bench)
    assert watch(bench).imported == 3
    assert {row.attempts for row in bench.ledger.objects.rows("imported")} == {2}
    assert bench.names() == sorted(row.file_name for row in bench.ledger.objects.rows())


def test_urls_that_keep_dying_are_given_up(bench: Bench) -> None:
    prepared(bench, 2)
    with DeadLinks(bench.folder, expired=False) as dead:
        for _ in range(3):
            send_chunk(bench.client, dead, bench.ledger, EVERYTHING, directory_id=bench.directory_id)
            report = watch(bench)
    assert report.failed == 2
    assert all("It was sent 3 times." in failure.reason for failure in report.failures)


def test_an_import_whose_worker_died_is_retried_once_for_all(
    make_bench: Callable[[SandboxProcess], Bench], tmp_path: Path
) -> None:
    with SandboxProcess(tmp_path / "sandbox", import_delay=600, import_workers=4) as sandbox:
        bench = prepared(make_bench(sandbox), 3)
        send(bench)
        assert watch(bench, timeout=1.0).waiting == 3
        sandbox.kill()
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        assert sandbox.url == bench.client.url
        assert watch(bench, timeout=0.5).waiting == 3
        report = watch(bench, stuck_after=1.0)
        rows = bench.client.imports()
    assert (report.imported, report.failed) == (3, 0)
    assert [row.retry_count for row in rows] == [1, 1, 1]


def test_an_import_that_hangs_twice_is_sent_again(
    make_bench: Callable[[SandboxProcess], Bench], tmp_path: Path
) -> None:
    with SandboxProcess(tmp_path / "sandbox", import_delay=600, import_workers=4) as sandbox:
        bench = prepared(make_bench(sandbox), 1)
        send(bench)
        report = watch(bench, stuck_after=0.5)
        sandbox.kill()
    assert (report.requeued, report.failed) == (1, 0)
    with SandboxProcess(tmp_path / "sandbox"):
        send(bench)
        assert watch(bench).imported == 1
        assert len(bench.names()) == 1


def test_an_import_that_hangs_whenever_it_is_sent_is_given_up(
    make_bench: Callable[[SandboxProcess], Bench], tmp_path: Path
) -> None:
    with SandboxProcess(tmp_path / "sandbox", import_delay=600, import_workers=4) as sandbox:
        bench = prepared(make_bench(sandbox), 1)
        send(bench)
        report = watch(bench, stuck_after=0.5, max_attempts=1)
        sandbox.kill()
    assert report.failed == 1
    assert "died over it twice" in report.failures[0].reason
    assert "sent once" in report.failures[0].reason


def test_what_only_waits_in_the_queue_is_never_retried(
    make_bench: Callable[[SandboxProcess], Bench], tmp_path: Path
) -> None:
    with SandboxProcess(tmp_path / "sandbox", import_delay=600, import_workers=1) as sandbox:
        bench = prepared(make_bench(sandbox), 3)
        send(bench)
        report = watch(bench, stuck_after=0.3, timeout=1.5)
        retried = sorted((row.retry_count, row.status) for row in bench.client.imports())
        sandbox.kill()
    assert (report.failed, report.waiting) == (0, 3)
    assert retried == [(0, "init"), (0, "init"), (1, "retrying")]


def test_a_wrong_credential_leaves_everything_to_be_sent(bench: Bench) -> None:
    prepared(bench, 20)
    with (
        DiffgramClient(bench.client.url, bench.client.project, "nobody", "wrong") as stranger,
        pytest.raises(AuthenticationError),
    ):
        send_chunk(stranger, bench.store, bench.ledger, EVERYTHING, directory_id=bench.directory_id)
    assert bench.ledger.objects.counts() == {"new": 20}


def test_an_unknown_dataset_leaves_everything_to_be_sent(bench: Bench) -> None:
    prepared(bench, 20)
    with pytest.raises(BrokenReply, match="99999"):
        send(bench, directory_id=99_999)
    assert bench.ledger.objects.counts() == {"new": 20}


def test_a_server_that_is_not_there_leaves_everything_to_be_sent(bench: Bench) -> None:
    prepared(bench, 20)
    with (
        client_of(bench.sandbox, url="http://127.0.0.1:9", timeout=1) as nowhere,
        pytest.raises(ServerUnreachable),
    ):
        send_chunk(nowhere, bench.store, bench.ledger, EVERYTHING, directory_id=bench.directory_id)
    assert bench.ledger.objects.counts() == {"new": 20}


def test_a_brain_that_fails_leaves_everything_to_be_sent(bench: Bench) -> None:
    prepared(bench, 3)

    class Broken(Prelabels):
        def __call__(self, rows: object) -> dict[str, tuple[Box, ...]]:
            raise BrainError("The graph is broken.")

    with pytest.raises(BrainError):
        send(bench, prelabel=Broken(()))
    assert bench.ledger.objects.counts() == {"new": 3}


def test_a_box_without_area_fails_its_own_image_only(bench: Bench) -> None:
    prepared(bench, 2)
    first = bench.ledger.objects.rows()[0].file_name
    label = bench.label()

    class Half(Prelabels):
        def __call__(self, rows: object) -> dict[str, tuple[Box, ...]]:
            return {first: (Box(label, 9, 9, 9, 20, 0.5),)}

    report = send(bench, prelabel=Half(()))
    assert (report.sent, report.failed) == (1, 1)  # type: ignore[attr-defined]
    assert watch(bench).imported == 1


def run_through(proxy: LossyProxy, bench: Bench) -> ImportReport:
    with client_of(bench.sandbox, url=proxy.url) as client:
        return import_new(
            client, bench.store, "", bench.ledger, directory_id=bench.directory_id, poll=0.05, timeout=40, threads=2
        )


def test_a_packet_whose_reply_is_lost_is_not_sent_again(bench: Bench) -> None:
    bench.draw(6)
    with LossyProxy(bench.client.url, lambda path, number: "input/packet" in path and number == 3) as proxy:
        report = run_through(proxy, bench)
    assert (report.imported, report.duplicates, report.waiting) == (6, 0, 0)
    assert bench.packets() == dict.fromkeys(bench.names(), 1)


def test_when_every_reply_is_lost_the_rest_is_kept_back(bench: Bench) -> None:
    bench.draw(20)
    with LossyProxy(bench.client.url, lambda path, number: "input/packet" in path) as proxy:
        with pytest.raises(ServerUnreachable):
            run_through(proxy, bench)
        left = bench.ledger.objects.counts()
    assert left["sending"] <= 4
    assert left["new"] + left["sending"] == 20
    assert len(bench.import_all()) == 20
    assert bench.packets() == dict.fromkeys(bench.names(), 1)


def test_a_delivered_packet_is_found_and_a_lost_one_released(bench: Bench) -> None:
    prepared(bench, 2)
    delivered, lost = bench.ledger.objects.claim(EVERYTHING)
    lease = bench.store.lease(delivered.object, timedelta(minutes=5))
    bench.client.send_packet(Packet(bench.directory_id, url=lease.url, file_name=delivered.file_name))
    early = reconcile(bench.client, bench.ledger, directory_id=bench.directory_id)
    assert (early.sent, early.released, early.waiting) == (1, 0, 1)
    later = reconcile(bench.client, bench.ledger, directory_id=bench.directory_id, grace=0.0)
    assert (later.sent, later.released, later.waiting) == (0, 1, 0)
    assert [row.id for row in bench.ledger.objects.rows("new")] == [lost.id]


def test_a_packet_the_server_forgot_is_sent_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffgram_flows.importing.following.GRACE", 0.2)
    prepared(bench, 2)
    rows = bench.ledger.objects.claim(EVERYTHING)
    bench.ledger.objects.sent([row.id for row in rows])
    report = watch(bench)
    assert (report.requeued, report.imported) == (2, 0)
    assert bench.ledger.objects.counts() == {"new": 2}


def test_a_file_that_is_there_without_an_import_is_adopted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffgram_flows.importing.following.GRACE", 0.2)
    prepared(bench, 1)
    (row,) = bench.ledger.objects.claim(EVERYTHING)
    source = bench.client.ensure_directory(f"source of {bench.directory_id}")
    made = bench.client.upload(bench.folder / "image-000.jpg", name=row.file_name, directory_id=source.id)
    assert made.file_id is not None
    bench.client.mirror_files([made.file_id], bench.directory_id)
    bench.ledger.objects.sent([row.id])
    report = watch(bench)
    assert (report.imported, report.duplicates) == (1, 1)
    assert bench.ledger.objects.rows()[0].file_id == made.file_id


def test_prelabels_of_an_adopted_file_wait_for_reconciling(bench: Bench) -> None:
    box = Box(bench.label(), 3, 4, 30, 40, 0.75)
    bench.import_all(1, prelabel=Prelabels((box,)))
    fresh = bench.ledger.for_target("fresh")
    brain = Prelabels((box,))
    report = import_new(
        bench.client, bench.store, "", fresh, directory_id=bench.directory_id, prelabel=brain, poll=0.05, timeout=20
    )
    assert report.imported == 1
    (push,) = fresh.pushes.rows()
    assert push.file_id is not None
    assert push.state in {"intended", "confirmed"}
    assert bench.boxes(push.file_id) == [box]


def test_a_repeated_attempt_carries_the_boxes_of_the_first(bench: Bench) -> None:
    prepared(bench, 1)
    label = bench.label()
    first, second = Prelabels((Box(label, 1, 2, 30, 40, 0.5),)), Prelabels((Box(label, 5, 6, 33, 44, 0.9),))
    with DeadLinks(bench.folder, expired=False) as dead:
        send_chunk(bench.client, dead, bench.ledger, EVERYTHING, directory_id=bench.directory_id, prelabel=first)
        assert watch(bench).requeued == 1
    send(bench, prelabel=second)
    watch(bench)
    (row,) = bench.ledger.objects.rows("imported")
    assert row.file_id is not None
    assert bench.boxes(row.file_id) == list(first.boxes)
    assert second.asked == []


def test_only_the_brain_that_arrived_is_confirmed(bench: Bench) -> None:
    prepared(bench, 1)
    label = bench.label()
    old, new = (Prelabels((Box(label, 1, 2, 30, 40, 0.5),), brain=f"digits@{version}") for version in (1, 2))
    with DeadLinks(bench.folder, expired=False) as dead:
        send_chunk(bench.client, dead, bench.ledger, EVERYTHING, directory_id=bench.directory_id, prelabel=old)
        watch(bench)
    send(bench, prelabel=new)
    watch(bench)
    assert {push.brain: push.state for push in bench.ledger.pushes.rows()} == {
        "digits@1": "released",
        "digits@2": "confirmed",
    }
