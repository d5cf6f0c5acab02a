"""What the client costs: packets a second through ``from_packet``, against a bare loop of requests on the same sandbox.

    python benchmarks/client.py [--threads 8] [--packets 400] [--rounds 7] [--quick] [--json FILE]

A bare loop, the wire client's ``send_packet`` and ``project.file.from_packet`` send the same packets with the same
number of threads to one sandbox without rate limits, in turn (A B C A B C ...), so that a machine whose speed drifts
slows all. The ratios are medians of the rounds' ratios; ``packet_throughput_ratio`` is that of ``from_packet``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local

import requests

from diffgram_flows import Project
from diffgram_flows.diffgram import Packet, instance_from_box
from diffgram_flows.models import Box
from diffgram_flows.sandbox import SandboxProcess

NEVER = 86_400.0  # seconds that an import waits in the sandbox: the queue is filled, nothing is worked off
_numbers = itertools.count()
Send = Callable[[str], object]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8, help="packets under way at the same time")
    parser.add_argument("--packets", type=int, default=400, help="packets in a round, for each of the three")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a few seconds, for a rough figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    wanted = parser.parse_args()
    packets, rounds = (100, 3) if wanted.quick else (wanted.packets, wanted.rounds)
    with tempfile.TemporaryDirectory() as folder:
        sandbox = SandboxProcess(Path(folder), rate_limits=False, import_delay=NEVER).start()
        try:
            figures = measure(sandbox, Path(folder), wanted.threads, packets, rounds)
        finally:
            sandbox.kill()  # a stop would wait for imports that never end
    print(f"bare requests loop  {figures['bare_packets_per_second']:8.1f} packets/s")
    print(f"client.send_packet  {figures['client_packets_per_second']:8.1f} packets/s")
    print(f"file.from_packet    {figures['from_packet_packets_per_second']:8.1f} packets/s")
    print(f"ratio               {figures['packet_throughput_ratio']:8.3f}  (from_packet, median of {rounds} rounds)")
    print(f"ratio               {figures['client_throughput_ratio']:8.3f}  (send_packet)")
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(sandbox: SandboxProcess, folder: Path, threads: int, packets: int, rounds: int) -> dict[str, float]:
    """Rates of the three, and the medians of their ratios."""
    keys = (sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret)
    with Project(*keys, workdir=folder / "work", packets_per_second=0) as project:
        directory = project.directory.new("benchmark")
        label_file_id = project.label.new("car")["car"]

        def through_client(name: str) -> None:
            instances = [instance_from_box(Box(label_file_id, 10, 20, 110, 120))]
            project.client.send_packet(Packet(directory.id, url=url_of(name), file_name=name, instances=instances))

        def through_project(name: str) -> None:
            project.file.from_packet(packet_of(name, label_file_id), directory=directory)

        bare = bare_sender(sandbox, directory.id, label_file_id)
        senders = (bare, through_client, through_project)
        for send in senders:  # connections are made, code is warm
            rate(send, threads, max(threads, packets // 4))
        found = [[rate(send, threads, packets) for send in senders] for _ in range(rounds)]
    return {
        "bare_packets_per_second": statistics.median(one[0] for one in found),
        "client_packets_per_second": statistics.median(one[1] for one in found),
        "from_packet_packets_per_second": statistics.median(one[2] for one in found),
        "client_throughput_ratio": statistics.median(one[1] / one[0] for one in found),
        "packet_throughput_ratio": statistics.median(one[2] / one[0] for one in found),
    }


def packet_of(name: str, label_file_id: int) -> dict[str, object]:
    """What all three send."""
    box = {"type": "box", "label_file_id": label_file_id, "x_min": 10, "y_min": 20, "x_max": 110, "y_max": 120}
    return {
        "media": {"url": url_of(name), "type": "image"},
        "original_filename": name,
        "instance_list": [box],
    }


def bare_sender(sandbox: SandboxProcess, directory_id: int, label_file_id: int) -> Send:
    """The least that sends a packet: one session a thread, no checks, no retries, the reply parsed."""
    url = f"{sandbox.url}/api/walrus/v1/project/{sandbox.project}/input/packet"
    own = local()

    def send(name: str) -> None:
        if not hasattr(own, "session"):
            own.session = requests.Session()
            own.session.auth = (sandbox.client_id, sandbox.client_secret)
        body = {"directory_id": directory_id, **packet_of(name, label_file_id)}
        reply = own.session.post(url, json=body, timeout=30)
        reply.raise_for_status()
        assert reply.json()["log"]["success"]  # noqa: S101 - a benchmark of failures would be none

    return send


def rate(send: Send, threads: int, packets: int) -> float:
    """Packets a second over one round."""
    names = [f"image-{next(_numbers):07}.jpg" for _ in range(packets)]
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(send, names))
        return packets / (time.perf_counter() - start)


def url_of(name: str) -> str:
    """An address that nobody fetches."""
    return f"http://127.0.0.1:9/{name}?X-Amz-Signature=0123456789abcdef"


if __name__ == "__main__":
    main()
