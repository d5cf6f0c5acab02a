"""What a listing of S3 costs: CPU an object against boto3's paginator, and time against reading several places at once.

    python benchmarks/listing.py [--keys 50000] [--rounds 7] [--threads 8] [--quick] [--json FILE]

The bucket is a server of its own process on this machine, so its CPU time does not count. The first ratio is the median
of rounds in turn (A B A B ...), so that a machine whose speed drifts slows both; less is better. The second compares
the time until the last object, planning included, where each page takes 100 ms; more is better.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from diffgram_flows.storage import StorageSettings, list_parallel, open_store

SERVER = Path(__file__).with_name("listing_server.py")
PAGE_MILLISECONDS = 100.0
BUCKET = "photos"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=50_000, help="objects in the bucket")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=8, help="places that are read at the same time")
    parser.add_argument("--quick", action="store_true", help="a few seconds, for a rough figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    wanted = parser.parse_args()
    keys, rounds = (10_000, 5) if wanted.quick else (wanted.keys, wanted.rounds)
    os.environ.update(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="secret")  # noqa: S106 - nobody checks it
    with serving(keys, 0.0, "uuid") as endpoint:
        figures = cpu(endpoint, keys, rounds)
    many = 3 * keys  # planning takes a second however long the listing is
    with serving(many, PAGE_MILLISECONDS, "uuid") as endpoint:
        figures |= speed(endpoint, many, wanted.threads)
    print(f"boto3 paginator      {figures['boto3_microseconds']:8.1f} us CPU an object")
    print(f"iter_objects         {figures['s3_microseconds']:8.1f} us CPU an object")
    print(f"ratio                {figures['s3_cpu_ratio']:8.3f}  (median of {rounds} rounds)")
    print(f"one after the other  {figures['sequential_seconds']:8.2f} s for {many} objects, 100 ms a page")
    print(f"{wanted.threads} places at once     {figures['parallel_seconds']:8.2f} s")
    print(f"speed-up             {figures['parallel_speedup']:8.2f}")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def cpu(endpoint: str, keys: int, rounds: int) -> dict[str, float]:
    """Microseconds of CPU an object of both, and the median of their ratios."""
    import boto3

    plain = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")

    def paginator() -> Iterator[Any]:
        for page in plain.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
            yield from page["Contents"]

    store, _ = open_store(f"s3://{BUCKET}", StorageSettings(s3_endpoint=endpoint))
    with store:
        for listing in (paginator, store.iter_objects):  # connections are made, code is warm
            seconds(listing, keys, time.process_time)
        pairs = [
            (seconds(paginator, keys, time.process_time), seconds(store.iter_objects, keys, time.process_time))
            for _ in range(rounds)
        ]
    plain.close()
    return {
        "boto3_microseconds": statistics.median(first for first, _ in pairs) / keys * 1e6,
        "s3_microseconds": statistics.median(second for _, second in pairs) / keys * 1e6,
        "s3_cpu_ratio": statistics.median(second / first for first, second in pairs),
    }


def speed(endpoint: str, keys: int, threads: int) -> dict[str, float]:
    """Seconds of a sequential and of a parallel listing; both must find everything."""
    store, _ = open_store(f"s3://{BUCKET}", StorageSettings(s3_endpoint=endpoint))
    with store:
        store.check()
        one = seconds(store.iter_objects, keys, time.perf_counter)
        many = seconds(lambda: list_parallel(store, threads=threads), keys, time.perf_counter)
    return {"sequential_seconds": one, "parallel_seconds": many, "parallel_speedup": one / many}


def seconds(listing: Callable[[], Iterable[Any]], keys: int, clock: Callable[[], float]) -> float:
    """What one run through a listing takes."""
    start = clock()
    found = sum(1 for _ in listing())
    took = clock() - start
    if found != keys:
        raise RuntimeError(f"{found} objects were found, and not {keys}")
    return took


@contextmanager
def serving(keys: int, milliseconds: float, kind: str) -> Iterator[str]:
    """The address of a server with so many keys."""
    command = [sys.executable, str(SERVER), str(keys), str(milliseconds), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the pipes to the server are missing")
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(timeout=30)


if __name__ == "__main__":
    main()
