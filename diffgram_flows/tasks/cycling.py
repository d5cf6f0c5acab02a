"""What is due, and what is being waited for."""

from __future__ import annotations

from dataclasses import dataclass

from diffgram_flows.parameters import CycleParameters, ExportOptions, TrainOptions
from diffgram_flows.reports import table
from diffgram_flows.tasks.exporting import WorkState, work_state
from diffgram_flows.tasks.predicting import unseen_files
from diffgram_flows.tasks.updating import unsent_predictions
from diffgram_flows.tasks.workspace import open_workspace


@dataclass(frozen=True)
class CycleSummary:
    """One turn of the cycle.

    Attributes:
        did: The steps that were due, in order.
        waiting_for: What has to happen before more is due.
        champion: The brain in use, empty before the first promotion.
    """

    did: tuple[str, ...]
    waiting_for: tuple[str, ...]
    champion: str = ""


def export_is_due(work: WorkState, options: ExportOptions) -> bool:
    """Enough files were finished, or some were and nothing is left to wait for."""
    new = work.finished - work.exported
    return new >= options.min_new_files or (new > 0 and work.open == 0)


def training_is_due(parameters: CycleParameters) -> bool:
    """The newest snapshot was not learned from yet and has grown enough, or there is no champion."""
    history = open_workspace(parameters.target).ledger.history
    snapshots = {row.snapshot_id: row for row in history.snapshots()}
    learned = [row.snapshot_id for row in history.trainings() if row.promoted is not None]
    newest = next(reversed(snapshots.values()), None)
    if newest is None or newest.snapshot_id in learned:
        return False
    return _grown(newest.images, [snapshots[seen].images for seen in learned if seen in snapshots], parameters.training)


def _grown(images: int, learned: list[int], options: TrainOptions) -> bool:
    return not learned or images - learned[-1] >= options.min_new_images


def prediction_is_due(parameters: CycleParameters) -> bool:
    """The champion has not looked at some file that people still have to annotate."""
    workspace = open_workspace(parameters.target)
    record = workspace.champion(parameters.training.brain)
    return record is not None and bool(unseen_files(workspace, record))


def update_is_due(parameters: CycleParameters) -> bool:
    """Predictions wait to be sent, or their fate is not known."""
    workspace = open_workspace(parameters.target)
    record = workspace.champion(parameters.training.brain)
    if record is None:
        return False
    under_way = workspace.ledger.pushes.rows("intended", "sent", brain=str(record.ref))
    return bool(under_way or unsent_predictions(workspace, record))


def summarise(parameters: CycleParameters, did: list[str]) -> CycleSummary:
    """Say what was done and what the next run waits for, and show it."""
    workspace = open_workspace(parameters.target)
    record = workspace.champion(parameters.training.brain)
    waiting = _waiting_for(work_state(workspace.ledger), parameters)
    summary = CycleSummary(tuple(did), tuple(waiting), str(record.ref) if record else "")
    rows = [{"": "did", "what": step} for step in did] + [{"": "waits for", "what": reason} for reason in waiting]
    table("cycle", rows, f"Champion: {summary.champion or 'none yet'}")
    return summary


def _waiting_for(work: WorkState, parameters: CycleParameters) -> list[str]:
    waiting = []
    if work.open:
        waiting.append(f"people: {work.open} files have an open task, {work.finished} are finished")
    missing = parameters.exporting.min_new_files - (work.finished - work.exported)
    if work.open and missing > 0:
        waiting.append(f"{missing} more finished files before the next export")
    if not work.open:
        waiting.append(f"new objects in {parameters.bucket.uri}")
    return waiting
