"""A ledger whose disk is full, and one whose database is restarted."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from servers import full_disk
from servers.bench import TARGET, Bench
from servers.postgres import PostgresServer, postgres
from servers.settled import assert_settled, import_once, settle

from diffgram_flows.errors import DiffgramFlowsError, LedgerError, LedgerUnavailable
from diffgram_flows.importing import scan
from diffgram_flows.ledger import Ledger, open_ledger
from diffgram_flows.sandbox.process import SandboxProcess

__all__ = ["postgres"]

Report = Callable[..., None]
MakeBench = Callable[[SandboxProcess], Bench]


@contextmanager
def little_space(path: Path, spare: int) -> Iterator[Ledger]:
    """A ledger on a disk that has room for ``spare`` more pages of it: beyond, SQLite says that the disk is full."""
    with closing(sqlite3.connect(path)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()

    def limit(connection: sqlite3.Connection, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages + spare}")

    sa.event.listen(sa.engine.Engine, "connect", limit)
    try:
        with closing(open_ledger(str(path), TARGET)) as ledger:
            yield ledger
    finally:
        sa.event.remove(sa.engine.Engine, "connect", limit)


def test_a_disk_that_is_full_again_and_again(bench: Bench, tmp_path: Path, report: Report) -> None:
    bench.draw(60)
    full: list[LedgerError] = []
    for spare in range(40):
        with little_space(tmp_path / "ledger.db", spare) as ledger:
            try:
                import_once(bench, ledger=ledger, chunk_size=10, window=20)
                break
            except LedgerError as error:
                full.append(error)
        assert_consistent(bench)
    settle(bench)
    assert len(full) > 3
    assert all("full" in error.what and "disk space" in error.cure for error in full), full
    assert not any(error.retryable for error in full), "waiting does not help"
    report(assert_settled(bench), full_disks=len(full))


def test_a_real_disk_that_is_full(bench: Bench, tmp_path: Path, report: Report) -> None:
    unshare = [shutil.which("unshare") or "unshare-is-missing", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a disk of the test's own needs the right to mount one")
    bench.draw(150)
    copy = tmp_path / "copy.db"
    (tmp_path / "disk").mkdir()
    task = {
        "recipe": {**bench.recipe(), "ledger": str(tmp_path / "disk" / "ledger.db")},
        "target": TARGET,
        "size": 480,
        "copy": str(copy),
    }
    program = [*unshare, sys.executable, str(Path(full_disk.__file__))]
    done = subprocess.run(program, input=json.dumps(task), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    errors = json.loads(done.stdout)
    assert len(errors) == full_disk.RUNS
    assert all(kind == "LedgerError" and "full" in text and not retryable for kind, text, retryable in errors), errors
    with closing(open_ledger(str(copy), TARGET)) as ledger:
        report(assert_settled(replace(bench, ledger=ledger)), full_disks=len(errors))


def assert_consistent(bench: Bench) -> None:
    """What is written is whole: the bench's own ledger reads it, and each row of it says something that can be."""
    for row in bench.ledger.objects.rows():
        assert (row.file_id is not None) == (row.state == "imported"), row


@pytest.fixture
def shared(postgres: PostgresServer) -> Iterator[Ledger]:
    """A ledger in PostgreSQL that keeps what it has confirmed, also when its server is killed."""
    url = postgres.new_place().replace("options=", "options=-csynchronous_commit%3Don%20")
    ledger = open_ledger(url, TARGET)
    yield ledger
    ledger.close()


def restart_in_the_middle(
    make_bench: MakeBench, data: Path, postgres: PostgresServer, ledger: Ledger, report: Report, *, objects: int
) -> None:
    """Restart the database twice as an administrator would, and twice as after a crash, while an import runs."""
    with SandboxProcess(data, rate_limits=False, import_workers=2, download_delay=0.1) as sandbox:
        bench = replace(make_bench(sandbox), ledger=ledger)
        bench.draw(objects)
        with ThreadPoolExecutor(1) as pool:
            importing = pool.submit(
                settle, bench, chunk_size=10, window=20, stuck_after=60, claim_seconds=2.0, within=400
            )
            for how in (signal.SIGINT, signal.SIGQUIT, signal.SIGINT, signal.SIGQUIT):
                time.sleep(0.5)
                assert not importing.done(), "it was over too soon"
                postgres.stop(how)
                time.sleep(0.2)
                postgres.start()
            errors = importing.result()
        assert all(isinstance(error, LedgerUnavailable) for error in errors), errors
        report(assert_settled(bench), restarts=4, runs_that_failed=len(errors))


def test_a_database_that_is_restarted_in_the_middle(
    make_bench: MakeBench, tmp_path: Path, postgres: PostgresServer, shared: Ledger, report: Report
) -> None:
    restart_in_the_middle(make_bench, tmp_path / "sandbox", postgres, shared, report, objects=60)


@pytest.mark.slow
def test_a_database_that_is_restarted_in_a_long_import(
    make_bench: MakeBench, tmp_path: Path, postgres: PostgresServer, shared: Ledger, report: Report
) -> None:
    restart_in_the_middle(make_bench, tmp_path / "sandbox", postgres, shared, report, objects=600)


def test_every_trouble_of_the_database_may_be_tried_again(shared: Ledger, postgres: PostgresServer) -> None:
    postgres.stop(signal.SIGQUIT)
    try:
        with pytest.raises(DiffgramFlowsError) as caught:
            shared.objects.counts()
    finally:
        postgres.start()
    assert caught.value.retryable
    assert shared.objects.counts() == {}


def test_a_packet_is_no_younger_for_being_taken_over(bench: Bench) -> None:
    """Else those who take over and are killed soon, each in turn, would never find out that it did not arrive."""
    bench.draw(1)
    scan(bench.store, "", bench.ledger)
    claim = bench.ledger.claims.claim_chunk(1, seconds=0)
    assert claim is not None
    adopted = bench.ledger.claims.adopt_expired()
    assert adopted is not None
    assert [row.updated_at for row in adopted.rows] == [row.updated_at for row in claim.rows]


@pytest.mark.slow
@pytest.mark.xfail(
    strict=True,
    reason="a worker that cannot give its claims up, because the database is away, is taken for alive as long as its "
    "process lives: the next import of the same process waits for claim_seconds",
)
def test_the_same_process_goes_on_at_once_after_a_restart(
    make_bench: MakeBench, tmp_path: Path, postgres: PostgresServer, shared: Ledger
) -> None:
    with SandboxProcess(tmp_path / "sandbox", rate_limits=False, import_workers=1, download_delay=0.1) as sandbox:
        bench = replace(make_bench(sandbox), ledger=shared)
        bench.draw(20)
        with ThreadPoolExecutor(1) as pool:
            importing = pool.submit(import_once, bench)
            while not shared.objects.counts().get("sent"):
                time.sleep(0.05)
            postgres.stop(signal.SIGQUIT)
            error = importing.exception(60)
            postgres.start()
        assert isinstance(error, LedgerUnavailable)
        settle(bench, within=20)
        assert_settled(bench)
