"""The whole import as one call, without an orchestrator: what the command line runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import NothingToImport
from diffgram_flows.importing.following import FollowReport, follow
from diffgram_flows.importing.prelabelling import Prelabeller
from diffgram_flows.importing.reconciling import reconcile
from diffgram_flows.importing.scanning import ScanReport, scan
from diffgram_flows.importing.sending import LEASE, SendReport, send_chunk
from diffgram_flows.ledger import Ledger
from diffgram_flows.ledger.objects import OPEN_STATES
from diffgram_flows.models import Failure, Progress, no_progress, unique_by_name
from diffgram_flows.storage import ObjectStore

_PASSES = 10  # over what was requeued; each object has its own, smaller limit
_UNDECIDED = 0.5  # seconds before asking again for packets that may have arrived; with the passes, more than GRACE


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        listed: Everything below the prefix.
        new: Objects that were not known before.
        imported: Files that exist now, ``duplicates`` included.
        failed: Given up by the server's word.
        refused: Given up without bothering the server: corrupt, too large, not an image.
        duplicates: Files that an earlier packet had made already, adopted.
        waiting: Neither imported nor given up yet; the next import goes on with them.
        failures: The failed and the refused of this import, with their reasons.
    """

    listed: int
    new: int
    imported: int
    failed: int
    refused: int
    duplicates: int
    waiting: int
    failures: tuple[Failure, ...]


def import_new(
    client: DiffgramClient,
    store: ObjectStore,
    prefix: str,
    ledger: Ledger,
    *,
    directory_id: int,
    prelabel: Prelabeller | None = None,
    window: int = 400,
    chunk_size: int = 100,
    timeout: float = 6 * 3600.0,
    poll: float = 1.0,
    stuck_after: float = 900.0,
    max_attempts: int = 3,
    lease_for: timedelta = LEASE,
    threads: int = 8,
    inspect_headers: bool = True,
    progress: Progress = no_progress,
) -> ImportReport:
    """Import what is new below a prefix, and finish what an earlier import left open.

    Args:
        client: The server.
        store: The bucket.
        prefix: How the keys begin.
        ledger: What has been done; one import of a target runs at a time.
        directory_id: The dataset that gets the files.
        prelabel: Asked for boxes that travel along.
        window: Packets on their way at the same time: few enough for their leases to outlive the server's queue, and
            for the 1,000 imports that the server lists to hold all of them.
        chunk_size: Objects that are claimed and sent together.
        timeout: Seconds after which the rest is left for the next import.
        poll: Seconds between two looks at the server's list.
        stuck_after: Seconds after which an import counts as abandoned, see :func:`follow`.
        max_attempts: How often an object is sent before it is given up.
        lease_for: How long a URL should live, see :func:`send_chunk`.
        threads: Packets at the same time.
        inspect_headers: Whether to read the first bytes of every image before it is sent.
        progress: Told how many objects are settled, of how many.

    Raises:
        NothingToImport: The prefix holds nothing that can be imported, and nothing is left open.
        Busy: Another import of this target is running.
        DiffgramError: The server cannot be used.
        StorageError: The bucket cannot.
    """
    send = partial(
        send_chunk,
        client,
        store,
        ledger,
        directory_id=directory_id,
        prelabel=prelabel,
        lease_for=lease_for,
        threads=threads,
        inspect_headers=inspect_headers,
    )
    watch = partial(
        follow,
        client,
        ledger,
        directory_id=directory_id,
        poll=poll,
        stuck_after=stuck_after,
        max_attempts=max_attempts,
        progress=progress,
    )
    settle = partial(reconcile, client, ledger, directory_id=directory_id)
    with ledger.locks.hold("import"):
        run = _Run(ledger, _scan(store, prefix, ledger), time.monotonic() + timeout)
        for _ in range(_PASSES):
            settle()
            for chunk in ledger.objects.ranges(chunk_size, "new"):
                run.followed.append(watch(timeout=run.left, down_to=max(0, window - chunk_size)))
                if run.left:
                    run.sent.append(send(chunk))
            run.followed.append(watch(timeout=run.left))
            if not run.again():
                break
        return run.report()


@dataclass(slots=True)
class _Run:
    """What happened so far."""

    ledger: Ledger
    found: ScanReport
    ends_at: float
    sent: list[SendReport] = field(default_factory=list)
    followed: list[FollowReport] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds until the time is over, 0 when it is."""
        return max(0.0, self.ends_at - time.monotonic())

    def again(self) -> bool:
        """Whether another pass can settle something; waits first where the arrival of packets cannot be told yet."""
        counts = self.ledger.objects.counts()
        if counts.get("sending"):
            time.sleep(min(_UNDECIDED, self.left))
        return self.left > 0 and bool(counts.get("new") or counts.get("sending"))

    def report(self) -> ImportReport:
        counts = self.ledger.objects.counts()
        parts: list[SendReport | FollowReport] = [*self.sent, *self.followed]
        return ImportReport(
            listed=self.found.listed,
            new=self.found.new,
            imported=sum(part.imported for part in self.followed),
            failed=sum(part.failed for part in parts),
            refused=sum(part.refused for part in self.sent),
            duplicates=sum(part.duplicates for part in self.followed),
            waiting=sum(counts.get(state, 0) for state in OPEN_STATES),
            failures=unique_by_name(failure for part in parts for failure in part.failures),
        )


def _scan(store: ObjectStore, prefix: str, ledger: Ledger) -> ScanReport:
    """As :func:`scan`; an emptied prefix is no error while earlier objects are on their way."""
    try:
        return scan(store, prefix, ledger)
    except NothingToImport:
        if not any(ledger.objects.counts().get(state) for state in OPEN_STATES):
            raise
        return ScanReport()
