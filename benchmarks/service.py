"""Whether the brain service holds: many clients at once, for minutes, with a new champion in the middle.

    python benchmarks/service.py [--clients 32] [--seconds 300] [--size 320] [--quick] [--json FILE]

The service is a process of its own, as ``diffgram-flows brain serve`` starts it; the clients are threads of this one,
each with a connection that it keeps, and send a JPEG of 640 x 480 as soon as they have the last answer. Half-way
another version becomes the champion.

``errors`` is how many requests were not answered with 200; ``rss_growth_mb`` is by how much the memory of the service
grew from the second to the fifth tenth of the time, plus from the seventh to the last one; ``rss_swap_mb`` is what the
second version costs, as the first one is kept for a roll-back; ``swap_ratio`` is the slowest 1 % around the swap
against the slowest 1 % of the rest.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from PIL import Image
from predict import brain

from diffgram_flows.brains import BrainRecord, Registry

TOKEN = "a token for a benchmark"  # noqa: S105
AROUND = 5.0  # seconds before and after the swap


@dataclass
class Seen:
    """What the clients have seen.

    Attributes:
        rows: When each answer came, and how long it took, in seconds.
        brains: How often each version answered.
        errors: What was not answered with 200.
    """

    rows: list[tuple[float, float]] = field(default_factory=list)
    brains: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--size", type=int, default=320, help="side of the network's input in pixels")
    parser.add_argument("--quick", action="store_true", help="8 clients, 15 seconds, a small network")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    wanted = parser.parse_args()
    clients, seconds, size = (8, 15.0, 64) if wanted.quick else (wanted.clients, wanted.seconds, wanted.size)
    with tempfile.TemporaryDirectory() as folder:
        figures = soak(Path(folder), clients, seconds, size)
    for name, value in figures.items():
        print(f"{name:<16} {value:.3f}")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2))


def soak(workdir: Path, clients: int, seconds: float, size: int) -> dict[str, float]:
    """Ask for so long with so many clients."""
    registry = Registry(workdir / "brains")
    first = brain(workdir / "brains", size)
    registry.promote(first.ref)
    second = copied(registry, first)
    seen, memory, over = Seen(), [], threading.Event()
    with service(workdir) as (port, pid):
        threads = [threading.Thread(target=ask, args=(port, picture(number), seen, over)) for number in range(clients)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        swapped = 0.0
        while (now := time.monotonic() - began) < seconds:
            memory.append((now, rss_mb(pid)))
            if not swapped and now > seconds / 2:
                registry.promote(second.ref)
                swapped = time.monotonic()
            time.sleep(min(1.0, seconds / 50))
        over.set()
        for thread in threads:
            thread.join()
    if seen.errors:
        print("\n".join(seen.errors[:5]), file=sys.stderr)
    return {**times(seen, seconds, swapped), **growth(memory, seconds)}


def times(seen: Seen, seconds: float, swapped: float) -> dict[str, float]:
    """Requests a second and how long they took."""
    near = [took for at, took in seen.rows if abs(at - swapped) < AROUND]
    rest = [took for at, took in seen.rows if abs(at - swapped) >= AROUND] or near
    every = [took for _, took in seen.rows]
    return {
        "errors": len(seen.errors),
        "versions": len(seen.brains),
        "requests": len(every),
        "per_second": len(every) / seconds,
        "p50_ms": 1000 * float(np.percentile(every, 50)),
        "p99_ms": 1000 * float(np.percentile(every, 99)),
        "max_ms": 1000 * max(every),
        "swap_ratio": float(np.percentile(near, 99) / np.percentile(rest, 99)),
    }


def growth(memory: list[tuple[float, float]], seconds: float) -> dict[str, float]:
    """Memory of the service at the begin, at the end, and what was added."""

    def mean(tenth: int) -> float:
        return statistics.mean(rss for at, rss in memory if tenth <= 10 * at / seconds < tenth + 1)

    before, after = mean(4) - mean(1), mean(9) - mean(6)
    return {
        "rss_begin_mb": mean(1),
        "rss_end_mb": mean(9),
        "rss_swap_mb": mean(6) - mean(4),
        "rss_growth_mb": max(0.0, before) + max(0.0, after),
    }


def ask(port: int, content: bytes, seen: Seen, over: threading.Event) -> None:
    """One client: the next request as soon as the last one was answered."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "image/jpeg"}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while not over.is_set():
        began = time.monotonic()
        try:
            connection.request("POST", "/v1/brains/detector/predict", content, headers)
            reply = connection.getresponse()
            body = reply.read()
        except OSError as error:
            seen.errors.append(type(error).__name__)
            connection.close()
            continue
        ended = time.monotonic()
        if reply.status != 200:
            seen.errors.append(f"{reply.status} {body[:300]!r}")
            continue
        seen.rows.append((ended, ended - began))
        seen.brains[json.loads(body)["brain"]] += 1
    connection.close()


@contextmanager
def service(workdir: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of a service that has loaded its brain."""
    command = [sys.executable, "-m", "diffgram_flows.cli", "brain", "serve", "--workdir", str(workdir), "--port", "0"]
    environment = {**os.environ, "DIFFGRAM_BRAIN_SERVICE_TOKEN": TOKEN}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
            if found is None:
                raise RuntimeError("The service did not start.")
            wait_until_ready(found.group())
            yield int(found.group(1)), process.pid
        finally:
            process.terminate()
            process.wait(60)


def wait_until_ready(url: str) -> None:
    """Wait until the brain is loaded."""
    ends_at = time.monotonic() + 120
    while time.monotonic() < ends_at:
        try:
            with urlopen(f"{url}/readyz") as reply:  # noqa: S310
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"{url} is not ready.")


def copied(registry: Registry, record: BrainRecord) -> BrainRecord:
    """The same brain as another version."""
    with registry.draft("detector") as draft:
        shutil.copytree(record.folder, draft, dirs_exist_ok=True, ignore=shutil.ignore_patterns("manifest.json"))
        return registry.add("detector", draft, record.manifest)


def picture(number: int) -> bytes:
    """A JPEG of 640 x 480."""
    random = np.random.default_rng(number)
    coarse = Image.fromarray(random.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    content = io.BytesIO()
    coarse.resize((640, 480)).save(content, "JPEG", quality=88)
    return content.getvalue()


def rss_mb(pid: int) -> float:
    """Memory of a process."""
    rows = dict(row.split(":", 1) for row in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(rows["VmRSS"].split()[0]) / 1024


if __name__ == "__main__":
    main()
