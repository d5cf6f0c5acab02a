"""Tasks that send predictions to Diffgram as pre-labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from prefect import task

from diffgram_flows.brains import BrainRecord, read_predictions
from diffgram_flows.feedback import FileToLabel, PushReport, follow_pushes, push, reconcile_pushes
from diffgram_flows.models import Failure
from diffgram_flows.parameters import UpdateParameters
from diffgram_flows.reports import failures, table, watched
from diffgram_flows.tasks.predicting import require_champion, told_files
from diffgram_flows.tasks.retrying import RETRYING
from diffgram_flows.tasks.workspace import Workspace, open_workspace


@dataclass(frozen=True)
class UpdateSummary:
    """What people now have to start from, over all runs of this brain version.

    Attributes:
        confirmed: Files that carry its boxes.
        empty: Files in which it saw nothing.
        skipped: Files that a person was already at work on.
        waiting: Files whose boxes are still in the server's queue.
    """

    brain: str
    confirmed: int
    empty: int
    skipped: int
    waiting: int
    failures: tuple[Failure, ...]


def unsent_predictions(workspace: Workspace, record: BrainRecord) -> list[FileToLabel]:
    """What the brain version saw and the server does not show: it was not told yet, or shows what a later brain saw.

    The latter is so after a roll-back.
    """
    told = told_files(workspace, record)
    ids = {row.file_name: file_id for file_id, row in workspace.ledger.objects.by_file_id().items()}
    unsent = [
        FileToLabel(ids[seen.key], seen.key, seen.seen)
        for seen in read_predictions(workspace.predictions(record.ref))
        if not seen.error and seen.key not in told and seen.key in ids
    ]
    replaced = workspace.ledger.pushes.replaced(str(record.ref))
    return unsent + [
        FileToLabel(ids[row.file_name], row.file_name, row.seen) for row in replaced if row.file_name in ids
    ]


@task(name="send pre-labels", **RETRYING)
def push_predictions(parameters: UpdateParameters) -> PushReport:
    """Send what was not sent yet, once for each file and brain version; settle first what a crash left open."""
    workspace = open_workspace(parameters.target)
    record = require_champion(workspace, parameters.brain)
    reconcile_pushes(workspace.client, workspace.ledger)
    with watched("Sending pre-labels", "sending") as progress:
        return push(
            workspace.client,
            workspace.ledger,
            unsent_predictions(workspace, record),
            brain=record.ref,
            directory_id=workspace.directory_id,
            progress=progress,
        )


@task(name="follow pre-labels", **RETRYING)
def follow_predictions(parameters: UpdateParameters) -> UpdateSummary:
    """Wait until the server has stored the boxes, and count."""
    workspace = open_workspace(parameters.target)
    record = require_champion(workspace, parameters.brain)
    follow_pushes(workspace.client, workspace.ledger, brain=record.ref, timeout=60 * parameters.timeout_minutes)
    rows = workspace.ledger.pushes.rows(brain=str(record.ref))
    states = [row.state for row in rows]
    lost = tuple(Failure(row.file_name, row.reason) for row in rows if row.state == "failed")
    counts = {name: states.count(name) for name in ("confirmed", "empty", "skipped")}
    waiting = states.count("sent") + states.count("intended")
    summary = UpdateSummary(str(record.ref), waiting=waiting, failures=lost, **counts)
    table("pre-labels", [{name: value for name, value in asdict(summary).items() if name != "failures"}], "Pre-labels")
    failures("pre-label-failures", lost)
    return summary
