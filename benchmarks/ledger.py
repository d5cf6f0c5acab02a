"""What the ledger costs: rows a second, memory, and whether the server's quota is used and kept.

    python benchmarks/ledger.py [--objects 200000] [--url URL] [--quick] [--json FILE]

===========================  ==========================================================================================
ledger_rows_per_second       rows compared by ``ledger.objects.diff``: five times ``--objects``, of which nothing has
                             changed, against a listing made up on the spot; without the time that the listing takes
added_rows_per_second        rows written by ``ledger.objects.add``, their names made meanwhile
resync_ratio                 listing and comparing ``--objects`` unchanged objects, over listing them alone. Bare means
                             here: botocore's own parser over pages of 1,000 keys as S3 sends them, from memory. A real
                             bucket adds signatures, sockets and waiting to the bare listing, so its ratio is smaller
plan_memory_mb               how much more memory a process has at its peak when it plans five times ``--objects`` new
                             objects than when it plans 10,000, with the plan's rows written
events_overhead              what events and the position add to the ledger's work for an import: to write, claim, send
                             and settle objects, as a share; measured against the same without the trigger
paced_rate_share             packets that two processes of 8 threads sent to a sandbox with the server's limits in 60 s,
                             over what 20 a second allow
http_429                     how often the sandbox said that it was too much
===========================  ==========================================================================================

Ratios are medians of rounds in turn (A B A B ...), rates the best of three: a machine can only be slower than it is.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import sqlalchemy as sa
from botocore.parsers import create_parser
from botocore.session import get_session

from diffgram_flows.diffgram import DiffgramClient, Pacer, Packet
from diffgram_flows.importing.naming import file_name
from diffgram_flows.ledger import Ledger, open_ledger
from diffgram_flows.models import StoredObject
from diffgram_flows.sandbox import SandboxProcess

TARGET = "https://diffgram.example.com/project/7"
BUCKET = "s3://photos"
NEVER = 86_400.0  # seconds that an import waits in the sandbox
PAGE = 1000  # keys, as S3 sends them


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=200_000)
    parser.add_argument("--url", default="", help="an empty PostgreSQL database, instead of a file of SQLite")
    parser.add_argument("--quick", action="store_true", help="fewer objects and 10 s of packets, for a rough figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--child", nargs="*", default=[], help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.child:
        print(json.dumps(CHILDREN[wanted.child[0]](*wanted.child[1:])))
        return
    objects, seconds = (20_000, 10) if wanted.quick else (wanted.objects, 60)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        url = wanted.url or str(Path(folder) / "ledger.db")
        for measure in (
            lambda: rows(url, objects * 5),
            lambda: resync(url, objects),
            lambda: memory(url, objects * 5),
            lambda: events(objects // 20),
            lambda: pacing(url, Path(folder), seconds),
        ):
            for name, value in measure().items():
                figures[name] = value
                print(f"{name:26}{value:14,.3f}", flush=True)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def listing(number: int) -> Iterator[StoredObject]:
    """A sorted listing that nobody holds."""
    for i in range(number):
        yield StoredObject(BUCKET, f"cameras/north/2026/{i:09}.jpg", 100_000 + i, f"{i:032x}")


def rows(url: str, number: int) -> dict[str, float]:
    """How fast rows are written and compared."""
    ledger = open_ledger(url, f"{TARGET}/rows")
    writing = timed(lambda: ledger.objects.add(listing(number), file_name))
    making = best(lambda: sum(1 for _ in listing(number)))
    comparing = best(lambda: unchanged(ledger, listing(number), number))
    ledger.close()
    return {
        "ledger_rows_per_second": number / (comparing - making),
        "added_rows_per_second": number / writing,
    }


def resync(url: str, number: int) -> dict[str, float]:
    """A listing that is parsed as boto3 does, alone and compared."""
    pages = list(s3_pages(number))
    ledger = open_ledger(url, f"{TARGET}/resync")
    ledger.objects.add(parsed(pages), file_name)
    pairs = [
        (timed(lambda: sum(1 for _ in parsed(pages))), timed(lambda: unchanged(ledger, parsed(pages), number)))
        for _ in range(5)
    ]
    ledger.close()
    return {
        "resync_ratio": statistics.median(compared / bare for bare, compared in pairs),
        "bare_listing_objects_per_second": number / min(bare for bare, _ in pairs),
    }


def memory(url: str, number: int) -> dict[str, float]:
    """Peak memory of processes of their own, in MB."""
    small, large = (run_child("plan", url, count) for count in (10_000, number))
    return {"plan_memory_mb": large["peak_mb"] - small["peak_mb"], "planned_per_second": large["per_second"]}


def plan_child(url: str, number: str) -> dict[str, float]:
    """Plan so many new objects."""
    ledger = open_ledger(url, f"{TARGET}/plan {number}")
    taken = timed(lambda: ledger.plans.make({}, ledger.objects.diff(BUCKET, "", listing(int(number)))))
    ledger.close()
    return {"peak_mb": peak_mb(), "per_second": int(number) / taken}


def peak_mb() -> float:
    """Peak memory of this process. ``getrusage`` would count what its parent had when it was forked."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # macOS: bytes
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def events(number: int) -> dict[str, float]:
    """The ledger's work for an import with and without the trigger, in turn (A B A B ...), on SQLite."""
    with_it, without = [], []
    for _ in range(5):
        for traced, times in ((True, with_it), (False, without)):
            with tempfile.TemporaryDirectory() as folder:
                ledger = open_ledger(f"{folder}/ledger.db", TARGET)
                if not traced:
                    drop_trigger(Path(folder) / "ledger.db")
                times.append(timed(lambda opened=ledger: import_without_a_server(opened, number)))  # type: ignore[misc]
                ledger.close()
    shares = (first / second for first, second in zip(with_it, without, strict=True))
    return {"events_overhead": statistics.median(shares) - 1}


