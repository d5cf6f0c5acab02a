"""What became of the packets. A 200 meant "queued"; the truth is in the list of imports (contract section 6)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diffgram_flows.diffgram import DiffgramClient, ImportRow
from diffgram_flows.errors import BudgetExhausted
from diffgram_flows.importing.flights import Flight
from diffgram_flows.importing.listing import Listing
from diffgram_flows.importing.prelabelling import settled, without
from diffgram_flows.importing.repairing import Repairer
from diffgram_flows.importing.settling import Settlement
from diffgram_flows.ledger import Ledger, PushRow
from diffgram_flows.models import Failure, Progress, no_progress

GRACE = 2.0  # seconds after which a packet that arrived is listed; to err does no harm: names are unique
_DOUBT = 30.0  # seconds instead of that, where the list is too short to show everything
_QUEUED = frozenset({"init", "retrying"})  # these only wait for a worker; they are never stuck
_SLOWEST = 8  # times the first pause between two looks
_FEW = 100  # flights whose rows are read at once; for more it is asked first whether anything has ended
_UNSTIRRED = 15  # times the first pause after which everything is read although nothing seems to have ended
_RESCUES = 0.7  # times stuck_after, between two rounds of RETRY and ARCHIVE: two calls in 10 minutes at most
_SHARE = 2  # a pause is at least so many times as long as the look before it: looking costs the server, too
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

    It follows all that is ``sent``, whoever sent it, so it is for one worker who has the ledger for himself.

    Args:
        client: The server.
        ledger: Whose ``sent`` rows are followed.
        directory_id: The dataset they were sent to.
        timeout: Seconds; what is still on its way then is left for the next call.
        stuck_after: Seconds without any change after which an import counts as abandoned by its worker. It is
            retried once, and archived and sent again the second time.
        poll: Seconds between two looks; the pause grows while nothing happens.
        max_attempts: How often an object is sent before it is given up.
        down_to: How many packets may still be on their way at the end.
        progress: Told how many are settled, of how many.

    Raises:
        DiffgramError: The server does not answer.
    """
    follower = Follower(client, ledger, directory_id=directory_id, stuck_after=stuck_after, max_attempts=max_attempts)
    follower.add(Flight.taken_over(row, None) for row in ledger.objects.rows("sent"))
    ends_at = time.monotonic() + timeout
    while True:
        follower.look(poll)
        tally, waiting = follower.tally, len(follower.flights)
        progress(tally.settled, tally.settled + waiting, f"{waiting} on their way")
        left = ends_at - time.monotonic()
        if waiting <= down_to or left <= 0:
            return FollowReport(
                tally.imported_count,
                tally.duplicates,
                len(tally.failures),
                tally.requeued,
                waiting,
                tuple(tally.failures),
            )
        time.sleep(max(0.0, min(follower.next_look - time.monotonic(), left)))


