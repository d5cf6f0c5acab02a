from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from diffgram_flows.errors import ClaimLost, LedgerError
from diffgram_flows.ledger import Claim, Ledger, Outcome
from diffgram_flows.models import StoredObject


def fill(ledger: Ledger, number: int) -> None:
    ledger.objects.add([StoredObject("s3://photos", f"{i:05}", 10, "1") for i in range(number)], lambda o: o.key)


def taken(claim: Claim | None) -> Claim:
    assert claim is not None
    return claim


def keys(claim: Claim | None) -> list[str]:
    return [row.object.key for row in claim.rows] if claim else []


def test_each_object_is_claimed_once_however_many_ask(ledger: Ledger) -> None:
    fill(ledger, 300)

    def take_all(_: int) -> list[str]:
        found: list[str] = []
        while part := keys(ledger.claims.claim_chunk(7)):
            found += part
        return found

    with ThreadPoolExecutor(8) as pool:
        every = list(chain.from_iterable(pool.map(take_all, range(8))))
    assert sorted(every) == [f"{i:05}" for i in range(300)]
    assert ledger.objects.counts() == {"sending": 300}


WORKER = """
    import sys
    from diffgram_flows.ledger import open_ledger
    ledger = open_ledger(sys.argv[1], sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    while claim := ledger.claims.claim_chunk(5):
        with ledger.claims.kept(claim) as heartbeat:
            for row in claim.rows:
                heartbeat.check()
                print(row.object.key, flush=True)
                ledger.objects.sent([row.id], claim=claim.id)
                ledger.objects.imported(row.id, file_id=row.id, input_id=row.id, claim=claim.id)
    ledger.close()
"""


def test_two_processes_import_each_object_once(ledger: Ledger, url: str) -> None:
    fill(ledger, 60)
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url, ledger.target]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    outputs = [worker.communicate("go\n", timeout=60)[0].split() for worker in workers]
    assert all(worker.returncode == 0 for worker in workers)
    assert sorted(chain.from_iterable(outputs)) == [f"{i:05}" for i in range(60)]
    assert ledger.objects.counts() == {"imported": 60}
    assert ledger.claims.adopt_expired() is None


def test_a_claim_takes_objects_of_one_bucket_if_told_so(ledger: Ledger) -> None:
    fill(ledger, 2)
    assert ledger.claims.claim_chunk(5, bucket="s3://other") is None
    assert keys(ledger.claims.claim_chunk(5, bucket="s3://photos")) == ["00000", "00001"]


def test_an_expired_claim_is_adopted_and_its_rows_are_maybe_delivered(ledger: Ledger) -> None:
    fill(ledger, 3)
    late = taken(ledger.claims.claim_chunk(3, worker="elsewhere/1:7:x", seconds=0))
    a, b, c = late.rows
    ledger.objects.sent([a.id], claim=late.id)
    ledger.objects.imported(b.id, file_id=1, input_id=1, claim=late.id)
    assert ledger.claims.claim_chunk(3) is None  # nothing of it is new again by itself

    adopted = taken(ledger.claims.adopt_expired())
    assert [(row.id, row.state) for row in adopted.rows] == [(a.id, "sent"), (c.id, "sending")]
    ledger.objects.release([c.id], "It never arrived.", claim=adopted.id)
    assert ledger.objects.counts() == {"sent": 1, "imported": 1, "new": 1}
    assert ledger.claims.adopt_expired() is None


def test_a_worker_that_comes_back_late_writes_nothing(ledger: Ledger) -> None:
    fill(ledger, 2)
    late = taken(ledger.claims.claim_chunk(2, worker="elsewhere/1:7:x", seconds=0))
    ids = [row.id for row in late.rows]
    taken(ledger.claims.adopt_expired())
    before = ledger.objects.rows()
    writes: tuple[Callable[[], None], ...] = (
        lambda: ledger.claims.renew(late),
        lambda: ledger.objects.sent(ids, claim=late.id),
        lambda: ledger.objects.release(ids, claim=late.id),
        lambda: ledger.objects.settle([Outcome(ids[0], "new", input_id=1)], claim=late.id),
        lambda: ledger.objects.imported(ids[0], file_id=1, input_id=1, claim=late.id),
        lambda: ledger.objects.failed(ids[0], "", claim=late.id),
    )
    for write in writes:
        with pytest.raises(ClaimLost, match="taken over by another worker"):
            write()
    assert ledger.objects.rows() == before


