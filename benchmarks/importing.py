"""What an import costs: each figure beside what it is compared with.

    python benchmarks/importing.py [--only NAME ...] [--quick] [--json FILE]

=========================  ============================================================================================
paced_rate_share           packets that two workers, processes of their own on one ledger, sent to a sandbox with the
                           server's limits in 60 s, over what 20 a second allow
http_429                   how often that sandbox said that it was too much
unpaced_throughput_ratio   packets a second of a worker (claims, signs, sends, writes every outcome, looks at the list)
                           over those of a bare pool of threads that sends the same packets and writes nothing; both
                           with 8 threads on one sandbox without limits, in turn; median of the rounds
resync_ratio               listing 200,000 unchanged objects of an S3 server in a process of its own and comparing them
                           with the ledger, over listing them alone with the same lister; best of five rounds in turn
ledger_rows_per_second     rows compared by ``ledger.objects.diff``: 1,000,000 of which nothing has changed, against a
                           listing made up on the spot; without the time that the listing takes; best of three
plan_memory_mb             how much more memory a process has at its peak when it plans 1,000,000 new objects than when
                           it plans 10,000, with the plan's rows written
events_microseconds        what events and the ledger's position cost an object on its way from new to imported; the
                           ledger's whole work for it is beside it, best of three in turn with and without the trigger
prefect_overhead_ratio     seconds of the flow over 20,000 objects, on a Prefect server that already runs, over those of
                           the same calls without Prefect; each on a sandbox of its own; A B B A, the better of two
=========================  ============================================================================================

A figure is worth something on a machine that does nothing else. ``--quick`` takes smaller sizes and a minute in all.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from importing_runs import Figures, paced, unpaced, with_prefect
from listing import serving

from diffgram_flows.importing import SUFFIXES, file_name, make_plan, scan
from diffgram_flows.ledger import Ledger, Outcome, open_ledger
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage import StorageSettings, open_store
from diffgram_flows.storage.store import BaseStore

BUCKET = "s3://photos"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", choices=list(MEASURES))
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a minute in all, for rough figures")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--plan", nargs=2, default=[], help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.plan:
        print(json.dumps(plan_child(wanted.plan[0], int(wanted.plan[1]))))
        return
    figures: Figures = {}
    for name, measure in MEASURES.items():
        if wanted.only and name not in wanted.only:
            continue
        found = measure(wanted.quick)
        figures |= found
        print(f"{name}:", "  ".join(f"{key} {value:,.3f}" for key, value in found.items()), flush=True)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def rows(number: int) -> Figures:
    """How fast unchanged rows are compared; beside it, how fast the listing alone is made up, and written."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = open_ledger(f"{folder}/ledger.db", "rows")
        writing = timed(lambda: ledger.objects.add(made_up(number), file_name))
        making = min(timed(lambda: sum(1 for _ in made_up(number))) for _ in range(3))
        comparing = min(timed(lambda: unchanged(ledger, number)) for _ in range(3))
        ledger.close()
    return {
        "made_up_rows_per_second": number / making,
        "added_rows_per_second": number / writing,
        "ledger_rows_per_second": number / (comparing - making),
    }


def resync(number: int) -> Figures:
    """An unchanged bucket, listed alone and compared, in turn (A B A B ...)."""
    os.environ.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="secret")  # noqa: S106 - nobody checks it
    with tempfile.TemporaryDirectory() as folder, serving(number, 0.0, "uuid") as endpoint:
        store, _ = open_store(BUCKET, StorageSettings(s3_endpoint=endpoint))
        ledger = open_ledger(f"{folder}/ledger.db", "resync")
        with store:

            def listed() -> None:
                assert sum(1 for _ in store.iter_objects(suffixes=SUFFIXES)) == number  # noqa: S101

            def compared() -> None:
                assert scan(store, "", ledger).known == number  # noqa: S101

            scan(store, "", ledger)
            pairs = [(timed(listed), timed(compared)) for _ in range(5)]
        ledger.close()
    bare, whole = (min(times) for times in zip(*pairs, strict=True))
    return {
        "bare_listing_per_second": number / bare,
        "resync_per_second": number / whole,
        "resync_ratio": whole / bare,
    }