class Follower:
    """Knows what is on its way, and settles what the server has decided.

    Args:
        client: The server.
        ledger: Where outcomes are written, under the claim of each flight.
        directory_id: The dataset.
        stuck_after: As in :func:`follow`.
        max_attempts: As there.
    """

    def __init__(
        self, client: DiffgramClient, ledger: Ledger, *, directory_id: int, stuck_after: float, max_attempts: int
    ) -> None:
        self.flights: dict[int, Flight] = {}
        self.tally = Settlement(ledger, max_attempts)
        self.next_look = 0.0
        self._client, self._ledger = client, ledger
        self._directory_id, self._stuck_after = directory_id, stuck_after
        self._repairer = Repairer(client)
        self._next_rescue = 0.0
        self._pause = 0.0
        self._newest: list[int] = []
        self._unread_until = time.monotonic()

    def add(self, flights: Iterable[Flight]) -> None:
        self.flights.update((flight.row.id, flight) for flight in flights)

    def look(self, poll: float, share: float = _SHARE) -> None:
        """Ask the server once about everything, and say when to ask again: ``next_look``, monotonic.

        Args:
            poll: Seconds until then if this look has found something new.
            share: How many times as long as the look the pause is at least.
        """
        begun, before = time.monotonic(), self.tally.settled
        if self.flights and (len(self.flights) <= _FEW or begun > self._unread_until or self._stirred()):
            self._look()
            self._unread_until = time.monotonic() + poll * _UNSTIRRED
        changed = self.tally.settled > before
        self._pause = poll if changed else min(max(poll, self._pause * 1.5), poll * _SLOWEST)
        now = time.monotonic()
        self.next_look = now + max(self._pause, share * (now - begun))

    def _stirred(self) -> bool:
        """Whether an import has ended since the last time, as far as the newest of them tell: two small questions.

        To read the whole list costs the server as much as a hundred packets.
        """
        ended = [row.id for status in ("Success", "Failed") for row in self._client.imports(limit=1, status=status)]
        stirred, self._newest = ended != self._newest, ended
        return stirred

    def _look(self) -> None:
        flights = list(self.flights.values())
        listing = Listing.read(self._client, self._directory_id, flights)
        seen = [(flight, listing.find(flight.row)) for flight in flights]
        self._arrive([flight for flight, found in seen if found is not None and flight.doubtful])
        self._finish([(flight, found) for flight, found in seen if found is not None and found.finished])
        self._watch([(flight, found) for flight, found in seen if found is not None and not found.finished])
        self._search([flight for flight, found in seen if found is None], listing)
        for flight in self.tally.write():
            self.flights.pop(flight.row.id, None)
        if lost := self.tally.lost_claims:
            self.flights = {row_id: flight for row_id, flight in self.flights.items() if flight.claim not in lost}

    def _arrive(self, flights: Sequence[Flight]) -> None:
        """These packets did arrive, although nobody was told."""
        self.tally.arrived(flights)

    def _finish(self, done: Sequence[tuple[Flight, ImportRow]]) -> None:
        carried = self._ledger.pushes.of_files([flight.row.file_name for flight, _ in done]) if done else {}
        for flight, found in done:
            pushes = carried.get(flight.row.file_name, [])
            if found.file_id is not None and found.succeeded:
                self.tally.imported(flight, found.file_id, found.id, settled(pushes, found, found.file_id))
            elif found.file_id is not None and found.percent_complete == 100:
                self._repair(flight, found, found.file_id)
            elif (existing := found.existing_file_id) is not None:
                self.tally.adopted(flight, existing, found.id, settled(pushes, None, existing))
            elif found.url_expired or _PASSING.search(found.reason):
                self.tally.resend(flight, found.reason, found.id, always=flight.orphaned)
            else:
                self.tally.failed(flight, found.reason or "The import succeeded without making a file.", found.id)

    def _repair(self, flight: Flight, found: ImportRow, file_id: int) -> None:
        """The file exists, its instances were refused: the server keeps the image all the same."""
        pushes = self._ledger.pushes.of_files([flight.row.file_name]).get(flight.row.file_name, [])
        rows = settled(pushes, found, file_id)
        if not found.instances:
            self.tally.imported(flight, file_id, found.id, rows, note=f"The image is there, but: {found.reason}")
            return
        repair = self._repairer.repair(found, file_id)
        judged = [without(row, repair.refused, repair.note) if row.state == "failed" else row for row in rows]
        self.tally.imported(flight, file_id, found.id, judged, note=repair.note)

    def _watch(self, running: Sequence[tuple[Flight, ImportRow]]) -> None:
        """Find the imports that a worker took and never finished; the server itself does nothing about them.

        The ledger is the memory of this, so that many short runs notice it as well as a long one.
        """
        changed: dict[str, list[int]] = {}
        abandoned: list[tuple[Flight, ImportRow]] = []
        for flight, found in running:
            if found.status in _QUEUED:
                continue
            if note := flight.look(found):
                changed.setdefault(note, []).append(flight.row.id)
            elif flight.unmoved_for(self._stuck_after):
                abandoned.append((flight, found))
        for note, ids in changed.items():
            self._ledger.objects.note(ids, note)
        self._rescue(abandoned)

    def _rescue(self, abandoned: Sequence[tuple[Flight, ImportRow]]) -> None:
        """RETRY the first time, ARCHIVE and send again the second: one call each for all, of 300 a day."""
        if not abandoned or time.monotonic() < self._next_rescue:
            return
        self._next_rescue = time.monotonic() + _RESCUES * self._stuck_after
        again = [(flight, found) for flight, found in abandoned if not found.retry_count]
        dead = [(flight, found) for flight, found in abandoned if found.retry_count]
        try:
            self._client.retry_imports([found.id for _, found in again])
            self._ledger.objects.note([flight.row.id for flight, _ in again], "The server was asked to try again.")
            # What was only slow must not arrive when nobody waits for it any more.
            self._client.archive_imports([found.id for _, found in dead])
        except BudgetExhausted:
            return  # they keep waiting, which is what the error's cure says
        for flight, found in dead:
            self.tally.resend(flight, f"The server's worker died over it twice, as {found.status!r}.", found.id)

    def _search(self, lost: Sequence[Flight], listing: Listing) -> None:
        """Packets that no list shows: their files exist, or they wait far behind, or nothing arrived."""
        overdue = [flight for flight in lost if time.time() - flight.since > GRACE]
        names = [flight.row.file_name for flight in overdue]
        missing = self._client.missing_files(names, self._directory_id)
        files = self._client.find_files((name for name in names if name not in missing), self._directory_id)
        pushes = self._ledger.pushes.of_files(list(files)) if files else {}
        for flight in overdue:
            name = flight.row.file_name
            if name in files:
                self._found(flight, files[name].id, pushes.get(name, []), listing)
            elif time.time() - flight.since > self._patience(flight, listing):
                self.tally.lost(flight)

    def _found(self, flight: Flight, file_id: int, pushes: Sequence[PushRow], listing: Listing) -> None:
        """The file of a packet whose import no list shows: another packet's, if a list should show it."""
        rows = settled(pushes, None, file_id)
        if listing.reaches(flight.since):
            self.tally.adopted(flight, file_id, flight.row.input_id, rows)
        else:
            self.tally.imported(flight, file_id, flight.row.input_id, rows, note="The file was found by its name.")

    def _patience(self, flight: Flight, listing: Listing) -> float:
        if listing.reaches(flight.since):
            return GRACE
        return _DOUBT if flight.doubtful else self._stuck_after
