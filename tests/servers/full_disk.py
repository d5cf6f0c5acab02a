"""An import whose ledger lies on a disk of its own, too small at first; in a private mount namespace.

Run as ``unshare --mount python full_disk.py`` with one line of JSON on standard input: ``recipe`` of the bench, whose
ledger lies in an empty folder; ``size`` of the disk in kB; ``copy``, the path to which the ledger is copied in the end.
It prints one line of JSON: the errors of the runs until more space was given, each with its class, text and whether it
may be tried again.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import DiffgramFlowsError
from diffgram_flows.importing import import_new
from diffgram_flows.ledger import open_ledger
from diffgram_flows.storage import open_store

RUNS = 3  # on the full disk
_PATIENCE = 60.0  # seconds


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)  # noqa: S607 - wherever the system has it


def run(recipe: dict[str, str], target: str) -> int:
    """One import. The ledger is opened anew, as by a new process. How many objects are not settled yet."""
    keys = (recipe["url"], recipe["project"], recipe["client_id"], recipe["client_secret"])
    store, prefix = open_store(f"file://{recipe['folder']}")
    with store, DiffgramClient(*keys) as client, closing(open_ledger(recipe["ledger"], target)) as ledger:
        directory_id = int(recipe["directory_id"])
        options = {"poll": 0.05, "timeout": 60.0, "claim_seconds": 1.5}  # claims that could not be given up must expire
        return import_new(client, store, prefix, ledger, directory_id=directory_id, **options).waiting  # type: ignore[arg-type]


def main(task: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Import on a full disk, then on a larger one."""
    recipe, target = task["recipe"], task["target"]
    folder = str(Path(recipe["ledger"]).parent)
    mount("-t", "tmpfs", "-o", f"size={task['size']}k", "tmpfs", folder)
    errors = []
    for _ in range(RUNS):
        try:
            run(recipe, target)
        except DiffgramFlowsError as error:
            errors.append((type(error).__name__, str(error), error.retryable))
    mount("-o", "remount,size=64m", folder)
    ends_at = time.monotonic() + _PATIENCE
    while run(recipe, target) and time.monotonic() < ends_at:
        time.sleep(0.1)
    with closing(sqlite3.connect(recipe["ledger"])) as ledger, closing(sqlite3.connect(task["copy"])) as copy:
        ledger.backup(copy)
    return errors


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.stdin.readline()))))