def memory(number: int) -> Figures:
    """Peak memory of processes of their own, in MB."""
    small, large = plan_in_child(10_000), plan_in_child(number)
    return {
        "small_plan_peak_mb": small["peak_mb"],
        "large_plan_peak_mb": large["peak_mb"],
        "planned_per_second": large["per_second"],
        "plan_memory_mb": max(0.0, large["peak_mb"] - small["peak_mb"]),
    }


def plan_in_child(number: int) -> Figures:
    """Plan in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--plan", f"{folder}/ledger.db", str(number)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: Figures = json.loads(done.stdout)
    return found


def plan_child(place: str, number: int) -> Figures:
    """Plan so many new objects."""
    ledger = open_ledger(place, "plan")
    taken = timed(lambda: make_plan(MadeUp(number), "", ledger, parameters={}))
    ledger.close()
    return {"peak_mb": peak_mb(), "per_second": number / taken}


def peak_mb() -> float:
    """The most memory that this process has had; what ``getrusage`` says may have been its parent's."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


class MadeUp(BaseStore):
    """A bucket with so many images, which nobody holds in memory. It only lists."""

    bucket = BUCKET

    def __init__(self, number: int) -> None:
        self._number = number

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        return made_up(self._number)

    def check(self) -> None:
        return None

    def max_ttl(self) -> timedelta:
        raise NotImplementedError

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        raise NotImplementedError

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = 0) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        return None


def events(number: int) -> Figures:
    """The ledger's work for an import with and without the trigger, in turn (A B A B ...)."""
    with_it: list[float] = []
    without: list[float] = []
    for _ in range(3):
        for traced, times in ((True, with_it), (False, without)):
            with tempfile.TemporaryDirectory() as folder:
                ledger = open_ledger(f"{folder}/ledger.db", "events")
                if not traced:
                    with sqlite3.connect(f"{folder}/ledger.db") as connection:
                        connection.execute("DROP TRIGGER objects_moved")
                    connection.close()
                times.append(timed(lambda opened=ledger: without_a_server(opened, number)))  # type: ignore[misc]
                ledger.close()
    return {
        "ledger_microseconds": min(with_it) / number * 1e6,
        "events_microseconds": max(0.0, min(with_it) - min(without)) / number * 1e6,
    }


def without_a_server(ledger: Ledger, number: int) -> None:
    """What an import writes, in the batches in which it does."""
    ledger.objects.add(made_up(number), file_name)
    while claim := ledger.claims.claim_chunk(500):
        ids = [row.id for row in claim.rows]
        for start in range(0, len(ids), 200):
            ledger.objects.sent(ids[start : start + 200], claim=claim.id)
        ledger.objects.settle((Outcome(each, "imported", "", each, each) for each in ids), claim=claim.id)
        ledger.claims.give_up(claim)


def made_up(number: int) -> Iterator[StoredObject]:
    """A sorted listing."""
    for i in range(number):
        yield StoredObject(BUCKET, f"cameras/north/2026/{i:09}.jpg", 100_000 + i, f"{i:032x}")


def unchanged(ledger: Ledger, number: int) -> None:
    """Compare a listing that is known."""
    diff = ledger.objects.diff(BUCKET, "", made_up(number))
    assert not list(diff)  # noqa: S101 - a benchmark of something else would be none
    assert diff.known == number  # noqa: S101


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


MEASURES: dict[str, Callable[[bool], Figures]] = {
    "rows": lambda quick: rows(50_000 if quick else 1_000_000),
    "resync": lambda quick: resync(5_000 if quick else 200_000),
    "memory": lambda quick: memory(50_000 if quick else 1_000_000),
    "events": lambda quick: events(5_000 if quick else 50_000),
    "unpaced": lambda quick: unpaced(*((300, 1) if quick else (3000, 7))),
    "paced": lambda quick: paced(4 if quick else 60),
    "prefect": lambda quick: with_prefect(60 if quick else 20_000, at_once=quick),
}

if __name__ == "__main__":
    main()
