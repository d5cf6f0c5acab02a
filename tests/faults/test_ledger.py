"""A ledger whose disk is full, and one whose database is restarted."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from servers.bench import TARGET, Bench
from servers.postgres import PostgresServer, postgres
from servers.settled import assert_settled, import_once, settle

from diffgram_flows.errors import DiffgramFlowsError, LedgerError, LedgerUnavailable
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


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_database_that_is_restarted_in_the_middle(
    make_bench: MakeBench, tmp_path: Path, postgres: PostgresServer, shared: Ledger, report: Report, how: signal.Signals
) -> None:
    with SandboxProcess(tmp_path / "sandbox", rate_limits=False, import_workers=2, download_delay=0.1) as sandbox:
        bench = replace(make_bench(sandbox), ledger=shared)
        bench.draw(60)
        with ThreadPoolExecutor(1) as pool:
            importing = pool.submit(settle, bench, chunk_size=10, window=20, stuck_after=60, claim_seconds=2.0)
            restarts = 0
            while restarts < 3 and not importing.done():
                time.sleep(0.7)
                postgres.stop(how)
                restarts += 1
                time.sleep(0.2)
                postgres.start()
            errors = importing.result()
        assert all(isinstance(error, LedgerUnavailable) for error in errors), errors
        assert restarts == 3
        report(assert_settled(bench), restarts=restarts, runs_that_failed=len(errors))


def test_every_trouble_of_the_database_may_be_tried_again(shared: Ledger, postgres: PostgresServer) -> None:
    postgres.stop(signal.SIGQUIT)
    try:
        with pytest.raises(DiffgramFlowsError) as caught:
            shared.objects.counts()
    finally:
        postgres.start()
    assert caught.value.retryable
    assert shared.objects.counts() == {}
