"""What the server has decided, written to the ledger: many outcomes at once, under the claim of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from diffgram_flows.errors import ClaimLost
from diffgram_flows.importing.flights import Flight, by_claim
from diffgram_flows.ledger import Ledger, Outcome, PushRow
from diffgram_flows.models import Failure

_DELIVERIES = 10  # packets for one object that never arrive, before the object is given up


@dataclass(frozen=True, slots=True)
class _Decided:
    flight: Flight
    outcome: Outcome
    pushes: tuple[PushRow, ...] = ()
    duplicate: bool = False


class Settlement:
    """Counts outcomes, and writes them when it is told to.

    Args:
        ledger: Where they go.
        max_attempts: How often an object is sent before it is given up.

    Attributes:
        imported_count, duplicates, requeued, failures: What was written so far.
        lost_claims: Claims that another worker has taken over; their objects are his.
    """

    def __init__(self, ledger: Ledger, max_attempts: int) -> None:
        self.duplicates = 0
        self.requeued = 0
        self.failures: list[Failure] = []
        self.lost_claims: set[int | None] = set()
        self.imported_count = 0
        self._ledger, self._max_attempts = ledger, max_attempts
        self._decided: list[_Decided] = []
        self._undelivered: dict[int, int] = {}

    @property
    def settled(self) -> int:
        return self.imported_count + self.requeued + len(self.failures)

    def imported(
        self, flight: Flight, file_id: int, input_id: int | None, pushes: Iterable[PushRow] = (), *, note: str = ""
    ) -> None:
        """The file exists."""
        outcome = Outcome(flight.row.id, "imported", note, file_id, input_id)
        self._decided.append(_Decided(flight, outcome, tuple(pushes)))

    def adopted(self, flight: Flight, file_id: int, input_id: int | None, pushes: Iterable[PushRow] = ()) -> None:
        """The file exists, and another packet made it."""
        outcome = Outcome(flight.row.id, "imported", "An earlier packet made the file.", file_id, input_id)
        self._decided.append(_Decided(flight, outcome, tuple(pushes), duplicate=True))

    def resend(self, flight: Flight, reason: str, input_id: int | None, *, always: bool = False) -> None:
        """Sign and send it again; give it up if that was done often enough, unless it is to be sent ``always``."""
        if flight.attempts >= self._max_attempts and not always:
            often = "once" if flight.attempts == 1 else f"{flight.attempts} times"
            self.failed(flight, f"{reason} It was sent {often}.", input_id)
            return
        self._decided.append(_Decided(flight, Outcome(flight.row.id, "new", reason, input_id=input_id)))

    def lost(self, flight: Flight) -> None:
        """The server does not know the packet."""
        if not flight.doubtful:
            self.resend(flight, "The server does not know the packet.", flight.row.input_id)
            return
        number = self._undelivered[flight.row.id] = self._undelivered.get(flight.row.id, 0) + 1
        if number >= _DELIVERIES:
            self.failed(flight, f"None of {number} packets arrived.", flight.row.input_id)
        else:
            self._decided.append(_Decided(flight, Outcome(flight.row.id, "new", "The packet never arrived.")))

    def failed(self, flight: Flight, reason: str, input_id: int | None, *, state: str = "failed") -> None:
        """Give the object up."""
        self._decided.append(_Decided(flight, Outcome(flight.row.id, state, reason, input_id=input_id)))

    def arrived(self, flights: Sequence[Flight]) -> None:
        """These packets did arrive, although nobody was told; written at once."""
        for claim, some in by_claim(flights).items():
            try:
                self._ledger.objects.sent([flight.row.id for flight in some], claim=claim)
            except ClaimLost:
                self.lost_claims.add(claim)
                continue
            for flight in some:
                flight.doubtful = False

    def write(self) -> list[Flight]:
        """Write what was decided since the last time, and say which flights have ended.

        Raises:
            LedgerError: The database does not do what it should; what was not written is decided again.
        """
        decided, self._decided = self._decided, []
        of_row = {each.flight.row.id: each for each in decided}
        for claim, flights in by_claim([each.flight for each in of_row.values()]).items():
            mine = [of_row[flight.row.id] for flight in flights]
            self._ledger.pushes.save(push for each in mine for push in each.pushes)
            try:
                self._ledger.objects.settle((each.outcome for each in mine), claim=claim)
            except ClaimLost:
                self.lost_claims.add(claim)
                continue
            self._count(mine)
        return [each.flight for each in of_row.values()]

    def forget(self) -> None:
        """Drop what was decided and not written."""
        self._decided.clear()

    def _count(self, written: Sequence[_Decided]) -> None:
        for each in written:
            self.duplicates += each.duplicate
            if each.outcome.state == "imported":
                self.imported_count += 1
            elif each.outcome.state == "new":
                self.requeued += 1
            else:
                self.failures.append(Failure(each.flight.row.object.uri, each.outcome.reason))
