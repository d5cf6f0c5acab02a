"""The server's list of imports, made searchable: the only way to find an import again (contract sections 5 and 6).

The list has 1,000 rows at most and no pages. In a long queue these are the last that were sent, and the first to be
done are not among them. So what is missing is looked for in the lists of each status, whose newest 1,000 are others,
and day by day where even these are full.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from diffgram_flows.diffgram import DiffgramClient, ImportRow
from diffgram_flows.importing.flights import Flight
from diffgram_flows.ledger import ObjectRow

_LIMIT = 1000  # rows; the server gives no more, and has no paging
_CLOCKS = 300.0  # seconds that our clock and the server's may differ
_STATUSES = ("Success", "Failed", "Processing")
_DAYS = 8  # that are looked through one by one; no URL lives longer


class Listing:
    """The newest imports of one dataset.

    Args:
        rows: As the server listed them. Copies and updates of files, which carry the same names, are left out.
        directory_id: The dataset.
    """

    def __init__(self, rows: Iterable[ImportRow], directory_id: int) -> None:
        every = list(rows)
        self._directory_id = directory_id
        self._by_name: dict[str, dict[int, ImportRow]] = {}
        self.add(every)
        self._complete = len(every) < _LIMIT
        self._oldest = min((row.created_time for row in every if row.created_time), default=None)

    @classmethod
    def read(cls, client: DiffgramClient, directory_id: int, flights: Sequence[Flight] = ()) -> Listing:
        """Ask the server: one call, and more for the ``flights`` that are too old for the newest 1,000 rows.

        Raises:
            DiffgramError: It does not answer.
        """
        listing = cls(client.imports(limit=_LIMIT), directory_id)
        for status in _STATUSES:
            unseen = [flight.since for flight in flights if not listing.knows(flight)]
            if not unseen:
                break
            for rows in _of_status(client, status, min(unseen)):
                listing.add(rows)
        return listing

    def add(self, rows: Iterable[ImportRow]) -> None:
        """Take in rows of another list."""
        for row in rows:
            if not row.mode and not row.archived and row.directory_id in (None, self._directory_id):
                self._by_name.setdefault(row.original_filename, {})[row.id] = row

    def find(self, row: ObjectRow) -> ImportRow | None:
        """The import of an object: the one that succeeded, else the newest. What it was requeued for is dead."""
        alive = [found for found in self._by_name.get(row.file_name, {}).values() if found.id > (row.input_id or 0)]
        return max(alive, key=lambda found: (found.succeeded, found.id), default=None)

    def knows(self, flight: Flight) -> bool:
        """Whether what the lists say of a packet, or that they do not have it, can be relied upon."""
        return self.reaches(flight.since) or self.find(flight.row) is not None

    def reaches(self, moment: float) -> bool:
        """Whether an import that was queued at ``moment`` (seconds since the epoch) must be in the list."""
        return self._complete or (self._oldest is not None and self._oldest.timestamp() < moment - _CLOCKS)


def _of_status(client: DiffgramClient, status: str, oldest: float) -> Iterator[list[ImportRow]]:
    """The newest imports of a status, and if they do not reach back to a moment, those of each day since."""
    rows = client.imports(limit=_LIMIT, status=status)
    yield rows
    reached = min((row.created_time for row in rows if row.created_time), default=None)
    if len(rows) < _LIMIT or reached is None or reached.timestamp() < oldest - _CLOCKS:
        return
    last, first = reached.date(), datetime.fromtimestamp(oldest - _CLOCKS, UTC).date()
    for day in _days(max(first, last - timedelta(days=_DAYS)), last - timedelta(days=1)):
        yield client.imports(limit=_LIMIT, status=status, first_day=day, last_day=day)


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)
