from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from diffgram_flows.errors import BudgetExhausted
from diffgram_flows.ledger import SERVER_LIMITS, Ledger, Limit

SERVER = "http://diffgram"
WORKER = """
    import sys, time
    from concurrent.futures import ThreadPoolExecutor
    from diffgram_flows.ledger import Limit, open_ledger
    ledger = open_ledger(sys.argv[1], "t")
    pacer = ledger.pacer("http://diffgram", {"input/packet": Limit(per_second=100)})
    asked, reserve = [], pacer._reserve
    pacer._reserve = lambda *arguments: asked.append(1) or reserve(*arguments)
    print("ready", flush=True)
    sys.stdin.readline()
    def call(_):
        pacer.wait("input/packet")
        return time.time()
    with ThreadPoolExecutor(8) as pool:
        left = list(pool.map(call, range(65)))
    print(len(asked), *left)
    ledger.close()
"""


def test_two_processes_together_keep_the_rate_and_use_it(ledger: Ledger, url: str) -> None:
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outputs = [worker.communicate(timeout=60)[0].split() for worker in workers]
    moments = sorted(float(moment) for output in outputs for moment in output[1:])
    assert len(moments) == 130
    # Never 101 calls within a second, whatever the machine is busy with; at its own speed when it is busy.
    assert min(later - earlier for earlier, later in zip(moments, moments[100:], strict=False)) > 0.99
    assert sum(int(output[0]) for output in outputs) < 65  # the database is asked for several at once


def test_threads_share_the_pace_and_unnamed_endpoints_are_free(ledger: Ledger) -> None:
    pacer = ledger.pacer(SERVER, {"input/packet": Limit(per_second=50)})
    start = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: pacer.wait("input/packet"), range(26)))
    assert time.monotonic() - start >= 25 / 50
    pacer.wait("anything else")
    assert ledger.pacer(SERVER, {"input/packet": Limit(per_second=50)}) is pacer


def test_a_late_call_moves_the_time_line_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    pacer = ledger.pacer(SERVER, {"input/packet": Limit(per_second=20)})
    pacer.wait("input/packet")
    sleep = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(seconds + 0.1))  # a machine that is busy
    pacer.wait("input/packet")
    late = time.monotonic()
    monkeypatch.setattr(time, "sleep", sleep)
    for _ in range(20):
        pacer.wait("input/packet")
    assert time.monotonic() - late >= 1.0


def test_a_penalty_holds_for_everybody_who_shares_the_database(ledger: Ledger) -> None:
    limits = {"input/packet": Limit(per_second=100), "input/update": Limit(per_day=300)}
    for endpoint in limits:
        ledger.pacer(SERVER, limits).penalise(endpoint, 0.4)
        start = time.monotonic()
        ledger.for_target("another").pacer(SERVER, limits).wait(endpoint)
        assert time.monotonic() - start >= 0.35
    ledger.pacer(SERVER, limits).penalise("not limited", 100)
    ledger.pacer(SERVER, limits).wait("not limited")


@pytest.mark.parametrize("endpoint", ["input/packet", "input/update"])
def test_a_long_penalty_is_an_error_instead_of_a_sleep(ledger: Ledger, endpoint: str) -> None:
    pacer = ledger.pacer(SERVER)
    pacer.penalise(endpoint, 7200)
    with pytest.raises(BudgetExhausted, match="counts more of them than this ledger"):
        pacer.wait(endpoint)


def test_every_daily_quota_of_the_contract_is_counted() -> None:
    days = {name: limit.per_day for name, limit in SERVER_LIMITS.items() if limit.per_day}
    assert days == {
        "input/update": 300,
        "job/builder/info": 300,
        "job/dir/attach": 20,
        "job/cancel": 10,
        "attribute/group/new": 10,
        "action/new": 20,
        "action/update": 20,
    }
    assert SERVER_LIMITS["upload/large"] == Limit(per_second=4)


def test_a_daily_budget_is_counted_before_the_call(ledger: Ledger) -> None:
    pacer = ledger.pacer(SERVER, {"input/update": Limit(per_day=10)})
    with ThreadPoolExecutor(8) as pool:

        def spend(_: int) -> bool:
            try:
                pacer.wait("input/update")
            except BudgetExhausted:
                return False
            return True

        assert sum(pool.map(spend, range(24))) == 10
    with pytest.raises(BudgetExhausted, match=r"10 calls a day to input/update.*first run after 20\d\d-.*UTC"):
        pacer.wait("input/update")
    ledger.pacer("http://another", {"input/update": Limit(per_day=10)}).wait("input/update")


def test_a_call_counts_for_a_whole_day_whenever_the_servers_day_began(ledger: Ledger, url: str) -> None:
    pacer = ledger.pacer(SERVER, {"input/update": Limit(per_day=2)})
    pacer.wait("input/update")
    pacer.wait("input/update")
    engine = sa.create_engine(url)
    for hours, allowed in ((23, False), (25, True)):
        then = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - hours * 3600))
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE budgets SET day = :then"), {"then": then})
        if allowed:
            pacer.wait("input/update")
        else:
            with pytest.raises(BudgetExhausted):
                pacer.wait("input/update")
    engine.dispose()
