"""Tasks that turn finished annotations into a snapshot."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from prefect import task

from diffgram_flows.datasets import (
    SnapshotOptions,
    SnapshotReport,
    export_finished,
    finished_files,
    load_snapshot,
    make_snapshot,
)
from diffgram_flows.errors import DatasetError
from diffgram_flows.importing import refresh_tasks
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Snapshot
from diffgram_flows.parameters import ExportParameters, Target
from diffgram_flows.reports import failures, picture, quality_report, sheet, table, watched
from diffgram_flows.tasks.retrying import RETRYING
from diffgram_flows.tasks.workspace import Workspace, open_bucket_if_any, open_workspace

_SHOWN = 12


@dataclass(frozen=True)
class WorkState:
    """How far people have come.

    Attributes:
        finished: Files of which every task is complete, or whose annotations were imported as the truth.
        open: Files that somebody still has to finish.
        exported: Finished files that the newest snapshot has looked at.
    """

    finished: int
    open: int
    exported: int


@task(name="look at the tasks", **RETRYING)
def refresh_work(target: Target, job_id: int | None = None) -> WorkState:
    """Ask the server for the state of every task and write it into the ledger."""
    workspace = open_workspace(target)
    refresh_tasks(workspace.client, workspace.ledger, job_id=job_id)
    return work_state(workspace.ledger)


def work_state(ledger: Ledger) -> WorkState:
    """How far people have come, as last seen."""
    finished = finished_files(ledger)
    snapshots = ledger.history.snapshots()
    return WorkState(
        len(finished), len(ledger.work.tasked_files() - finished), snapshots[-1].finished if snapshots else 0
    )


@task(name="make a snapshot", **RETRYING)
def export_snapshot(parameters: ExportParameters) -> SnapshotReport:
    """Export what people finished, check that it is complete, and keep it as a snapshot."""
    workspace = open_workspace(parameters.target)
    options = parameters.exporting
    with ExitStack() as stack:
        with watched("Exporting", "exporting") as progress:
            export = stack.enter_context(
                export_finished(
                    workspace.client,
                    workspace.ledger,
                    directory_id=workspace.directory_id,
                    folder=workspace.workdir,
                    schema_id=workspace.schema_id,
                    timeout=60 * options.timeout_minutes,
                    progress=progress,
                )
            )
        store = stack.enter_context(open_bucket_if_any(parameters.bucket))
        progress = stack.enter_context(watched("Making the snapshot", "snapshotting"))
        snapshot, report = make_snapshot(
            export,
            workspace.ledger,
            workspace.images,
            store,
            workspace.client,
            folder=workspace.snapshots,
            shared=workspace.shared_snapshots,
            options=SnapshotOptions(
                options.validation_share,
                options.test_share,
                options.group_pattern or None,
                options.near_duplicates,
                options.near_duplicate_distance,
            ),
            progress=progress,
        )
    _show(workspace, snapshot, report)
    return report


def _show(workspace: Workspace, snapshot: Snapshot, report: SnapshotReport) -> None:
    rows = [{"label": name, "annotations": count} for name, count in report.per_label.items()]
    whose = (
        f"{report.human} by people, {report.confirmed} confirmed by people; left out are {report.excluded} of machines "
        f"that nobody confirmed and {report.open} on files that are not finished"
    )
    table("snapshot", rows, f"Snapshot {snapshot.id}: {report.images} images; {whose}")
    failures("snapshot-failures", report.failures)
    shown = [(sample.path, sample.boxes) for sample in snapshot.samples[-_SHOWN:]]
    drawn = sheet(shown, snapshot.label_map, workspace.workdir / "reports" / f"snapshot-{snapshot.id}.jpg")
    picture("snapshot-samples", drawn, "What people drew, newest images")
    quality_report(snapshot, _previous(workspace, snapshot), report, workspace.workdir)


def _previous(workspace: Workspace, snapshot: Snapshot) -> Snapshot | None:
    """The snapshot before this one, if there is one that can be read."""
    ids = [row.snapshot_id for row in workspace.ledger.history.snapshots() if row.snapshot_id != snapshot.id]
    try:
        return load_snapshot(workspace.snapshots / ids[-1], workspace.images, check_images=False) if ids else None
    except DatasetError:
        return None  # of an older format, or removed: the report does without it
