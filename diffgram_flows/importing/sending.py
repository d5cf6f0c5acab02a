"""A chunk of the ledger on its way to the server: claim, look, pre-label, sign, send, record."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

from diffgram_flows.diffgram import DiffgramClient, Packet, maybe_delivered
from diffgram_flows.errors import (
    AccessDenied,
    DiffgramFlowsError,
    InvalidRequest,
    ServerError,
    ServerUnreachable,
    UnexpectedReply,
)
from diffgram_flows.importing.inspecting import inspect
from diffgram_flows.importing.prelabelling import Prelabeller, machine_instances, prelabels
from diffgram_flows.ledger import Ledger, ObjectRow
from diffgram_flows.models import Box, Failure
from diffgram_flows.storage import ObjectStore

LEASE = timedelta(hours=6)
_PATIENCE = 3  # packets of a chunk that may find no server before the rest is kept back


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
) -> SendReport:
    """Send the ``new`` objects of a range of the ledger.

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

    Raises:
        DiffgramError: The server cannot be used at all; what had not left is ``new`` again.
        StorageError: The bucket cannot.
    """
    claimed = ledger.objects.claim(chunk)
    try:
        own = [row for row in claimed if row.object.bucket == store.bucket]
        refusals = _inspected(store, own, threads) if inspect_headers else {}
        fit = [row for row in own if row.id not in refusals]
        boxes = prelabels(ledger, prelabel, fit) if prelabel and fit else {}
    except BaseException:
        ledger.objects.release([row.id for row in claimed])  # nothing has left yet
        raise
    foreign = [row.id for row in claimed if row.object.bucket != store.bucket]
    ledger.objects.release(foreign)
    for row_id, reason in refusals.items():
        ledger.objects.failed(row_id, reason, state="refused")
    courier = _Courier(client, store, ledger, directory_id, lease_for, prelabel.brain if prelabel else "", boxes)
    counts, failures = courier.deliver(fit, threads)
    return SendReport(
        sent=counts["sent"],
        refused=len(refusals),
        released=counts["released"] + len(foreign),
        failed=counts["failed"],
        unsure=counts["unsure"],
        failures=(*(Failure(row.object.uri, refusals[row.id]) for row in own if row.id in refusals), *failures),
    )


def _inspected(store: ObjectStore, rows: Sequence[ObjectRow], threads: int) -> dict[int, str]:
    """Why rows must not be sent, by row id.

    Raises:
        StorageError: The bucket cannot be read. A few objects that may not be read are refused; if it is all of them,
            the credential is wrong and not the objects.
    """
    denials: list[AccessDenied] = []

    def look(row: ObjectRow) -> str:
        try:
            return inspect(store, row)
        except AccessDenied as error:
            denials.append(error)
            return str(error)

    with ThreadPoolExecutor(threads) as pool:
        reasons = list(pool.map(look, rows))
    if denials and len(denials) == len(rows):
        raise denials[0]
    return {row.id: reason for row, reason in zip(rows, reasons, strict=True) if reason}


@dataclass(slots=True)
class _Courier:
    """Sends rows that were claimed, and writes down what became of each at once."""

    client: DiffgramClient
    store: ObjectStore
    ledger: Ledger
    directory_id: int
    lease_for: timedelta
    brain: str
    boxes: Mapping[str, tuple[Box, ...]]
    stopped: threading.Event = field(default_factory=threading.Event)
    troubles: list[DiffgramFlowsError] = field(default_factory=list)

    def deliver(self, rows: Sequence[ObjectRow], threads: int) -> tuple[Counter[str], list[Failure]]:
        """Outcomes by kind, and what the server would not take.

        Raises:
            DiffgramFlowsError: The reason to stop in the middle; rows that had not left are released.
        """
        with ThreadPoolExecutor(threads) as pool:
            outcomes = list(pool.map(self._send, rows))
        if self.stopped.is_set():
            raise self.troubles[-1]
        kinds = Counter(kind for kind, _ in outcomes)
        failures = [
            Failure(row.object.uri, reason)
            for row, (kind, reason) in zip(rows, outcomes, strict=True)
            if kind == "failed"
        ]
        return kinds, failures

    def _send(self, row: ObjectRow) -> tuple[str, str]:
        if self.stopped.is_set():
            return self._released(row)
        try:
            self.client.send_packet(self._packet(row))
        except InvalidRequest as error:
            if error.status not in (0, 400):  # not about this packet: a redirect, for example
                return self._trouble(row, error)
            self.ledger.objects.failed(row.id, str(error))
            return "failed", str(error)
        except DiffgramFlowsError as error:
            return self._trouble(row, error)
        self.ledger.objects.sent([row.id])
        return "sent", ""

    def _packet(self, row: ObjectRow) -> Packet:
        instances = machine_instances(self.boxes.get(row.file_name, ()), self.brain) if self.boxes else ()
        lease = self.store.lease(row.object, self.lease_for)
        return Packet(self.directory_id, url=lease.url, file_name=row.file_name, instances=instances)

    def _trouble(self, row: ObjectRow, error: DiffgramFlowsError) -> tuple[str, str]:
        """A single lost connection is an accident; several, or anything else, is a reason to keep the rest back."""
        self.troubles.append(error)
        accident = isinstance(error, (ServerUnreachable, ServerError))
        if not accident or len(self.troubles) >= _PATIENCE:
            self.stopped.set()
        if maybe_delivered(error) or isinstance(error, UnexpectedReply):
            return "unsure", str(error)
        return self._released(row)

    def _released(self, row: ObjectRow) -> tuple[str, str]:
        self.ledger.objects.release([row.id])
        return "released", ""
