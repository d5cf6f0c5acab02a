"""Packets on their way: what is known of each between its departure and its end."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from diffgram_flows.diffgram import ImportRow
from diffgram_flows.ledger import ObjectRow

_SEEN = re.compile(r"Seen as (?P<what>.+) since (?P<since>\S+Z)\.")


@dataclass(slots=True)
class Flight:
    """One object that the server has, or maybe has.

    Attributes:
        row: As the ledger had it when it was claimed.
        claim: Under which outcomes are written; ``None`` while one worker has the ledger for itself.
        since: Seconds since the epoch: its packet left then, or was taken over.
        doubtful: The server may never have got the packet.
        attempts: How often a packet was sent, this one included.
        orphaned: Its URL died with the store of whoever sent it: that it cannot be fetched says nothing of the object.
        seen: How the server's list showed it when it last changed there, and since when; empty before.
    """

    row: ObjectRow
    claim: int | None
    since: float
    doubtful: bool = False
    attempts: int = 1
    orphaned: bool = False
    seen: str = ""
    seen_since: float = 0.0

    @classmethod
    def taken_over(cls, row: ObjectRow, claim: int | None, *, orphaned: bool = False) -> Flight:
        """The flight of a row that another worker, or an earlier run, left behind."""
        doubtful = row.state == "sending"
        flight = cls(row, claim, row.updated_at, doubtful, row.attempts + doubtful, orphaned)
        if known := _SEEN.search(row.reason):  # the ledger remembers what many short runs would forget
            flight.seen = known["what"]
            flight.seen_since = datetime.fromisoformat(known["since"]).timestamp()
        return flight

    def look(self, found: ImportRow) -> str:
        """Take in how the server shows it. What to note in the ledger, empty if nothing has changed."""
        seen = f"{found.status!r}, retried {found.retry_count} times,"
        if seen == self.seen:
            return ""
        self.seen, self.seen_since = seen, time.time()
        moment = datetime.fromtimestamp(self.seen_since, UTC).isoformat().replace("+00:00", "Z")
        return f"Seen as {seen} since {moment}."

    def unmoved_for(self, seconds: float) -> bool:
        """Whether it has been shown in the same state for so long."""
        return bool(self.seen) and time.time() - self.seen_since > seconds


def by_claim(flights: Sequence[Flight]) -> dict[int | None, list[Flight]]:
    """Flights by their claim, in order of the claims' first flights."""
    groups: dict[int | None, list[Flight]] = {}
    for flight in flights:
        groups.setdefault(flight.claim, []).append(flight)
    return groups
