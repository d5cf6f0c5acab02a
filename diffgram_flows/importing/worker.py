"""One worker of an import: takes chunks, sends them, and follows what it sent, all at the same time.

Several workers, in other processes and on other machines, share a ledger: each holds what it has claimed, and takes
over what another one left behind. A worker is one thread that talks to the ledger and looks at the server's list, one
that prepares the next chunk, and some that read and send::

    claim ──> prepare ──> send ──────> write ──> follow ──> settle
    (here)    (a thread)  (threads)    (here)    (here)     (here)
"""

from __future__ import annotations

import queue
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Self

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import ClaimLost, DiffgramFlowsError
from diffgram_flows.importing.flights import Flight
from diffgram_flows.importing.following import Follower
from diffgram_flows.importing.holding import Holdings
from diffgram_flows.importing.options import LISTING, MOST, WorkOptions
from diffgram_flows.importing.prelabelling import Prelabeller
from diffgram_flows.importing.preparing import Preparer
from diffgram_flows.importing.routes import Delivery, route_of
from diffgram_flows.importing.sending import Courier, before_departure, record
from diffgram_flows.ledger import Claim, Heartbeat, Ledger, new_worker
from diffgram_flows.ledger.claims import lost
from diffgram_flows.models import Failure, Progress, no_progress
from diffgram_flows.storage import ObjectStore

_BATCH = 200  # outcomes in one transaction
_SOON = 0.5  # seconds after which fewer are written, too
_NAP = 0.02  # seconds between two looks at what has left
_BUSY_SHARE = 20.0  # a look at the server's list takes at most a twentieth of the time in which packets leave
_UPLOADS = 4  # at the same time: each holds a worker of the server until it is processed
_SLICE = 20.0  # seconds of following after which a step looks whether there is something to send again


