"""Imports against sandboxes, for importing.py: paced, unpaced, and with and without Prefect.

Run as ``python importing_runs.py WHAT ARGUMENTS``, it is one of the processes that are measured, and prints JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from diffgram_flows.diffgram import DiffgramClient, Pacer
from diffgram_flows.importing import Worker, WorkOptions, file_name, scan
from diffgram_flows.ledger import Ledger, open_ledger
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.storage import open_store

ALLOWED = 20.0  # packets a second, of one address
NEVER = 86_400.0  # seconds that an import waits in the sandbox
THREADS = 8
WINDOW = 10**6
Figures = dict[str, float]


def fill(folder: Path, number: int) -> str:
    """A folder with so many images, all the same; its URI."""
    from PIL import Image

    folder.mkdir(parents=True)
    first = folder / "000000.jpg"
    Image.new("RGB", (8, 8), (200, 10, 10)).save(first)
    content = first.read_bytes()
    for i in range(1, number):
        (folder / f"{i:06}.jpg").write_bytes(content)
    return f"file://{folder}"


class CountingPacer(Pacer):
    """The ledger's pacer, which counts the 429s that it is told of."""

    def __init__(self, ledger: Ledger, server: str) -> None:
        self._pacer = ledger.pacer(server)
        self.refused = 0

    def wait(self, endpoint: str) -> None:
        self._pacer.wait(endpoint)

    def penalise(self, endpoint: str, seconds: float) -> None:
        self.refused += 1
        self._pacer.penalise(endpoint, seconds)


def paced(seconds: int) -> Figures:
    """Two workers on one ledger, against a sandbox with the server's limits."""
    with tempfile.TemporaryDirectory() as name, sandbox_of(Path(name), rate_limits=True, import_delay=NEVER) as server:
        folder, directory_id = Path(name), str(dataset(server))
        uri = fill(folder / "bucket", int(ALLOWED * seconds * 1.2) + 200)
        prepare(uri, folder / "ledger.db")
        begin = str(time.time() + 5)
        more = [uri, str(folder / "ledger.db"), directory_id, begin, str(seconds)]
        children = [start("paced", *keys_of(server), *more) for _ in range(2)]
        found = [json.loads(child.communicate()[0]) for child in children]
    sent = sum(each["sent"] for each in found)
    return {
        "packets_per_second_allowed": ALLOWED,
        "packets_per_second_sent": sent / seconds,
        "paced_rate_share": sent / (ALLOWED * seconds),
        "http_429": sum(each["refused"] for each in found),
    }


def paced_child(*arguments: str) -> Figures:
    """One of the two workers; counts what it sent until the end."""
    *keys, uri, place, directory_id, begin, seconds = arguments
    ledger = open_ledger(place, "benchmark")
    pacer = CountingPacer(ledger, keys[0])
    begins, sent = float(begin), [0]

    class Client(DiffgramClient):
        def send_packet(self, packet: Any) -> None:
            super().send_packet(packet)
            sent[0] += begins <= time.time() <= begins + float(seconds)

    store, _ = open_store(uri)
    with store, Client(*keys, pacer=pacer, pool_size=THREADS) as client:
        options = WorkOptions(chunk_size=100, window=WINDOW, threads=THREADS, inspect_headers=False)
        time.sleep(max(0.0, begins - time.time()))
        with Worker(client, store, ledger, directory_id=int(directory_id), options=options) as worker:
            while (left := begins + float(seconds) - time.time()) > 0:
                worker.step(left)
    return {"sent": sent[0], "refused": pacer.refused}


def unpaced(packets: int, rounds: int) -> Figures:
    """A worker and a bare pool of threads, in turn, against a sandbox without limits that works nothing off."""
    with tempfile.TemporaryDirectory() as name, sandbox_of(Path(name), rate_limits=False, import_delay=NEVER) as server:
        folder, directory_id = Path(name), dataset(server)
        uri = fill(folder / "bucket", packets)
        send = bare_sender(server, directory_id)
        with DiffgramClient(*keys_of(server), pool_size=THREADS) as client:
            pairs = []
            for number in range(rounds + 1):  # the first one warms up
                bare = rate_of_bare(send, f"bare-{number}", packets)
                ours = rate_of_worker(client, uri, folder / f"{number}.db", directory_id, packets)
                pairs.append((bare, ours))
    pairs = pairs[1:]
    return {
        "bare_packets_per_second": statistics.median(bare for bare, _ in pairs),
        "import_packets_per_second": statistics.median(ours for _, ours in pairs),
        "unpaced_throughput_ratio": statistics.median(ours / bare for bare, ours in pairs),
    }


