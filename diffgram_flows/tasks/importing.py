"""Tasks that bring objects of a bucket into Diffgram."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import timedelta

from prefect import task

from diffgram_flows.importing import AssignReport, FollowReport, ScanReport, assign, follow, reconcile, scan, send_chunk
from diffgram_flows.ledger.objects import OPEN_STATES
from diffgram_flows.models import Failure
from diffgram_flows.parameters import Bucket, ImportParameters, Target
from diffgram_flows.reports import failures, table, watched
from diffgram_flows.tasks.prelabelling import champion_prelabeller
from diffgram_flows.tasks.retrying import RETRYING
from diffgram_flows.tasks.workspace import open_bucket, open_workspace

MAX_CHUNKS = 900
"""Task runs in one flow run; beyond about 1,000 a Prefect server on SQLite falls behind. The next run goes on."""
_PASSES = 3  # a URL that died in the queue is signed anew and sent once more in the same run


@dataclass(frozen=True)
class ImportSummary:
    """What the bucket holds and what became of it, over all runs so far.

    Attributes:
        listed: Objects that the listing showed now.
        new: Those that the ledger did not know before.
        imported, failed, refused, waiting: Objects of this dataset in the ledger by state.
        failures: What was given up, and why.
    """

    listed: int
    new: int
    imported: int
    failed: int
    refused: int
    waiting: int
    failures: tuple[Failure, ...]


@task(name="check access", **RETRYING)
def check_access(target: Target, bucket: Bucket) -> None:
    """Make sure, before anything is created, that the bucket can be listed and the project be used."""
    with open_bucket(bucket) as (store, _):
        store.check()
    open_workspace(target, create=True)


@task(name="list the bucket", **RETRYING)
def scan_bucket(parameters: ImportParameters) -> ScanReport:
    """Write every object that the ledger does not know into it."""
    ledger = open_workspace(parameters.target).ledger
    with open_bucket(parameters.bucket) as (store, prefix), watched("Listing", "listing") as progress:
        return scan(store, prefix, ledger, progress=progress)


def chunks_to_do(parameters: ImportParameters) -> Iterator[tuple[int, int]]:
    """Ranges of the ledger that wait to be sent; what has to be sent again comes in a later pass."""
    workspace = open_workspace(parameters.target)
    reconcile(workspace.client, workspace.ledger, directory_id=workspace.directory_id)
    yield from [(0, 0)] if workspace.ledger.objects.rows("sent") else []
    for _ in range(_PASSES):
        chunks = workspace.ledger.objects.ranges(parameters.importing.chunk_size, "new")
        if not chunks:
            return
        yield from chunks[:MAX_CHUNKS]


@task(name="import a chunk", task_run_name="import {chunk}", **RETRYING)
def import_chunk(parameters: ImportParameters, chunk: tuple[int, int]) -> FollowReport:
    """Send one range of the ledger and follow everything that is under way to its end."""
    workspace = open_workspace(parameters.target)
    options = parameters.importing
    with open_bucket(parameters.bucket) as (store, _), watched("Importing", "importing") as progress:
        send_chunk(
            workspace.client,
            store,
            workspace.ledger,
            chunk,
            directory_id=workspace.directory_id,
            prelabel=champion_prelabeller(workspace, store, parameters.brain) if options.prelabel else None,
            inspect_headers=options.inspect_headers,
            lease_for=timedelta(hours=options.lease_hours),
        )
        return follow(
            workspace.client,
            workspace.ledger,
            directory_id=workspace.directory_id,
            timeout=60 * options.timeout_minutes,
            stuck_after=60 * options.stuck_minutes,
            progress=progress,
        )


@task(name="open tasks", **RETRYING)
def open_tasks(parameters: ImportParameters) -> AssignReport:
    """Give every imported file that nobody works on yet to people."""
    workspace = open_workspace(parameters.target)
    return assign(
        workspace.client,
        workspace.ledger,
        directory_id=workspace.directory_id,
        job_name=parameters.annotation.job_name,
        schema_id=workspace.schema_id,
        job_id=parameters.annotation.job_id,
        timeout=parameters.annotation.task_timeout_seconds,
    )


def summarise(parameters: ImportParameters, scanned: ScanReport) -> ImportSummary:
    """Count what the ledger holds now, and show it."""
    objects = open_workspace(parameters.target).ledger.objects
    counts = objects.counts()
    given_up = tuple(objects.failures())
    summary = ImportSummary(
        listed=scanned.listed,
        new=scanned.new,
        imported=counts.get("imported", 0),
        failed=counts.get("failed", 0),
        refused=counts.get("refused", 0),
        waiting=sum(counts.get(state, 0) for state in OPEN_STATES),
        failures=given_up,
    )
    shown = {name: value for name, value in asdict(summary).items() if name != "failures"}
    table("import", [{**shown, **{f"skipped: {reason}": count for reason, count in scanned.skipped.items()}}], "Import")
    failures("import-failures", given_up)
    return summary
