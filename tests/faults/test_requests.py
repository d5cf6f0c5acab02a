"""Requests that go wrong between us and the server, each kind alone and all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

import pytest
from servers.bench import Bench, client_of
from servers.faulty import FAULTS, FaultyProxy, drawn
from servers.settled import assert_settled, settle

Report = Callable[..., None]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets count as lost sooner than lists are up to date: that is to cost time only, never a second file."""
    monkeypatch.setattr("diffgram_flows.importing.following.GRACE", 0.5)


def import_through(
    bench: Bench, objects: int, *, rate: float, seed: int, kinds: Collection[str] = FAULTS, route: str = "url"
) -> Counter[str]:
    """Import through a proxy that injects faults; how many of each kind there were."""
    bench.draw(objects)
    with (
        FaultyProxy(bench.sandbox.url, drawn(seed, rate, kinds)) as proxy,
        client_of(bench.sandbox, url=proxy.url, timeout=5) as client,
    ):
        settle(
            bench, client=client, chunk_size=max(5, objects // 5), window=max(10, objects // 2), route=route, within=300
        )
        return proxy.injected


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind != "stale"])
def test_each_kind_of_fault_alone(bench: Bench, report: Report, kind: str) -> None:
    injected = import_through(bench, 10, rate=0.2, seed=1, kinds=[kind])
    assert injected.keys() == {kind}
    report(assert_settled(bench), injected=injected.total())


def test_lists_that_are_a_second_old(bench: Bench, report: Report) -> None:
    injected = import_through(bench, 40, rate=0.9, seed=1, kinds=["stale"])
    assert injected.keys() == {"stale"}
    report(assert_settled(bench), injected=injected.total())


@pytest.mark.parametrize(("seed", "route"), [(1, "url"), (2, "url"), (3, "upload")])
def test_all_kinds_of_faults_together(bench: Bench, report: Report, seed: int, route: str) -> None:
    injected = import_through(bench, 40, rate=0.25, seed=seed, route=route)
    assert len(injected) > 3
    report(assert_settled(bench), injected=dict(injected))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("kind", FAULTS)
def test_each_kind_of_fault_alone_over_hundreds_of_objects(bench: Bench, report: Report, kind: str, seed: int) -> None:
    rate = 0.9 if kind == "stale" else 0.25  # few requests can meet that one
    injected = import_through(bench, 200, rate=rate, seed=seed, kinds=[kind])
    assert injected.keys() == {kind}
    report(assert_settled(bench), injected=injected.total())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "route"), [*((seed, "url") for seed in range(10, 16)), (10, "upload"), (11, "upload")]
)
def test_all_kinds_of_faults_together_over_hundreds_of_objects(
    bench: Bench, report: Report, seed: int, route: str
) -> None:
    injected = import_through(bench, 300, rate=0.25, seed=seed, route=route)
    assert len(injected) > 9
    report(assert_settled(bench), injected=dict(injected))
