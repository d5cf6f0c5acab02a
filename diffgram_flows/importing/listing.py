"""The server's list of imports, made searchable: the only way to find an import again (contract sections 5 and 6)."""

from __future__ import annotations

from collections.abc import Iterable

from diffgram_flows.diffgram import DiffgramClient, ImportRow
from diffgram_flows.ledger import ObjectRow

_LIMIT = 1000  # rows; the server gives no more, and has no paging
_CLOCKS = 300.0  # seconds that our clock and the server's may differ


class Listing:
    """The newest imports of one dataset.

    Args:
        rows: As the server listed them. Copies and updates of files, which carry the same names, are left out.
        directory_id: The dataset.
    """

    def __init__(self, rows: Iterable[ImportRow], directory_id: int) -> None:
        every = list(rows)
        self._by_name: dict[str, list[ImportRow]] = {}
        for row in every:
            if not row.mode and not row.archived and row.directory_id in (None, directory_id):
                self._by_name.setdefault(row.original_filename, []).append(row)
        self._complete = len(every) < _LIMIT
        self._oldest = min((row.created_time for row in every if row.created_time), default=None)

    @classmethod
    def read(cls, client: DiffgramClient, directory_id: int) -> Listing:
        """Ask the server.

        Raises:
            DiffgramError: It does not answer.
        """
        return cls(client.imports(limit=_LIMIT), directory_id)

    def find(self, row: ObjectRow) -> ImportRow | None:
        """The import of an object: the one that succeeded, else the newest. What it was requeued for is dead."""
        alive = [found for found in self._by_name.get(row.file_name, ()) if found.id > (row.input_id or 0)]
        return max(alive, key=lambda found: (found.succeeded, found.id), default=None)

    def reaches(self, moment: float) -> bool:
        """Whether an import that was queued at ``moment`` (seconds since the epoch) must be in the list."""
        return self._complete or (self._oldest is not None and self._oldest.timestamp() < moment - _CLOCKS)