def rate_of_bare(send: Callable[[str], object], prefix: str, packets: int) -> float:
    """Packets a second of a bare pool of threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        start = time.perf_counter()
        list(pool.map(send, (f"{prefix}-{i:06}.jpg" for i in range(packets))))
        return packets / (time.perf_counter() - start)


def rate_of_worker(client: DiffgramClient, uri: str, place: Path, directory_id: int, packets: int) -> float:
    """Packets a second of a worker, from its first claim until the ledger has all outcomes."""
    ledger = prepare(uri, place)
    store, _ = open_store(uri)
    options = WorkOptions(window=WINDOW, threads=THREADS, inspect_headers=False)
    with store, Worker(client, store, ledger, directory_id=directory_id, options=options) as worker:

        def work() -> None:
            while worker.sent < packets:
                worker.step(1.0)

        start = time.perf_counter()
        thread = threading.Thread(target=work)
        thread.start()
        while worker.sent < packets:
            time.sleep(0.005)
        took = time.perf_counter() - start
        thread.join()
    ledger.close()
    return packets / took


def bare_sender(server: SandboxProcess, directory_id: int) -> Callable[[str], object]:
    """The least that sends a packet: one session a thread, no checks, no retries, the reply parsed."""
    url = f"{server.url}/api/walrus/v1/project/{server.project}/input/packet"
    own = threading.local()

    def send(name: str) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
            own.session.auth = (server.client_id, server.client_secret)
        media = {"url": f"http://127.0.0.1:9/{name}?signature=0123456789abcdef&expires=1", "type": "image"}
        body = {"directory_id": directory_id, "media": media, "original_filename": name}
        reply = own.session.post(url, json=body, timeout=30)
        reply.raise_for_status()
        assert reply.json()["log"]["success"]  # noqa: S101 - a benchmark of failures would be none

    return send


def with_prefect(objects: int, *, at_once: bool = False) -> Figures:
    """The flow on a Prefect server that already runs, and the same calls without Prefect.

    Args:
        objects: For each of the two.
        at_once: Do not wait for the server before the first of them: quicker, and rough.
    """
    with tempfile.TemporaryDirectory() as name, prefect_server(Path(name)) as api:
        if not at_once:
            wait_for(api, Path(name))
        bare: list[float] = []
        flow: list[float] = []
        for number, with_it in enumerate((False, True) if at_once else (False, True, True, False)):
            if with_it:
                wait_for(api, Path(name))
            found = import_once(Path(name) / str(number), objects, {"PREFECT_API_URL": api} if with_it else {})
            (flow if with_it else bare).append(found["seconds"])
    return {
        "seconds_without_prefect": min(bare),
        "seconds_with_prefect": min(flow),
        "prefect_overhead_ratio": min(flow) / min(bare),
    }


def import_once(folder: Path, objects: int, environment: dict[str, str]) -> Figures:
    """One import of so many objects in a process of its own, on a sandbox of its own that works them off at once."""
    with sandbox_of(folder, rate_limits=False, import_workers=4, task_delay=0.0) as server:
        uri = fill(folder / "bucket", objects)
        names = ("DIFFGRAM_URL", "DIFFGRAM_PROJECT", "DIFFGRAM_CLIENT_ID", "DIFFGRAM_CLIENT_SECRET")
        keys = dict(zip(names, keys_of(server), strict=True))
        home = {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_LOGGING_LEVEL": "WARNING"}
        root = str(Path(__file__).parent.parent)
        everything = {**os.environ, **keys, **home, **environment, "PYTHONPATH": root}
        child = start("import", uri, str(folder / "work"), str(objects), environment=everything)
        found: Figures = json.loads(child.communicate()[0].splitlines()[-1])
    return found


def import_child(uri: str, workdir: str, objects: str) -> Figures:
    """The flow, or its parts without Prefect where no Prefect server is named."""
    from diffgram_flows.parameters import AnnotationOptions, Bucket, ImportOptions, ImportParameters, Target
    from diffgram_flows.tasks import importing
    from flows.import_files import import_files

    parameters = ImportParameters(
        target=Target(dataset="benchmark", workdir=Path(workdir), packets_per_second=0),
        bucket=Bucket(uri=uri),
        importing=ImportOptions(prelabel=False),
        annotation=AnnotationOptions(task_timeout_seconds=600),
    )

    def without_prefect() -> importing.ImportSummary:
        importing.check_access.fn(parameters.target, parameters.bucket)
        taken = importing.scan_bucket.fn(parameters)
        with importing.worker_of(parameters) as worker:
            for number in importing.chunks_to_do(worker, parameters):
                importing.import_chunk.fn(worker, parameters, number)
        importing.open_tasks.fn(parameters)
        return importing.summarise(parameters, taken)

    start = time.perf_counter()
    summary = import_files(parameters) if os.environ.get("PREFECT_API_URL") else without_prefect()
    took = time.perf_counter() - start
    assert isinstance(summary, importing.ImportSummary)  # noqa: S101
    assert summary.imported == int(objects), summary  # noqa: S101 - a benchmark of failures would be none
    return {"seconds": took}


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """A Prefect server that starts, with a database of its own; its API."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "prefect.log").open("wb") as log:
        child = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}/api"
    finally:
        child.terminate()
        child.wait(60)


def wait_for(api: str, folder: Path) -> None:
    """Until the Prefect server answers."""
    ends_at = time.monotonic() + 120
    while not answers(f"{api}/health"):
        if time.monotonic() > ends_at:
            raise RuntimeError((folder / "prefect.log").read_text()[-2000:])
        time.sleep(0.2)


def answers(url: str) -> bool:
    """Whether somebody is there."""
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@contextmanager
def sandbox_of(folder: Path, **settings: Any) -> Iterator[SandboxProcess]:
    """A sandbox, killed at the end: a stop would wait for imports that never end."""
    server = SandboxProcess(folder / "sandbox", **settings).start()
    try:
        yield server
    finally:
        server.kill()


def keys_of(server: SandboxProcess) -> tuple[str, str, str, str]:
    return server.url, server.project, server.client_id, server.client_secret


def dataset(server: SandboxProcess) -> int:
    with DiffgramClient(*keys_of(server)) as client:
        return client.ensure_directory("benchmark").id


def prepare(uri: str, place: Path) -> Ledger:
    """A ledger that knows what lies in a bucket."""
    ledger = open_ledger(str(place), "benchmark")
    store, prefix = open_store(uri)
    with store:
        scan(store, prefix, ledger)
    return ledger


def start(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """This file once more, in a process of its own."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


CHILDREN: dict[str, Callable[..., Figures]] = {"paced": paced_child, "import": import_child}
__all__ = ["file_name", "paced", "unpaced", "with_prefect"]

if sys.argv[0] == __file__ and len(sys.argv) > 1:
    print(json.dumps(CHILDREN[sys.argv[1]](*sys.argv[2:])))
