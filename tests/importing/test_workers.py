"""Several workers on one ledger, each object once."""

from __future__ import annotations

import multiprocessing
import time

import pytest
from servers.bench import TARGET, Bench, client_of, work_in_child
from servers.postgres import PostgresServer, postgres

from diffgram_flows.diffgram import DiffgramClient, Packet
from diffgram_flows.errors import ServerUnreachable
from diffgram_flows.importing import Worker, WorkOptions, import_new, scan
from diffgram_flows.ledger import open_ledger
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import READ_LIMIT
from diffgram_flows.storage.file import FileStore

__all__ = ["postgres"]
OBJECTS = 80
STRANGER = "another-machine/0:1:0"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_processes_import_one_bucket_together(bench: Bench, kind: str, request: pytest.FixtureRequest) -> None:
    recipe = bench.recipe()
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        recipe["ledger"] = server.new_database("TEMPLATE template0")
        open_ledger(recipe["ledger"], TARGET).close()
    bench.draw(OBJECTS)
    processes = multiprocessing.get_context("spawn")
    together, results = processes.Barrier(2), processes.Queue()
    children = [processes.Process(target=work_in_child, args=(recipe, together, results)) for _ in range(2)]
    for child in children:
        child.start()
    done = [results.get(timeout=60) for _ in children]
    for child in children:
        child.join(30)
    ledger = open_ledger(recipe["ledger"], TARGET)
    rows = ledger.objects.rows("imported")
    ledger.close()
    assert (sum(done), len(rows)) == (OBJECTS, OBJECTS)
    assert min(done) > 0, "both were at work"
    assert bench.packets() == dict.fromkeys((row.file_name for row in rows), 1)
    assert {row.file_id for row in rows} == set(bench.client.file_ids(bench.directory_id))


def test_what_a_silent_worker_holds_is_taken_over_when_its_time_is_over(bench: Bench) -> None:
    bench.draw(6)
    scan(bench.store, "", bench.ledger)
    held = bench.ledger.claims.claim_chunk(4, worker=STRANGER, seconds=1.5)
    assert held is not None
    left = import_new(bench.client, bench.store, "", bench.ledger, directory_id=bench.directory_id, poll=0.05)
    assert (left.imported, left.waiting) == (2, 4), "it is still his"
    time.sleep(1.5)
    assert len(bench.import_all()) == 6
    assert set(bench.packets().values()) == {1}


def test_a_worker_whose_claims_were_taken_over_writes_nothing_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.draw(5)
    scan(bench.store, "", bench.ledger)
    slow = WorkOptions(chunk_size=5, poll=0.05, claim_seconds=0.4)
    with Worker(bench.client, bench.store, bench.ledger, directory_id=bench.directory_id, options=slow) as worker:
        monkeypatch.setattr(worker._holdings, "hold", lambda claim: _Dead())  # renews nothing
        worker.step(0.0)
        time.sleep(0.5)
        report = import_new(
            bench.client, bench.store, "", bench.ledger, directory_id=bench.directory_id, poll=0.05, timeout=20
        )
        assert report.imported == 5
        worker.step(2.0)
        assert worker.follower.tally.imported_count == 0
    assert bench.states() == {"imported": 5}
    assert len(bench.names()) == 5


class _Dead:
    def check(self) -> None:
        """It believes that all is well."""


def test_after_an_error_the_next_step_goes_on(bench: Bench) -> None:
    """As when Prefect runs a task again: the worker is the same one."""
    bench.draw(12)
    scan(bench.store, "", bench.ledger)

    class Hiccup(FileStore):
        left = 1

        def read(
            self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT
        ) -> bytes:
            if self.left and obj.key.endswith("007.jpg"):
                self.left = 0
                raise OSError("The disk had a bad moment.")
            return super().read(obj, start=start, length=length, limit=limit)

    options = WorkOptions(chunk_size=4, poll=0.05)
    with (
        Hiccup(bench.folder) as store,
        Worker(bench.client, store, bench.ledger, directory_id=bench.directory_id, options=options) as worker,
    ):

        def work() -> None:
            while worker.step(5.0):
                pass

        with pytest.raises(OSError, match="bad moment"):
            work()
        work()
    assert bench.states() == {"imported": 12}
    assert set(bench.packets().values()) == {1}


class Unconnected(DiffgramClient):
    """Its first packets for one file find no connection, as many as ``left``."""

    left = 0
    tries = 0

    def send_packet(self, packet: Packet) -> None:
        if (packet.file_name or "").startswith("image-004"):
            self.tries += 1
            if self.left:
                self.left -= 1
                raise ServerUnreachable("The server cannot be reached.", cure="Try again.")
        super().send_packet(packet)


@pytest.mark.parametrize(("lost", "waiting"), [pytest.param(1, 0, id="once"), pytest.param(99, 1, id="whenever")])
def test_a_packet_that_found_no_connection_is_sent_by_the_same_run(bench: Bench, lost: int, waiting: int) -> None:
    bench.draw(5)
    with client_of(bench.sandbox, kind=Unconnected) as client:
        assert isinstance(client, Unconnected)
        client.left = lost
        report = import_new(
            client, bench.store, "", bench.ledger, directory_id=bench.directory_id, poll=0.05, timeout=60
        )
    assert (report.imported, report.waiting) == (5 - waiting, waiting)
    assert 2 <= client.tries <= 20, "without progress it is not tried for ever"
