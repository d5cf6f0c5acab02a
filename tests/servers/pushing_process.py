"""A process that pushes a brain's boxes, slowly, to be killed."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing.synchronize import Event

from servers.bench import TARGET, Bench

from diffgram_flows.diffgram import DiffgramClient, Packet
from diffgram_flows.feedback import FileToLabel, push
from diffgram_flows.ledger import open_ledger
from diffgram_flows.models import BrainRef

_START_SECONDS = 60
_PAUSE = 0.05  # seconds before each packet, so that there is time to be killed


class Slow(DiffgramClient):
    """Takes its time before each packet."""

    def send_packet(self, packet: Packet) -> None:
        time.sleep(_PAUSE)
        super().send_packet(packet)


def _push(recipe: dict[str, str], files: Sequence[FileToLabel], brain: BrainRef, begun: Event) -> None:
    keys = (recipe["url"], recipe["project"], recipe["client_id"], recipe["client_secret"])
    client = Slow(*keys, timeout=10, retries=1)
    ledger = open_ledger(recipe["ledger"], TARGET)
    begun.set()
    push(client, ledger, files, brain=brain, directory_id=int(recipe["directory_id"]), threads=2)


def push_and_be_killed(bench: Bench, files: Sequence[FileToLabel], brain: BrainRef, *, after: int) -> None:
    """Push from another process, and end that with SIGKILL when so many files were sent."""
    context = multiprocessing.get_context("forkserver")
    begun = context.Event()
    child = context.Process(target=_push, args=(bench.recipe(), files, brain, begun))
    child.start()
    if not begun.wait(_START_SECONDS):
        raise TimeoutError("the pushing process does not start")
    while child.is_alive() and len(bench.ledger.pushes.rows("sent", brain=str(brain))) < after:
        time.sleep(0.01)
    child.kill()
    child.join()
    child.close()