def drop_trigger(path: Path) -> None:
    """Leave a ledger without events."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TRIGGER objects_moved")
    engine.dispose()


def import_without_a_server(ledger: Ledger, number: int) -> None:
    """What an import writes: each outcome in a transaction of its own, as packets return one by one."""
    ledger.objects.add(listing(number), file_name)
    while claim := ledger.claims.claim_chunk(100):
        for row in claim.rows:
            ledger.objects.sent([row.id], claim=claim.id)
        for row in claim.rows:
            ledger.objects.imported(row.id, file_id=row.id, input_id=row.id, claim=claim.id)
        ledger.claims.give_up(claim)


def pacing(url: str, folder: Path, seconds: int) -> dict[str, float]:
    """Two processes against a sandbox with the server's limits."""
    sandbox = SandboxProcess(folder / "sandbox", rate_limits=True, import_delay=NEVER).start()
    try:
        keys = (sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret)
        with DiffgramClient(*keys) as client:
            directory_id = client.ensure_directory("benchmark").id
        starts_at = time.time() + 5
        children = [start_child("packets", url, *keys, directory_id, starts_at, seconds, name) for name in "ab"]
        found = [json.loads(child.communicate()[0]) for child in children]
    finally:
        sandbox.kill()  # a stop would wait for imports that never end
    return {
        "paced_rate_share": sum(each["sent"] for each in found) / (20 * seconds),
        "http_429": sum(each["refused"] for each in found),
        "pacer_questions_per_second": sum(each["questions"] for each in found) / seconds,
    }


def packets_child(url: str, *arguments: str) -> dict[str, float]:
    """Send packets with 8 threads for some time, and count what the server says."""
    *keys, directory_id, starts_at, seconds, name = arguments
    ledger = open_ledger(url, TARGET)
    pacer = CountingPacer(ledger, keys[0])
    ends_at = float(starts_at) + float(seconds)

    def work(thread: int) -> int:
        sent = 0
        while True:
            file_name = f"{name}-{thread}-{sent}.jpg"
            client.send_packet(Packet(int(directory_id), url=f"http://127.0.0.1:9/{file_name}", file_name=file_name))
            if time.time() > ends_at:
                return sent
            sent += 1

    with DiffgramClient(*keys, pacer=pacer, pool_size=8) as client, ThreadPoolExecutor(8) as pool:
        time.sleep(max(0.0, float(starts_at) - time.time()))
        sent = sum(pool.map(work, range(8)))
    ledger.close()
    return {"sent": sent, "refused": pacer.refused, "questions": pacer.questions}


class CountingPacer(Pacer):
    """The ledger's pacer; counts its questions to the database and the 429s that it is told of."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        self._pacer = ledger.pacer(server)
        self.refused = self.questions = 0
        sa.event.listen(self._pacer._engine, "begin", self._count)

    def _count(self, _: object) -> None:
        self.questions += 1

    def wait(self, endpoint: str) -> None:
        self._pacer.wait(endpoint)

    def penalise(self, endpoint: str, seconds: float) -> None:
        self.refused += 1
        self._pacer.penalise(endpoint, seconds)


CHILDREN: dict[str, Callable[..., dict[str, float]]] = {"plan": plan_child, "packets": packets_child}


def start_child(*arguments: object) -> subprocess.Popen[str]:
    """This file once more, in a process of its own."""
    command = [sys.executable, __file__, "--child", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def run_child(*arguments: object) -> dict[str, float]:
    """What such a process measured."""
    found: dict[str, float] = json.loads(start_child(*arguments).communicate()[0])
    return found


def unchanged(ledger: Ledger, found: Iterator[StoredObject], number: int) -> None:
    """Compare a listing that is known."""
    diff = ledger.objects.diff(BUCKET, "", found)
    assert not list(diff)  # noqa: S101 - a benchmark of something else would be none
    assert diff.known == number  # noqa: S101


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def best(work: Callable[[], object]) -> float:
    """Seconds that it takes when nothing disturbs it."""
    return min(timed(work) for _ in range(3))


def s3_pages(number: int) -> Iterator[bytes]:
    """The bodies of ListObjectsV2."""
    entry = (
        "<Contents><Key>{0.key}</Key><LastModified>2026-11-24T10:00:00.000Z</LastModified>"
        "<ETag>&quot;{0.version}&quot;</ETag><Size>{0.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )
    page: list[str] = []
    for stored in listing(number):
        page.append(entry.format(stored))
        if len(page) == PAGE:
            yield _page(page)
            page = []
    if page:
        yield _page(page)


def _page(entries: list[str]) -> bytes:
    head = '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    body = f"<Name>photos</Name><KeyCount>{len(entries)}</KeyCount><IsTruncated>true</IsTruncated>{''.join(entries)}"
    return f"{head}{body}</ListBucketResult>".encode()


def parsed(pages: list[bytes]) -> Iterator[StoredObject]:
    """Objects as boto3 makes them of these bodies."""
    model = get_session().get_service_model("s3").operation_model("ListObjectsV2").output_shape
    parser = create_parser("rest-xml")
    for body in pages:
        reply = parser.parse({"body": body, "headers": {}, "status_code": 200}, model)
        for entry in reply["Contents"]:
            yield StoredObject(BUCKET, entry["Key"], entry["Size"], entry["ETag"].strip('"'), entry["LastModified"])


if __name__ == "__main__":
    main()
