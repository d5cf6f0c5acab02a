"""A crash at any moment loses nothing and repeats nothing."""

from __future__ import annotations

import multiprocessing
import random
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from servers.bench import Bench, client_of, import_in_child

from diffgram_flows.diffgram import DiffgramClient, ImportRow, Packet
from diffgram_flows.importing import Worker, WorkOptions, import_new, scan
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.file import FileStore

_MANY = 150  # enough that a fast machine is not done before the last kill


class Mortal(DiffgramClient):
    """Ends the process, as far as a thread can, around its ``at``-th packet or its ``at``-th look at the imports."""

    at = 0
    before = False
    looks = 0
    _packets = 0
    _lock = threading.Lock()

    def send_packet(self, packet: Packet) -> None:
        with self._lock:
            self._packets += 1
            dying = self._packets == self.at
        if dying and self.before:
            raise SystemExit
        super().send_packet(packet)
        if dying:
            raise SystemExit

    def imports(self, **filters: Any) -> list[ImportRow]:
        rows = super().imports(**filters)
        self.looks -= 1
        if self.looks == 0:
            raise SystemExit
        return rows


@pytest.mark.parametrize(
    ("at", "before", "looks"),
    [
        pytest.param(1, True, 0, id="before the first packet"),
        pytest.param(1, False, 0, id="between the first packet and its record"),
        pytest.param(7, True, 0, id="before the last packet of a chunk"),
        pytest.param(7, False, 0, id="between the last packet and its record"),
        pytest.param(0, False, 1, id="between the first look and its records"),
    ],
)
def test_a_crash_is_repaired_by_the_next_import(bench: Bench, at: int, looks: int, *, before: bool) -> None:
    bench.draw(7)
    with client_of(bench.sandbox, kind=Mortal) as client:
        assert isinstance(client, Mortal)
        client.at, client.before, client.looks = at, before, looks
        with pytest.raises(SystemExit):
            import_new(client, bench.store, "", bench.ledger, directory_id=bench.directory_id, timeout=20, threads=1)
    rows = bench.import_all()
    assert len(rows) == 7
    assert bench.packets() == dict.fromkeys((row.file_name for row in rows), 1)


class Gone(FileStore):
    """A store that is gone, and its URLs with it, when the server fetches them."""

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        with FileStore(self._root) as gone:
            return gone.lease(obj, ttl)


def send_and_die(bench: Bench, count: int) -> None:
    """One run that takes over what is there, and ends when all has left, before it hears what became of it."""
    options = WorkOptions(poll=60)
    with (
        Gone(bench.folder) as store,
        Worker(bench.client, store, bench.ledger, directory_id=bench.directory_id, options=options) as worker,
    ):
        while worker.sent < count:
            assert worker.step(0.2)
    ends_at = time.monotonic() + 30
    while not all(row.finished for row in bench.client.imports() if row.directory_id == bench.directory_id):
        assert time.monotonic() < ends_at
        time.sleep(0.05)


def test_the_urls_of_runs_that_died_do_not_use_up_the_attempts(bench: Bench) -> None:
    bench.draw(3)
    scan(bench.store, "", bench.ledger)
    for times in range(1, 5):
        send_and_die(bench, 3)
        assert [(row.state, row.attempts) for row in bench.ledger.objects.rows()] == [("sent", times)] * 3
    assert len(bench.import_all()) == 3


def test_urls_that_die_although_their_run_lives_use_up_the_attempts(bench: Bench) -> None:
    bench.draw(2)
    scan(bench.store, "", bench.ledger)
    send_and_die(bench, 2)
    with Gone(bench.folder) as store:
        report = import_new(
            bench.client, store, "", bench.ledger, directory_id=bench.directory_id, poll=0.05, timeout=60
        )
    assert (report.imported, report.failed, report.waiting) == (0, 2, 0)
    assert all("It was sent 3 times." in failure.reason for failure in report.failures)


def test_many_objects_survive_a_dozen_kills(bench: Bench) -> None:
    bench.draw(_MANY)
    kills = 0
    chance = random.Random(7)  # noqa: S311 - moments, not secrets
    children = multiprocessing.get_context("forkserver")
    # What takes time to import; Python 3.11 preloads only what lies on the interpreter's own path.
    children.set_forkserver_preload(
        ["diffgram_flows.importing", "diffgram_flows.sandbox.process", "pytest", "PIL.Image"]
    )
    for _ in range(12):
        begun = children.Event()
        child = children.Process(target=import_in_child, args=(bench.recipe(), begun))
        child.start()
        begun.wait(30)
        time.sleep(chance.uniform(0.02, 0.4))
        kills += child.is_alive()
        child.kill()
        child.join()
        child.close()
    rows = bench.import_all()
    assert kills >= 10
    assert bench.states() == {"imported": _MANY}, [row.reason for row in bench.ledger.objects.rows() if not row.file_id]
    assert bench.names() == sorted(row.file_name for row in rows)
    assert {row.file_id for row in rows} == set(bench.client.file_ids(bench.directory_id))
