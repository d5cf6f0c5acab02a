"""Promotes and rolls back in processes that kill themselves at a given step, as a program of its own.

Run as ``python promoting_process.py REGISTRY LEDGER TARGET``. It reads orders from standard input, one JSON list a
line: ``[action, name, version, step, kind]``. For each it forks a process that carries the order out and sends itself
SIGKILL before its ``step``-th call (or line, by ``kind``) of the modules that take part; it answers with the exit code,
which is -9 for killed and 0 for done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from diffgram_flows.brains.promoting import promote, roll_back
from diffgram_flows.brains.registry import Registry
from diffgram_flows.ledger import open_ledger
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import BrainRef

TAKING_PART = ("brains/promoting.py", "brains/registry.py", "brains/champions.py", "ledger/promotions.py",
               "ledger/book.py", "storage/folder_local.py", "diffgram_flows/disk.py")  # fmt: skip


def die_at(step: int, kind: str) -> None:
    """Have this process killed before its ``step``-th call or line, from now on."""
    left = step

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(TAKING_PART):
            return None
        if event == kind:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def carry_out(place: str, url: str, target: str, order: list[Any]) -> None:
    action, name, version, step, kind = order
    registry, ledger = Registry(Path(place)), open_ledger(url, target)
    die_at(step, kind)
    if action == "promote":
        ref = BrainRef(name, version)
        promote(registry, ledger, ref, training=TrainingRow(str(ref), "snapshot", True, 0.5, 0.75, "It is better."))
    else:
        roll_back(registry, ledger, name)


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            carry_out(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
