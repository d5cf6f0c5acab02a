"""A server whose workers die, that dies itself, and that is slower than the URLs live."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from servers.bench import Bench
from servers.faulty import FAULTS, FaultyProxy, drawn
from servers.killing import Killer
from servers.settled import assert_settled, settle

from diffgram_flows.sandbox.process import SandboxProcess

Report = Callable[..., None]
MakeBench = Callable[[SandboxProcess], Bench]


def hanging(bench: Bench) -> dict[str, int]:
    """What is in ``processing`` for ever, by file name, and how often the server was asked to try it again."""
    database = f"file:{bench.sandbox.data / 'sandbox.sqlite'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True)) as connection:
        rows = connection.execute("SELECT original_filename, retry_count FROM input WHERE status = 'processing'")
        return dict(rows.fetchall())


def retries(bench: Bench) -> int:
    """How often the server was asked to try something again."""
    database = f"file:{bench.sandbox.data / 'sandbox.sqlite'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True)) as connection:
        return int(connection.execute("SELECT sum(retry_count) FROM input").fetchone()[0])


def let_workers_die(make_bench: MakeBench, data: Path, report: Report, objects: int, *, seed: int) -> None:
    """Import on a server that loses every fourth import. What it lost twice is sent again."""
    with SandboxProcess(data, rate_limits=False, worker_death_rate=0.25, seed=seed) as sandbox:
        bench = make_bench(sandbox)
        bench.draw(objects)
        settle(bench, stuck_after=1.0)
        report(assert_settled(bench), deaths=retries(bench) + len(hanging(bench)))


def test_workers_that_die(make_bench: MakeBench, tmp_path: Path, report: Report) -> None:
    let_workers_die(make_bench, tmp_path / "sandbox", report, 40, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_many_workers_that_die(make_bench: MakeBench, tmp_path: Path, report: Report, seed: int) -> None:
    let_workers_die(make_bench, tmp_path / "sandbox", report, 400, seed=seed)


def kill_the_server(make_bench: MakeBench, data: Path, report: Report, objects: int, kills: int) -> None:
    """Kill the server again and again while an import runs; it starts on the same port and the same data."""
    with SandboxProcess(data, rate_limits=False, import_workers=3, download_delay=0.2) as sandbox:
        bench = make_bench(sandbox)
        bench.draw(objects)
        with ThreadPoolExecutor(1) as pool:
            importing = pool.submit(settle, bench, within=600, stuck_after=1.5, chunk_size=10, window=20)
            done = 0
            while done < kills and not importing.done():
                time.sleep(0.5)
                url = sandbox.url
                sandbox.kill()
                done += 1
                sandbox.start()
                assert sandbox.url == url, "somebody took the port meanwhile"
            errors = importing.result()
        assert done == kills, "it was over too soon"
        report(assert_settled(bench), server_kills=kills, runs_that_failed=len(errors), retried=retries(bench))


def test_a_server_that_is_killed_in_the_middle(make_bench: MakeBench, tmp_path: Path, report: Report) -> None:
    kill_the_server(make_bench, tmp_path / "sandbox", report, 40, 3)


@pytest.mark.slow
def test_a_server_that_is_killed_thirty_times(make_bench: MakeBench, tmp_path: Path, report: Report) -> None:
    kill_the_server(make_bench, tmp_path / "sandbox", report, 600, 30)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_everything_at_once(make_bench: MakeBench, tmp_path: Path, report: Report, seed: int) -> None:
    """The importer is killed, the server is killed, and requests go wrong in all ways."""
    data = tmp_path / "sandbox"
    with SandboxProcess(data, rate_limits=False, import_workers=3, download_delay=0.1) as sandbox:
        bench = make_bench(sandbox)
        bench.draw(300)
        with FaultyProxy(sandbox.url, drawn(seed, 0.1, FAULTS)) as proxy:
            killer = Killer(bench, seed, url=proxy.url)
            for _ in range(10):
                for _ in range(5):
                    killer.kill_one(within=1.0)
                sandbox.kill()
                sandbox.start()
        settle(bench, stuck_after=1.5)
        report(assert_settled(bench), kills=killer.kills, server_kills=10, injected=dict(proxy.injected))


def let_urls_die(make_bench: MakeBench, data: Path, report: Report, objects: int, *, life: float, pause: float) -> None:
    """Import with URLs that live for ``life`` seconds, on a server whose workers pause for longer at the start."""
    with SandboxProcess(data, rate_limits=False, cpu_gate_every=3600, cpu_gate_pause=pause) as sandbox:
        bench = make_bench(sandbox)
        bench.draw(objects)
        settle(bench, lease_for=timedelta(seconds=life), max_attempts=3)
        rows = bench.ledger.objects.rows("imported")
        figures = assert_settled(bench)
    again = sum(row.attempts > 1 for row in rows)
    assert again >= objects // 2, "few URLs died"
    assert not any("ignature" in row.reason for row in rows)
    report(figures, signed_again=again)


def test_urls_that_die_in_the_queue_are_signed_again(make_bench: MakeBench, tmp_path: Path, report: Report) -> None:
    let_urls_die(make_bench, tmp_path / "sandbox", report, 20, life=1, pause=6)


@pytest.mark.slow
def test_hundreds_of_urls_that_die_in_the_queue(make_bench: MakeBench, tmp_path: Path, report: Report) -> None:
    let_urls_die(make_bench, tmp_path / "sandbox", report, 300, life=8, pause=20)


def test_what_was_given_up_for_being_slow_does_not_arrive_later(make_bench: MakeBench, tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox", rate_limits=False, download_delay=1.5) as sandbox:
        bench = make_bench(sandbox)
        bench.draw(1)
        settle(bench, stuck_after=0.4, max_attempts=1)
        given_up = [row.object.key for row in bench.ledger.objects.rows("failed")]
        assert given_up
        ends_at = time.monotonic() + 2
        while hanging(bench) and time.monotonic() < ends_at:
            time.sleep(0.1)
        assert_settled(bench, given_up=given_up)