def test_a_slow_worker_whose_claim_nobody_took_goes_on(ledger: Ledger) -> None:
    fill(ledger, 1)
    slow = taken(ledger.claims.claim_chunk(1, worker="elsewhere/1:7:x", seconds=0))
    ledger.claims.renew(Claim(slow.id, slow.worker, slow.rows, 60))
    assert ledger.claims.adopt_expired() is None
    ledger.objects.sent([slow.rows[0].id], claim=slow.id)


def test_an_outcome_for_some_rows_of_others_is_written_for_none(ledger: Ledger) -> None:
    fill(ledger, 4)
    mine, theirs = taken(ledger.claims.claim_chunk(2)), taken(ledger.claims.claim_chunk(2))
    with pytest.raises(ClaimLost):
        ledger.objects.sent([mine.rows[0].id, theirs.rows[0].id], claim=mine.id)
    assert ledger.objects.counts() == {"sending": 4}


def test_a_claim_is_kept_while_its_holder_works(ledger: Ledger) -> None:
    fill(ledger, 2)
    claim = taken(ledger.claims.claim_chunk(2, worker="elsewhere/1:7:x", seconds=0.6))
    with ledger.claims.kept(claim) as heartbeat:
        ends_at = time.monotonic() + 1.2
        while time.monotonic() < ends_at:
            assert ledger.claims.adopt_expired() is None
            time.sleep(0.05)
        heartbeat.check()
        ledger.objects.sent([claim.rows[0].id], claim=claim.id)
    assert len(taken(ledger.claims.adopt_expired()).rows) == 2  # given up with the block, so that others may follow


def test_a_heartbeat_says_that_the_claim_is_lost(ledger: Ledger) -> None:
    fill(ledger, 1)
    claim = taken(ledger.claims.claim_chunk(1, worker="elsewhere/1:7:x", seconds=0))
    taken(ledger.claims.adopt_expired())
    with ledger.claims.kept(Claim(claim.id, claim.worker, claim.rows, 0.15)) as heartbeat:
        time.sleep(0.2)
        with pytest.raises(ClaimLost):
            heartbeat.check()


def test_the_claim_of_a_killed_process_is_adopted_at_once(ledger: Ledger, url: str) -> None:
    fill(ledger, 2)
    script = f"""
        import time
        from diffgram_flows.ledger import open_ledger
        print(open_ledger({url!r}, {ledger.target!r}).claims.claim_chunk(2, seconds=3600).id, flush=True)
        time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    assert ledger.claims.adopt_expired() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert len(taken(ledger.claims.adopt_expired()).rows) == 2


def test_only_one_worker_adopts_a_claim(ledger: Ledger) -> None:
    fill(ledger, 40)
    for _ in range(4):
        ledger.claims.claim_chunk(10, worker="elsewhere/1:7:x", seconds=0)
    with ThreadPoolExecutor(8) as pool:
        adopted = list(pool.map(lambda _: ledger.claims.adopt_expired(), range(8)))
    assert sorted(len(claim.rows) for claim in adopted if claim) == [10] * 4
    assert len(set(chain.from_iterable(keys(claim) for claim in adopted))) == 40


def test_rows_without_a_claim_are_adopted_on_demand_only(ledger: Ledger) -> None:
    fill(ledger, 3)
    ledger.objects.claim((0, 100))
    assert ledger.claims.adopt_expired() is None
    assert len(taken(ledger.claims.adopt_expired(unclaimed=True, size=2)).rows) == 2
    assert len(taken(ledger.claims.adopt_expired(unclaimed=True)).rows) == 1
    assert ledger.claims.adopt_expired(unclaimed=True) is None


def test_a_state_that_may_not_follow_is_refused(ledger: Ledger) -> None:
    fill(ledger, 2)
    first, second = ledger.objects.rows()
    ledger.objects.claim((first.id, first.id))
    with pytest.raises(LedgerError, match=r"cannot become 'sent': s3://photos/00001 is 'new'"):
        ledger.objects.sent([first.id, second.id])
    assert ledger.objects.counts() == {"sending": 1, "new": 1}
    with pytest.raises(LedgerError, match="missing from the ledger"):
        ledger.objects.sent([10**6])
