"""Importing processes that are made to be killed: forked from a server that has loaded everything."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.synchronize import Event
from typing import Any

from servers.bench import TARGET, Bench

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import DiffgramFlowsError
from diffgram_flows.importing import import_new
from diffgram_flows.ledger import open_ledger
from diffgram_flows.storage import open_store

# What takes time to import; Python 3.11 preloads only what lies on the interpreter's own path.
_PRELOADED = ["diffgram_flows.importing", "diffgram_flows.storage.file", "diffgram_flows.sandbox.process", "pytest",
              "PIL.Image", "sqlalchemy.dialects.sqlite", "alembic.command"]  # fmt: skip
_START_SECONDS = 60


def import_for_ever(recipe: dict[str, str], options: dict[str, Any], begun: Event) -> None:
    """Import a bench again and again, in a process of its own. Errors are those of a server that is in trouble."""
    keys = (recipe["url"], recipe["project"], recipe["client_id"], recipe["client_secret"])
    client = DiffgramClient(*keys, timeout=5, retries=1)
    store, prefix = open_store(f"file://{recipe['folder']}")
    ledger = open_ledger(recipe["ledger"], TARGET)
    begun.set()
    while True:
        with suppress(DiffgramFlowsError):
            import_new(client, store, prefix, ledger, directory_id=int(recipe["directory_id"]), **options)
        time.sleep(0.02)


@dataclass
class Killer:
    """Starts importing processes of one bench and kills them at random moments.

    Attributes:
        bench: What they import.
        seed: Of the moments.
        options: For ``import_new``.
        url: How they reach the server, if not directly.
        kills: Processes that were killed while they worked.
        starting: Seconds from the start of a process to its first work, of each.
    """

    bench: Bench
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    kills: int = 0
    starting: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        chosen = {"chunk_size": 10, "window": 400, "poll": 0.05, "stuck_after": 3.0, "max_attempts": 1000}
        self.options = {**chosen, **self.options}
        self._chance = random.Random(self.seed)  # noqa: S311 - moments, not secrets
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)

    def start(self) -> ForkServerProcess:
        """A process that imports; it has opened the ledger and begins."""
        begun = self._context.Event()
        started = time.monotonic()
        recipe = {**self.bench.recipe(), "url": self.url or self.bench.sandbox.url}
        child = self._context.Process(target=import_for_ever, args=(recipe, self.options, begun))
        child.start()
        if not begun.wait(_START_SECONDS):
            raise TimeoutError("the importing process does not start")
        self.starting.append(time.monotonic() - started)
        return child

    def kill(self, child: ForkServerProcess) -> None:
        """End a process with SIGKILL."""
        self.kills += child.is_alive()
        child.kill()
        child.join()
        child.close()

    def kill_one(self, within: float = 0.4) -> None:
        """Let a process work for a random time of at most ``within`` seconds, and kill it."""
        child = self.start()
        time.sleep(self._chance.uniform(0.0, within))
        self.kill(child)

    def kill_while(self, alive: Callable[[], bool], within: float = 0.4) -> None:
        """Start and kill processes as long as ``alive`` says so."""
        while alive():
            self.kill_one(within)
