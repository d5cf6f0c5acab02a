"""Tasks that bring objects of a bucket into Diffgram."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta

from prefect import task

from diffgram_flows.errors import Busy
from diffgram_flows.importing import (
    LISTING,
    AssignReport,
    ImportPlan,
    PlanOptions,
    Policy,
    ScanReport,
    Worker,
    WorkOptions,
    apply_plan,
    archive,
    assign,
    make_plan,
    take_stock,
)
from diffgram_flows.ledger.locks import Locks
from diffgram_flows.ledger.objects import OPEN_STATES
from diffgram_flows.models import Failure
from diffgram_flows.parameters import Bucket, ImportOptions, ImportParameters, Target
from diffgram_flows.reports import failures, table, watched
from diffgram_flows.tasks.prelabelling import champion_prelabeller
from diffgram_flows.tasks.retrying import RETRYING
from diffgram_flows.tasks.workspace import open_bucket, open_workspace

MAX_CHUNKS = 900
"""Task runs in one flow run; beyond about 1,000 a Prefect server on SQLite falls behind. The next run goes on."""
_PATIENCE = 120.0  # seconds that one worker waits while another opens tasks
__all__ = ["ImportPlan", "ImportSummary"]


@dataclass(frozen=True)
class Taken:
    """What was found in the bucket before the import, and how many files left the dataset because of it."""

    scanned: ScanReport
    archived: int = 0


@dataclass(frozen=True)
class ImportSummary:
    """What the bucket holds and what became of it, over all runs so far.

    Attributes:
        listed: Objects that the listing showed now.
        new: Those that the ledger did not know before.
        imported, failed, refused, waiting: Objects of this dataset in the ledger by state.
        failures: What was given up, and why.
        archived: Files that left the dataset now, because their objects have changed or gone.
    """

    listed: int
    new: int
    imported: int
    failed: int
    refused: int
    waiting: int
    failures: tuple[Failure, ...]
    archived: int = 0


@task(name="check access", **RETRYING)
def check_access(target: Target, bucket: Bucket) -> None:
    """Make sure, before anything is created, that the bucket can be listed and the project be used."""
    with open_bucket(bucket) as (store, _):
        store.check()
    open_workspace(target, create=True)


@task(name="plan the import", **RETRYING)
def plan_bucket(parameters: ImportParameters) -> ImportPlan:
    """Compare the bucket with the ledger, and keep the differences as a plan."""
    options = parameters.importing
    kept = parameters.model_dump(mode="json", exclude={"target", "dry_run", "plan_id"})
    with open_bucket(parameters.bucket) as (store, prefix), watched("Listing", "listing") as progress:
        plan = make_plan(
            store,
            prefix,
            open_workspace(parameters.target).ledger,
            parameters=kept,
            policy=_policy(options),
            options=PlanOptions(
                parameters.target.packets_per_second,
                options.drain_rate,
                options.inspect_headers,
                options.price_per_1000_lists,
            ),
            progress=progress,
        )
    table("import-plan", [{"what": name, "how much": text} for name, text in plan.rows()], f"Plan for {plan.place}")
    failures("import-plan-blocked", plan.examples)
    return plan


@task(name="list the bucket", **RETRYING)
def scan_bucket(parameters: ImportParameters) -> Taken:
    """Write into the ledger how the bucket differs from it, or what a plan says; archive what the policy says."""
    workspace, policy = open_workspace(parameters.target), _policy(parameters.importing)
    with open_bucket(parameters.bucket) as (store, prefix), watched("Listing", "listing") as progress:
        client, ledger, directory_id = workspace.client, workspace.ledger, workspace.directory_id
        if not parameters.plan_id:
            found = take_stock(
                client, store, prefix, ledger, directory_id=directory_id, policy=policy, progress=progress
            )
            return Taken(found[0], found[1].archived)
        with ledger.locks.hold(LISTING):
            scanned = apply_plan(ledger, parameters.plan_id)
            done = archive(client, ledger, store.bucket, directory_id=directory_id, policy=policy)
            return Taken(scanned, done.archived)


@contextmanager
def worker_of(parameters: ImportParameters) -> Iterator[Worker]:
    """A worker for the bucket, which stays the same from one chunk to the next; others may be at work beside it."""
    workspace, options = open_workspace(parameters.target), parameters.importing
    with open_bucket(parameters.bucket) as (store, _), watched("Importing", "importing") as progress:
        prelabel = champion_prelabeller(workspace, store, parameters.brain) if options.prelabel else None
        worker = Worker(
            workspace.client,
            store,
            workspace.ledger,
            directory_id=workspace.directory_id,
            options=_work_options(options),
            prelabel=prelabel,
            progress=progress,
        )
        with worker:
            worker.expect(workspace.ledger.objects.counts().get("new", 0))
            yield worker


def chunks_to_do(worker: Worker, parameters: ImportParameters) -> Iterator[int]:
    """Numbers of task runs, until nothing is left to do, or the server gets nothing done any more."""
    moved_at, before = time.monotonic(), (0, 0)
    for number in range(1, MAX_CHUNKS + 1):
        yield number
        now = (worker.sent, worker.settled)
        if now != before:
            moved_at, before = time.monotonic(), now
        if not worker.more or time.monotonic() - moved_at > 60 * parameters.importing.timeout_minutes:
            return


@task(name="import a chunk", task_run_name="import chunk {number}", **RETRYING)
def import_chunk(worker: Worker, parameters: ImportParameters, number: int) -> None:
    """Send one chunk, and follow what is under way meanwhile; at the end, follow only."""
    worker.step(60 * parameters.importing.timeout_minutes)


@task(name="open tasks", **RETRYING)
def open_tasks(parameters: ImportParameters) -> AssignReport:
    """Give every imported file that nobody works on yet to people; one worker at a time."""
    workspace = open_workspace(parameters.target)
    with _alone(workspace.ledger.locks, "assign"):
        return assign(
            workspace.client,
            workspace.ledger,
            directory_id=workspace.directory_id,
            job_name=parameters.annotation.job_name,
            schema_id=workspace.schema_id,
            job_id=parameters.annotation.job_id,
            timeout=parameters.annotation.task_timeout_seconds,
        )


def summarise(parameters: ImportParameters, taken: Taken) -> ImportSummary:
    """Count what the ledger holds now, and show it."""
    scanned = taken.scanned
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
        archived=taken.archived,
    )
    shown = {name: value for name, value in asdict(summary).items() if name != "failures"}
    table("import", [{**shown, **{f"skipped: {reason}": count for reason, count in scanned.skipped.items()}}], "Import")
    failures("import-failures", given_up)
    return summary


@contextmanager
def _alone(locks: Locks, name: str) -> Iterator[None]:
    """Hold a lock, and wait for it if another worker has it.

    Raises:
        Busy: It takes longer than two minutes.
    """
    ends_at = time.monotonic() + _PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locks.hold(name))
                break
            except Busy:
                if time.monotonic() > ends_at:
                    raise
                time.sleep(0.5)
        yield


def _policy(options: ImportOptions) -> Policy:
    return Policy(options.changed, options.old_file, options.deleted, options.archive_human_work)


def _work_options(options: ImportOptions) -> WorkOptions:
    return WorkOptions(
        chunk_size=options.chunk_size,
        window=options.window,
        drain_rate=options.drain_rate,
        stuck_after=60 * options.stuck_minutes,
        lease_for=timedelta(hours=options.lease_hours),
        inspect_headers=options.inspect_headers,
        route=options.route,
        connection_id=options.connection_id,
    )
