"""How a worker works, and what all workers agree upon."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from diffgram_flows.importing.routes import RouteName
from diffgram_flows.importing.sending import LEASE

LISTING = "listing"
"""The lock of whoever compares the bucket with the ledger: one at a time, while the others import already."""
DRAIN = 2.1  # files a second that a server with three import workers gets done (contract section 6)
MOST = 5000  # packets on their way, however long a URL lives


@dataclass(frozen=True, slots=True)
class WorkOptions:
    """How a worker works.

    Attributes:
        chunk_size: Objects that are claimed together, and what one step sends.
        window: Packets on their way at the same time; 0: what the server gets done in half the life of a URL, at most
            5,000.
        drain_rate: Files a second that the server gets done.
        threads: Objects that are sent at the same time.
        poll: Seconds between two looks at the server's list; longer while nothing happens.
        stuck_after: Seconds without any change after which an import counts as abandoned by its worker.
        max_attempts: How often an object is sent before it is given up.
        lease_for: How long a URL should live.
        inspect_headers: Whether to read the first bytes of every image before it is sent.
        route: How the bytes travel.
        connection_id: The storage connection of the route ``connection``.
        claim_seconds: How long a claim holds when its worker does not show any more that it lives.
    """

    chunk_size: int = 500
    window: int = 0
    drain_rate: float = DRAIN
    threads: int = 8
    poll: float = 1.0
    stuck_after: float = 900.0
    max_attempts: int = 3
    lease_for: timedelta = LEASE
    inspect_headers: bool = True
    route: RouteName = "url"
    connection_id: int | None = None
    claim_seconds: float = 120.0

    def room(self, longest: timedelta) -> int:
        """The window, for URLs that live for ``longest`` at most."""
        life = min(self.lease_for, longest).total_seconds()
        return self.window or max(2 * self.chunk_size, min(MOST, int(self.drain_rate * life / 2)))
