"""Objects leave for the server: in parcels, from threads that stay, until something says stop."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from datetime import timedelta

from diffgram_flows.diffgram import DiffgramClient, maybe_delivered
from diffgram_flows.errors import (
    ClaimLost,
    DiffgramFlowsError,
    InvalidRequest,
    ServerError,
    ServerUnreachable,
    UnexpectedReply,
)
from diffgram_flows.importing.prelabelling import Prelabeller, machine_instances
from diffgram_flows.importing.preparing import Prepared, Preparer
from diffgram_flows.importing.routes import Delivery, Kind, Route, RouteName, route_of
from diffgram_flows.ledger import Ledger, ObjectRow, Outcome
from diffgram_flows.models import Failure, Seen
from diffgram_flows.storage import ObjectStore

LEASE = timedelta(hours=6)
_PATIENCE = 3  # packets in a row that may find no server before the rest is kept back
_PARCEL = 16  # objects that are signed together at most, right before they leave one after the other


@dataclass(frozen=True, slots=True)
class Parcel:
    """Objects that one thread sends, one after the other.

    Attributes:
        boxes: By file name, of the brain ``brain``.
        check: Called before each departure; raises :class:`ClaimLost` where another worker has taken over.
    """

    rows: Sequence[ObjectRow]
    boxes: Mapping[str, tuple[Seen, ...]] = field(default_factory=dict)
    brain: str = ""
    check: Callable[[], None] = lambda: None


class Courier:
    """Threads that send parcels and say what became of each object, in ``results``.

    A single lost connection is an accident; several in a row, or anything else that is not about one object, stops all
    threads: what has not left comes back as ``released``, and :attr:`trouble` is why.

    Args:
        route: How they travel.
        threads: Objects at the same time; the client's pacer keeps the server's quota.
    """

    def __init__(self, route: Route, threads: int) -> None:
        self.results: queue.SimpleQueue[Delivery | BaseException] = queue.SimpleQueue()
        self.trouble: DiffgramFlowsError | None = None
        self._route, self._threads = route, threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="sending")
        self._stopped = threading.Event()
        self._accidents = 0
        self._under_way: set[Future[None]] = set()

    def put(self, prepared: Prepared, check: Callable[[], None] = lambda: None) -> None:
        """Send the objects of a chunk."""
        rows, start = prepared.fit, 0
        while start < len(rows):
            size = max(1, min(_PARCEL, (len(rows) - start) // (2 * self._threads)))  # so that all end at the same time
            parcel = Parcel(rows[start : start + size], prepared.boxes, prepared.brain, check)
            start += size
            future = self._pool.submit(self._deliver, parcel)
            self._under_way.add(future)
            future.add_done_callback(self._under_way.discard)

    def halt(self) -> None:
        """Let nothing more leave, and wait for what is just leaving."""
        self._stopped.set()
        self.wait()

    def wait(self) -> None:
        """Until all that was put has left, or come back."""
        wait(list(self._under_way))

    def resume(self) -> None:
        """Forget what made it stop."""
        self._stopped.clear()
        self.trouble, self._accidents = None, 0

    def close(self) -> None:
        self._stopped.set()
        self._pool.shutdown()

    def _deliver(self, parcel: Parcel) -> None:
        try:
            ready = self._ready(parcel)
            for row in parcel.rows:
                self.results.put(self._one(row, ready.get(row.id), parcel))
        except BaseException as crash:
            self.results.put(crash)

    def _ready(self, parcel: Parcel) -> Mapping[int, object]:
        if self._stopped.is_set():
            return {}
        try:
            return self._route.ready(parcel.rows)
        except DiffgramFlowsError as error:
            self._stop(error)
            return {}

    def _one(self, row: ObjectRow, ready: object, parcel: Parcel) -> Delivery:
        if self._stopped.is_set():
            return Delivery(row, "released")
        if isinstance(ready, DiffgramFlowsError):
            return Delivery(row, "refused", str(ready))
        try:
            parcel.check()
            boxes = parcel.boxes.get(row.file_name, ())
            delivery = self._route.send(row, ready, machine_instances(boxes, parcel.brain) if boxes else ())
        except ClaimLost:
            return Delivery(row, "lost")
        except DiffgramFlowsError as error:
            return self._not_sent(row, error)
        self._accidents = 0
        return replace(delivery, at=time.time())

    def _not_sent(self, row: ObjectRow, error: DiffgramFlowsError) -> Delivery:
        if isinstance(error, InvalidRequest) and error.status in (
            0,
            200,
            400,
        ):  # 302, for example, is about all of them
            return Delivery(row, "failed", str(error))
        self._accidents += 1
        if not isinstance(error, (ServerUnreachable, ServerError)) or self._accidents >= _PATIENCE:
            self._stop(error)
        if maybe_delivered(error) or isinstance(error, UnexpectedReply):
            return Delivery(row, "unsure", str(error), at=time.time())
        return Delivery(row, "released")

    def _stop(self, error: DiffgramFlowsError) -> None:
        self.trouble = self.trouble or error
        self._stopped.set()


def record(ledger: Ledger, deliveries: Sequence[Delivery], claim: int | None) -> None:
    """Write what became of objects at their departure; ``unsure`` ones stay as they are.

    Raises:
        ClaimLost: Another worker has taken over; nothing more was written.
        LedgerError: The database does not do what it should.
    """
    ids: dict[Kind, list[int]] = {}
    for delivery in deliveries:
        ids.setdefault(delivery.kind, []).append(delivery.row.id)
    ledger.objects.sent(ids.get("sent", ()), claim=claim)
    ledger.objects.release(ids.get("released", ()), claim=claim)
    ended = [each for each in deliveries if each.kind in ("imported", "refused", "failed")]
    ledger.objects.settle(
        (Outcome(each.row.id, each.kind, each.reason, each.file_id, each.input_id) for each in ended), claim=claim
    )


@dataclass(frozen=True, slots=True)
class SendReport:
    """What became of a chunk.

    Attributes:
        sent: Queued by the server.
        refused: Not images, or not images that anybody could decode; never sent.
        released: Certainly not delivered; to be sent again.
        failed: The server would not take the packet.
        unsure: Maybe delivered; reconciling decides.
        failures: The refused and the failed, with their reasons.
    """

    sent: int = 0
    refused: int = 0
    released: int = 0
    failed: int = 0
    unsure: int = 0
    failures: tuple[Failure, ...] = ()


def send_chunk(
    client: DiffgramClient,
    store: ObjectStore,
    ledger: Ledger,
    chunk: tuple[int, int],
    *,
    directory_id: int,
    prelabel: Prelabeller | None = None,
    inspect_headers: bool = True,
    lease_for: timedelta = LEASE,
    threads: int = 8,
    route: RouteName = "url",
) -> SendReport:
    """Send the ``new`` objects of a range of the ledger, for one worker who has the ledger for himself.

    Args:
        client: The server.
        store: The bucket; objects of other buckets are left alone.
        ledger: Where the chunk is claimed and every outcome is written.
        chunk: First and last id of the range, both included.
        directory_id: The dataset that gets the files.
        prelabel: Asked for boxes that travel along.
        inspect_headers: Whether to read the first bytes of every image before it is sent.
        lease_for: How long a URL should live; it must outlast the server's queue.
        threads: Packets at the same time; the client's pacer keeps the server's quota.
        route: How the bytes travel.

    Raises:
        DiffgramError: The server cannot be used at all; what had not left is ``new`` again.
        StorageError: The bucket cannot.
    """
    way = route_of(route, client, store, directory_id, lease_for=lease_for)
    preparer = Preparer(store, ledger, prelabel=prelabel, inspect_headers=inspect_headers, threads=threads)
    courier = Courier(way, threads)
    claimed = ledger.objects.claim(chunk)
    try:
        prepared = preparer.prepare(claimed)
        courier.put(prepared)
        courier.wait()
    except BaseException:
        ledger.objects.release([row.id for row in claimed])  # nothing has left yet
        raise
    finally:
        preparer.close()
        courier.close()
    deliveries = [*before_departure(prepared), *arrived(courier)]
    record(ledger, deliveries, None)
    if courier.trouble:
        raise courier.trouble
    counts = Counter(delivery.kind for delivery in deliveries)
    failures = (Failure(d.row.object.uri, d.reason) for d in deliveries if d.kind in ("refused", "failed"))
    return SendReport(
        counts["sent"], counts["refused"], counts["released"], counts["failed"], counts["unsure"], tuple(failures)
    )


def before_departure(prepared: Prepared) -> list[Delivery]:
    """What became of the objects that need not leave; the refused are those that were looked at."""
    refused = [Delivery(row, "refused", reason) for row, reason in prepared.refused]
    return [*refused, *(Delivery(row, "released") for row in prepared.foreign)]


def arrived(courier: Courier) -> list[Delivery]:
    """What a courier has told until now.

    Raises:
        BaseException: What ended one of its threads.
    """
    found = []
    while not courier.results.empty():
        result = courier.results.get_nowait()
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
