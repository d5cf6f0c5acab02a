"""The server's quotas, kept together with everybody else on this work folder, from the first limited call on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from diffgram_flows.diffgram import Pacer
from diffgram_flows.ledger import Ledger, Limit, SharedPacer, open_ledger
from diffgram_flows.ledger.pacing import SERVER_LIMITS


class WorkdirPacer(Pacer):
    """The ledger's pacer, opened when it is needed: a project that only looks leaves no file behind.

    Args:
        workdir: Where the ledger lies.
        server: The base URL whose quotas are meant.
        packets_per_second: What the server takes; 0 where it has no limit.
    """

    def __init__(self, workdir: Path, server: str, packets_per_second: float) -> None:
        self._workdir = workdir
        self._server = server
        self._limits: Mapping[str, Limit] = {
            **{name: limit for name, limit in SERVER_LIMITS.items() if name != "input/packet"},
            **({"input/packet": Limit(per_second=packets_per_second)} if packets_per_second else {}),
        }
        self._opening = threading.Lock()
        self._ledger: Ledger | None = None
        self._shared: SharedPacer | None = None

    def wait(self, endpoint: str) -> None:
        if endpoint in self._limits:
            self._opened().wait(endpoint)

    def penalise(self, endpoint: str, seconds: float) -> None:
        if endpoint in self._limits:
            self._opened().penalise(endpoint, seconds)

    def close(self) -> None:
        """Close the ledger; a later call opens it again."""
        with self._opening:
            if self._ledger is not None:
                self._ledger.close()
            self._ledger = self._shared = None

    def _opened(self) -> SharedPacer:
        with self._opening:
            if self._shared is None:
                self._ledger = open_ledger(str(self._workdir / "ledger.db"), self._server)
                self._shared = self._ledger.pacer(self._server, self._limits)
            return self._shared
