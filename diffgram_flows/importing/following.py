"""What became of the packets. A 200 meant "queued"; the truth is in the list of imports (contract section 6)."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from diffgram_flows.diffgram import DiffgramClient, ImportRow
from diffgram_flows.errors import BudgetExhausted
from diffgram_flows.importing.listing import Listing
from diffgram_flows.importing.prelabelling import settle_prelabels
from diffgram_flows.importing.reconciling import GRACE
from diffgram_flows.ledger import Ledger, ObjectRow
from diffgram_flows.models import Failure, Progress, no_progress

_QUEUED = frozenset({"init", "retrying"})  # these only wait for a worker; they are never stuck
_SLOWEST = 8  # times the first pause between two looks
# The store was not there, or had a bad moment, when the server fetched the URL (contract section 5).
_PASSING = re.compile(r"Error downloading media|no valid response \((?:408|429|5\d\d)\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FollowReport:
    """What became of the packets.

    Attributes:
        imported: Files that exist now, ``duplicates`` included.
        duplicates: Files that an earlier packet had made already, adopted.
        failed: Given up.
        requeued: To be signed and sent again.
        waiting: Still on their way.
        failures: The failed, with their reasons.
    """

    imported: int = 0
    duplicates: int = 0
    failed: int = 0
    requeued: int = 0
    waiting: int = 0
    failures: tuple[Failure, ...] = ()


def follow(
    client: DiffgramClient,
    ledger: Ledger,
    *,
    directory_id: int,
    timeout: float,
    stuck_after: float = 900.0,
    poll: float = 1.0,
    max_attempts: int = 3,
    down_to: int = 0,
    progress: Progress = no_progress,
) -> FollowReport:
    """Look at the server's list until at most ``down_to`` packets are on their way, or the time is over.

    One follower a dataset at a time: two would settle the same rows, and one could requeue what was just sent again.

    Args:
        client: The server.
        ledger: Whose ``sent`` rows are followed.
        directory_id: The dataset they were sent to.
        timeout: Seconds; what is still on its way then is left for the next call.
        stuck_after: Seconds without any change after which an import counts as abandoned by its worker. It is
            retried once and given up the second time.
        poll: Seconds between two looks; the pause grows while nothing happens.
        max_attempts: How often an object is sent before it is given up.
        down_to: How many packets may still be on their way at the end.
        progress: Told how many are settled, of how many.

    Raises:
        DiffgramError: The server does not answer.
    """
    follower = _Follower(client, ledger, directory_id, stuck_after, max_attempts)
    ends_at = time.monotonic() + timeout
    pause, settled = poll, 0
    while True:
        waiting = follower.look()
        pause = poll if follower.settled > settled else min(pause * 1.5, poll * _SLOWEST)
        settled = follower.settled
        progress(settled, settled + waiting, f"{waiting} on their way")
        left = ends_at - time.monotonic()
        if waiting <= down_to or left <= 0:
            return follower.report(waiting)
        time.sleep(min(pause, left))


@dataclass(slots=True)
class _Follower:
    client: DiffgramClient
    ledger: Ledger
    directory_id: int
    stuck_after: float
    max_attempts: int
    imported: int = 0
    duplicates: int = 0
    requeued: int = 0
    failures: list[Failure] = field(default_factory=list)

    @property
    def settled(self) -> int:
        return self.imported + self.requeued + len(self.failures)

    def report(self, waiting: int) -> FollowReport:
        return FollowReport(
            self.imported, self.duplicates, len(self.failures), self.requeued, waiting, tuple(self.failures)
        )

    def look(self) -> int:
        """Settle what the server has decided. How many are still on their way."""
        rows = self.ledger.objects.rows("sent")
        if not rows:
            return 0
        before = self.settled
        listing = Listing.read(self.client, self.directory_id)
        seen = [(row, listing.find(row)) for row in rows]
        self._finish([(row, found) for row, found in seen if found is not None and found.finished])
        self._watch([(row, found) for row, found in seen if found is not None and not found.finished])
        self._search([row for row, found in seen if found is None], listing)
        return len(rows) - (self.settled - before)

    def _finish(self, done: Sequence[tuple[ObjectRow, ImportRow]]) -> None:
        pushes = self.ledger.pushes.of_files([row.file_name for row, _ in done])
        for row, found in done:
            travelling = pushes.get(row.file_name, [])
            if found.file_id is not None and (found.succeeded or found.percent_complete == 100):
                settle_prelabels(self.ledger, travelling, found, found.file_id)
                self._imported(row, found.file_id, found)
            elif found.existing_file_id is not None:
                settle_prelabels(self.ledger, travelling, None, found.existing_file_id)
                self._adopted(row, found.existing_file_id, found.id)
            elif found.url_expired or _PASSING.search(found.reason):
                self._resend(row, found.reason, found.id)
            else:
                self._failed(row, found.reason or "The import succeeded without making a file.", found.id)

    def _imported(self, row: ObjectRow, file_id: int, found: ImportRow) -> None:
        """The file exists. Its instances may have been refused: the server keeps the image all the same."""
        note = "" if found.succeeded else f"The image is there, but its boxes were refused: {found.reason}"
        self.ledger.objects.imported(row.id, file_id=file_id, input_id=found.id, note=note)
        self.imported += 1

    def _adopted(self, row: ObjectRow, file_id: int, input_id: int | None) -> None:
        self.ledger.objects.imported(
            row.id, file_id=file_id, input_id=input_id, note="An earlier packet made the file."
        )
        self.imported += 1
        self.duplicates += 1

    def _resend(self, row: ObjectRow, reason: str, input_id: int | None) -> None:
        if row.attempts >= self.max_attempts:
            self._failed(row, f"{reason} It was sent {row.attempts} times.", input_id)
            return
        self.ledger.objects.requeue(row.id, reason, input_id=input_id)
        self.requeued += 1

    def _failed(self, row: ObjectRow, reason: str, input_id: int | None) -> None:
        self.ledger.objects.failed(row.id, reason, input_id=input_id)
        self.failures.append(Failure(row.object.uri, reason))

    def _watch(self, running: Sequence[tuple[ObjectRow, ImportRow]]) -> None:
        """Find the imports that a worker took and never finished; the server itself does nothing about them.

        The ledger is the memory of this, so that many short runs notice it as well as a long one.
        """
        changed: dict[str, list[int]] = {}
        abandoned: list[tuple[ObjectRow, ImportRow]] = []
        for row, found in running:
            note = f"Seen as {found.status!r}, retried {found.retry_count} times."
            if found.status in _QUEUED:
                continue
            if row.reason != note:
                changed.setdefault(note, []).append(row.id)
            elif time.time() - row.updated_at > self.stuck_after:
                abandoned.append((row, found))
        for note, ids in changed.items():
            self.ledger.objects.note(ids, note)
        self._rescue(abandoned)

    def _rescue(self, abandoned: Sequence[tuple[ObjectRow, ImportRow]]) -> None:
        """One RETRY call for all that were not retried before: the server allows 300 a day (contract section 3)."""
        for row, found in abandoned:
            if found.retry_count:
                self._failed(row, f"The server's worker died over it twice, it is {found.status!r} for ever.", found.id)
        again = [(row, found) for row, found in abandoned if not found.retry_count]
        if not again:
            return
        try:
            self.client.retry_imports([found.id for _, found in again])
        except BudgetExhausted:
            return  # they keep waiting, which is what the error's cure says
        self.ledger.objects.note([row.id for row, _ in again], "The server was asked to try again.")

    def _search(self, lost: Sequence[ObjectRow], listing: Listing) -> None:
        """Packets that the list does not show, although it should: the file exists, or nothing arrived."""
        overdue = [row for row in lost if time.time() - row.updated_at > self._patience(row, listing)]
        if not overdue:
            return
        missing = self.client.missing_files([row.file_name for row in overdue], self.directory_id)
        pushes = self.ledger.pushes.of_files([row.file_name for row in overdue])
        for row in overdue:
            file_id = None if row.file_name in missing else self._file_id(row.file_name)
            if file_id is None:
                self._resend(row, "The server does not know the packet.", row.input_id)
            else:
                settle_prelabels(self.ledger, pushes.get(row.file_name, []), None, file_id)
                self._adopted(row, file_id, row.input_id)

    def _patience(self, row: ObjectRow, listing: Listing) -> float:
        return GRACE if listing.reaches(row.updated_at) else self.stuck_after

    def _file_id(self, name: str) -> int | None:
        files = self.client.files(self.directory_id, search=name)
        return next((file.id for file in files if file.name == name), None)