class Worker:
    """Imports from one bucket until nothing is left that it could do. Use it in a ``with`` block, from one thread.

    After any error it has given up all that it held, and the next step begins with taking it over again.

    Args:
        client: The server.
        store: The bucket.
        ledger: Shared with the other workers.
        directory_id: The dataset that gets the files.
        options: How it works.
        prelabel: Asked for boxes that travel along.
        progress: Told how many objects are settled, of how many.

    Raises:
        ConfigurationError: The route cannot be used for this bucket.
    """

    def __init__(
        self,
        client: DiffgramClient,
        store: ObjectStore,
        ledger: Ledger,
        *,
        directory_id: int,
        options: WorkOptions,
        prelabel: Prelabeller | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self.options = options
        self.more = True
        self.sent = 0
        self.refused: list[Failure] = []
        self.failed_at_departure: list[Failure] = []
        self.uploaded = 0
        self._ledger, self._store = ledger, store
        self._progress = progress
        self._name = new_worker()
        self._room = options.room(store.max_ttl()) if options.route == "url" else options.window or MOST
        self._chunk_size = min(options.chunk_size, self._room)
        route = route_of(
            options.route,
            client,
            store,
            directory_id,
            lease_for=options.lease_for,
            connection_id=options.connection_id,
        )
        self._courier = Courier(route, min(options.threads, _UPLOADS) if options.route == "upload" else options.threads)
        self._preparer = Preparer(
            store, ledger, prelabel=prelabel, inspect_headers=options.inspect_headers, threads=options.threads
        )
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix="preparing")
        self._prepared: Future[None] | None = None
        self.follower = Follower(
            client,
            ledger,
            directory_id=directory_id,
            stuck_after=options.stuck_after,
            max_attempts=options.max_attempts,
        )
        self._holdings = Holdings(ledger)
        self._lost: set[int | None] = set()
        self._handed: set[int] = set()  # claims of which something may have left
        self._departing: dict[int, int] = {}  # row id to claim, of what was claimed and has not left
        self._unwritten: list[Delivery] = []
        self._written_at = 0.0
        self._expected = 0
        self._came_back = False  # an object, unsent, while the last step followed
        self._done_then: tuple[int, int] | None = None  # sent and settled, when one was last tried again

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def settled(self) -> int:
        """Objects that have ended, or are to be sent once more."""
        return self.follower.tally.settled + len(self.refused) + len(self.failed_at_departure) + self.uploaded

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return bool(self._departing or self.follower.flights)

    def close(self) -> None:
        """Give up what is still on its way; another worker, or the next import, takes it over."""
        self._abandon()
        self._preparer.close()
        self._preparing.shutdown()
        self._courier.close()

    def step(self, timeout: float) -> bool:
        """Send one chunk, and follow what is on its way meanwhile; if there is nothing to send, follow for 20 seconds.

        It comes back when the chunk before this one has left, so that the next step finds work under way.

        Args:
            timeout: Seconds; what is not done then is done by the next step.

        Returns:
            Whether a further step can do something.

        Raises:
            DiffgramError: The server cannot be used.
            StorageError: The bucket cannot.
            LedgerError: The database cannot.
        """
        ends_at = time.monotonic() + timeout
        try:
            self._courier.resume()
            more_to_come = self._ledger.locks.held(LISTING)
            taken = self._take(ends_at)
            while taken and len(self._departing) > self._chunk_size and time.monotonic() < ends_at:
                self._turn(ends_at)
            slice_ends_at = min(ends_at, time.monotonic() + _SLICE)
            requeued, self._came_back = self.follower.tally.requeued, False
            while not taken and self.busy and time.monotonic() < slice_ends_at:
                self._turn(slice_ends_at)
                taken = self.follower.tally.requeued > requeued or self._try_again()
            if more_to_come and not taken and not self.busy:
                time.sleep(min(self.options.poll, timeout))
            self.more = self.busy or taken or more_to_come
            return self.more
        except BaseException:
            self._abandon()
            raise

    def _take(self, ends_at: float) -> bool:
        """Take over what was left behind, else claim a chunk as soon as there is room for it."""
        while self._full() and time.monotonic() < ends_at:
            self._turn(ends_at)
        if self._full():
            return False
        seconds = self.options.claim_seconds
        if left := self._ledger.claims.adopt_expired(worker=self._name, seconds=seconds, unclaimed=True):
            self._holdings.hold(left)
            orphaned = self._store.urls_die_with_it
            self.follower.add(Flight.taken_over(row, left.id, orphaned=orphaned) for row in left.rows)
            self.follower.next_look = 0.0
            return True
        claim = self._ledger.claims.claim_chunk(
            self._chunk_size, worker=self._name, seconds=seconds, bucket=self._store.bucket
        )
        if claim is None:
            return False
        heartbeat = self._holdings.hold(claim)
        self._departing.update((row.id, claim.id) for row in claim.rows)
        self._prepared = self._preparing.submit(self._prepare, claim, heartbeat)
        return True

    def _try_again(self) -> bool:
        """Whether an object has come back unsent, and anything was sent or settled since this was last so."""
        done = (self.sent, self.settled)
        if not self._came_back or done == self._done_then:
            return False
        self._done_then = done
        return True

    def _full(self) -> bool:
        under_way = len(self._departing) + len(self.follower.flights)
        return bool(under_way) and under_way + self._chunk_size > self._room

    def _prepare(self, claim: Claim, heartbeat: Heartbeat) -> None:
        """In the preparing thread."""
        try:
            prepared = self._preparer.prepare(claim.rows)
            for delivery in before_departure(prepared):
                self._courier.results.put(delivery)
            self._handed.add(claim.id)
            self._courier.put(prepared, partial(self._check, claim.id, heartbeat))
        except BaseException as error:
            self._courier.results.put(error)

    def _check(self, claim: int, heartbeat: Heartbeat) -> None:
        """In the sending threads, before each departure.

        Raises:
            ClaimLost: Another worker has taken over.
        """
        if claim in self._lost:
            raise lost(claim)
        heartbeat.check()

    def _turn(self, ends_at: float) -> None:
        """Wait for outcomes and write them, and look at the list when it is time."""
        now = time.monotonic()
        until = min(ends_at, now + _SOON, self.follower.next_look if self.follower.flights else now + _SOON)
        self._collect(until)
        all_there = len(self._unwritten) == len(self._departing)
        if len(self._unwritten) >= _BATCH or all_there or time.monotonic() - self._written_at > _SOON:
            self._write()
        if self.follower.flights and time.monotonic() >= self.follower.next_look:
            self._look()
        if self._courier.trouble:
            raise self._courier.trouble

    def _collect(self, until: float) -> None:
        """Take what the courier tells, up to a batch, or until a moment if nobody tells anything."""
        if not self._departing:
            time.sleep(max(0.0, until - time.monotonic()))
            return
        while True:
            with suppress(queue.Empty):
                while len(self._unwritten) < len(self._departing):
                    result = self._courier.results.get_nowait()
                    if isinstance(result, BaseException):
                        raise result
                    self._unwritten.append(result)
            enough = min(_BATCH, len(self._departing))
            if len(self._unwritten) >= enough or time.monotonic() >= until:
                return
            time.sleep(_NAP)  # not for each one: to wake up costs the threads that send

    def _write(self) -> None:
        """One transaction for each claim and kind, for all that has left since the last time."""
        self._written_at = time.monotonic()
        deliveries, self._unwritten = self._unwritten, []
        groups: dict[int, list[Delivery]] = {}
        for delivery in deliveries:
            claim = self._departing.pop(delivery.row.id, None)
            if claim is not None:
                groups.setdefault(claim, []).append(delivery)
        for claim, some in groups.items():
            try:
                record(self._ledger, some, claim)
            except ClaimLost:
                self._lose(claim)
                continue
            self._count(some, claim)
        if groups:
            self._tell()

    def _count(self, deliveries: Sequence[Delivery], claim: int) -> None:
        if any(each.kind == "lost" for each in deliveries):
            self._lose(claim)
            return
        for each in deliveries:
            failure = Failure(each.row.object.uri, each.reason)
            if each.kind in ("sent", "unsure"):
                self.sent += 1
                doubtful = each.kind == "unsure"
                if not self.follower.flights:
                    self.follower.next_look = time.monotonic() + self.options.poll
                self.follower.add([Flight(each.row, claim, each.at, doubtful, each.row.attempts + 1)])
                continue
            if each.kind == "released":
                self._came_back = True
            elif each.kind == "refused":
                self.refused.append(failure)
            elif each.kind == "failed":
                self.failed_at_departure.append(failure)
            elif each.kind == "imported":
                self.uploaded += 1
            self._holdings.ended(claim)

    def _look(self) -> None:
        before = {row_id: flight.claim for row_id, flight in self.follower.flights.items()}
        self.follower.look(self.options.poll, *((_BUSY_SHARE,) if self._departing else ()))
        for row_id, claim in before.items():
            if row_id not in self.follower.flights and claim is not None:
                self._holdings.ended(claim)
        for claim in self.follower.tally.lost_claims - self._lost:
            if claim is not None:
                self._lose(claim)
        self._tell()

    def _tell(self) -> None:
        under_way = len(self._departing) + len(self.follower.flights)
        self._expected = max(self._expected, self.settled + under_way)
        self._progress(self.settled, self._expected, f"{len(self.follower.flights)} on their way")

    def expect(self, number: int) -> None:
        """How many objects are to be settled, for the progress."""
        self._expected = max(self._expected, number)

    def _lose(self, claim: int) -> None:
        """Forget what another worker has taken over."""
        self._lost.add(claim)
        self._holdings.drop(claim)
        self._departing = {row_id: its for row_id, its in self._departing.items() if its != claim}
        flights = self.follower.flights
        self.follower.flights = {row_id: flight for row_id, flight in flights.items() if flight.claim != claim}

    def _abandon(self) -> None:
        """Stop, write what is known, and give everything up: the ledger says how far it has come."""
        self._courier.halt()
        if self._prepared:
            self._prepared.exception()  # it may still be putting parcels
            self._courier.halt()
        while not self._courier.results.empty():
            result = self._courier.results.get_nowait()
            if isinstance(result, Delivery):
                self._unwritten.append(result)
        with suppress(DiffgramFlowsError):  # what cannot be written now is found out by whoever takes it over
            self._write()
            for claim in set(self._departing.values()) - self._handed:
                ids = [row_id for row_id, its in self._departing.items() if its == claim]
                self._ledger.objects.release(ids, claim=claim)
        self._holdings.drop_all()
        self._departing.clear()
        self._unwritten.clear()
        self._handed.clear()
        self.follower.flights.clear()
        self.follower.tally.forget()
