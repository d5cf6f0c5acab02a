"""The whole import as one call, without an orchestrator."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import Busy, NothingToImport
from diffgram_flows.importing.archiving import ArchiveReport, archive
from diffgram_flows.importing.options import DRAIN, LISTING, WorkOptions
from diffgram_flows.importing.policy import Policy
from diffgram_flows.importing.prelabelling import Prelabeller
from diffgram_flows.importing.routes import RouteName
from diffgram_flows.importing.scanning import ScanReport, scan
from diffgram_flows.importing.sending import LEASE
from diffgram_flows.importing.worker import Worker
from diffgram_flows.ledger import Ledger
from diffgram_flows.ledger.objects import OPEN_STATES
from diffgram_flows.models import Failure, Progress, no_progress, unique_by_name
from diffgram_flows.storage import ObjectStore


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did.

    Attributes:
        listed: Everything below the prefix; 0 where another worker has listed it at the same time.
        new: Objects that were not known before, new versions included.
        imported: Files that exist now by this worker's doing, ``duplicates`` included.
        failed: Given up by the server's word.
        refused: Given up without bothering the server: corrupt, too large, not an image.
        duplicates: Files that an earlier packet had made already, adopted.
        waiting: Neither imported nor given up yet, by any worker; the next import goes on with them.
        failures: The failed and the refused of this import, with their reasons.
        archived: Files that left the dataset, because their objects have changed or gone.
    """

    listed: int
    new: int
    imported: int
    failed: int
    refused: int
    duplicates: int
    waiting: int
    failures: tuple[Failure, ...]
    archived: int = 0


def import_new(
    client: DiffgramClient,
    store: ObjectStore,
    prefix: str,
    ledger: Ledger,
    *,
    directory_id: int,
    prelabel: Prelabeller | None = None,
    window: int = 0,
    chunk_size: int = 500,
    timeout: float = 6 * 3600.0,
    poll: float = 1.0,
    stuck_after: float = 900.0,
    max_attempts: int = 3,
    lease_for: timedelta = LEASE,
    threads: int = 8,
    inspect_headers: bool = True,
    progress: Progress = no_progress,
    policy: Policy | None = None,
    route: RouteName = "url",
    connection_id: int | None = None,
    drain_rate: float = DRAIN,
    claim_seconds: float = 120.0,
) -> ImportReport:
    """Import what is new below a prefix, and finish what an earlier import left open.

    Any number of processes and machines may do this at the same time on one ledger: one of them lists the bucket, and
    each object is imported by one of them.

    Args:
        client: The server.
        store: The bucket.
        prefix: How the keys begin.
        ledger: What has been done.
        directory_id: The dataset that gets the files.
        prelabel: Asked for boxes that travel along.
        window: Packets on their way at the same time, see :class:`WorkOptions`.
        chunk_size: Objects that are claimed and sent together.
        timeout: Seconds after which the rest is left for the next import.
        poll: Seconds between two looks at the server's list.
        stuck_after: Seconds after which an import counts as abandoned, see :func:`follow`.
        max_attempts: How often an object is sent before it is given up.
        lease_for: How long a URL should live; it must outlast the server's queue.
        threads: Packets at the same time.
        inspect_headers: Whether to read the first bytes of every image before it is sent.
        progress: Told how many objects are settled, of how many.
        policy: What happens to files whose objects have changed or gone.
        route: How the bytes travel: ``url``, ``upload`` or ``connection``.
        connection_id: The server's storage connection, for the route ``connection``.
        drain_rate: Files a second that the server gets done.
        claim_seconds: After how long other workers take over from one that does not show that it lives.

    Raises:
        NothingToImport: The prefix holds nothing that can be imported, and nothing is left open.
        ConfigurationError: The route cannot be used for this bucket.
        DiffgramError: The server cannot be used.
        StorageError: The bucket cannot.
    """
    options = WorkOptions(
        chunk_size=chunk_size,
        window=window,
        drain_rate=drain_rate,
        threads=threads,
        poll=poll,
        stuck_after=stuck_after,
        max_attempts=max_attempts,
        lease_for=lease_for,
        inspect_headers=inspect_headers,
        route=route,
        connection_id=connection_id,
        claim_seconds=claim_seconds,
    )
    ends_at = time.monotonic() + timeout
    with Worker(
        client, store, ledger, directory_id=directory_id, options=options, prelabel=prelabel, progress=progress
    ) as worker:
        scanned, archived = take_stock(client, store, prefix, ledger, directory_id=directory_id, policy=policy)
        worker.expect(ledger.objects.counts().get("new", 0))
        while (left := ends_at - time.monotonic()) > 0:
            if not worker.step(left):
                break
    return _report(ledger, worker, scanned, archived)


def take_stock(
    client: DiffgramClient,
    store: ObjectStore,
    prefix: str,
    ledger: Ledger,
    *,
    directory_id: int,
    policy: Policy | None = None,
    progress: Progress = no_progress,
) -> tuple[ScanReport, ArchiveReport]:
    """Compare bucket and ledger, and archive what the policy says; nothing of both while another worker does it.

    Raises:
        NothingToImport: The prefix holds nothing that can be imported, and nothing is left open.
        DiffgramError: The server cannot be used.
        StorageError: The bucket cannot.
    """
    policy = policy or Policy()
    try:
        with ledger.locks.hold(LISTING):
            scanned = _scan(store, prefix, ledger, policy, progress)
            return scanned, archive(client, ledger, store.bucket, directory_id=directory_id, policy=policy)
    except Busy:
        return ScanReport(), ArchiveReport()


def _report(ledger: Ledger, worker: Worker, scanned: ScanReport, archived: ArchiveReport) -> ImportReport:
    counts, tally = ledger.objects.counts(), worker.follower.tally
    failures = (*worker.refused, *worker.failed_at_departure, *tally.failures)
    return ImportReport(
        listed=scanned.listed,
        new=scanned.new,
        imported=tally.imported_count + worker.uploaded,
        failed=len(tally.failures) + len(worker.failed_at_departure),
        refused=len(worker.refused),
        duplicates=tally.duplicates,
        waiting=sum(counts.get(state, 0) for state in OPEN_STATES),
        failures=unique_by_name(failures),
        archived=archived.archived,
    )


def _scan(store: ObjectStore, prefix: str, ledger: Ledger, policy: Policy, progress: Progress) -> ScanReport:
    """As :func:`scan`; an emptied prefix is no error while earlier objects are on their way."""
    try:
        return scan(store, prefix, ledger, policy=policy, progress=progress)
    except NothingToImport:
        if not any(ledger.objects.counts().get(state) for state in OPEN_STATES):
            raise
        return ScanReport()
