"""Importing processes that are killed with SIGKILL, at random moments, many times."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from servers.bench import Bench
from servers.faulty import FaultyProxy, drawn
from servers.killing import Killer
from servers.settled import assert_settled, packets_of, settle

from diffgram_flows.sandbox.process import SandboxProcess

Report = Callable[..., None]
MakeBench = Callable[[SandboxProcess], Bench]


def kill_many(make_bench: MakeBench, data: Path, report: Report, *, objects: int, kills: int, seed: int) -> None:
    """Kill an import of a slow server so many times, then let one run to its end on a fast one."""
    with SandboxProcess(data, rate_limits=False, import_workers=2, download_delay=0.4) as slow:
        bench = make_bench(slow)
        bench.draw(objects)
        killer = Killer(bench, seed, {"window": 40})  # so that the server's list of 1,000 shows all packets at the end
        while killer.kills < kills:
            killer.kill_one()
        done, left = bench.states(), packets_of(bench)
    with SandboxProcess(data, rate_limits=False):
        settle(bench)
        figures = assert_settled(bench)
    assert done.get("imported", 0) < objects, "it was over before the last kill"
    start = f"{statistics.median(killer.starting):.2f} s"
    report(figures, kills=killer.kills, start=start, at_the_last_kill=done, packets_by_then=left)


@pytest.mark.slow
def test_an_import_that_is_killed_a_hundred_times(make_bench: MakeBench, tmp_path: Path, report: Report) -> None:
    kill_many(make_bench, tmp_path / "sandbox", report, objects=150, kills=100, seed=7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_an_import_that_is_killed_hundreds_of_times(
    make_bench: MakeBench, tmp_path: Path, report: Report, seed: int
) -> None:
    kill_many(make_bench, tmp_path / "sandbox", report, objects=800, kills=300, seed=seed)


def two_workers(make_bench: MakeBench, data: Path, report: Report, *, objects: int, kills: int, seed: int) -> None:
    """Let two processes share one ledger, and kill one of them again and again."""
    with SandboxProcess(data, rate_limits=False, import_workers=2, download_delay=0.15) as slow:
        bench = make_bench(slow)
        bench.draw(objects)
        killer = Killer(bench, seed)
        survivor = killer.start()
        try:
            killer.kill_while(lambda: killer.kills < kills)
            assert survivor.is_alive()
        finally:
            survivor.kill()
            survivor.join()
        kills_done = killer.kills
    with SandboxProcess(data, rate_limits=False):
        settle(bench)
        report(assert_settled(bench), kills=kills_done)


def test_two_workers_of_which_one_is_killed_again_and_again(
    make_bench: MakeBench, tmp_path: Path, report: Report
) -> None:
    two_workers(make_bench, tmp_path / "sandbox", report, objects=50, kills=10, seed=3)


@pytest.mark.slow
def test_two_workers_of_which_one_is_killed_a_hundred_times(
    make_bench: MakeBench, tmp_path: Path, report: Report
) -> None:
    two_workers(make_bench, tmp_path / "sandbox", report, objects=500, kills=100, seed=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_kills_and_all_kinds_of_faults_at_once(
    make_bench: MakeBench, tmp_path: Path, report: Report, seed: int
) -> None:
    data = tmp_path / "sandbox"
    with SandboxProcess(data, rate_limits=False, import_workers=2, download_delay=0.2) as slow:
        bench = make_bench(slow)
        bench.draw(300)
        with FaultyProxy(slow.url, drawn(seed, 0.15)) as proxy:
            killer = Killer(bench, seed, url=proxy.url)
            while killer.kills < 100:
                killer.kill_one(within=1.0)
            settle(bench)
        report(assert_settled(bench), kills=killer.kills, injected=dict(proxy.injected))
