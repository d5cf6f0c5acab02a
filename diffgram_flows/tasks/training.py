"""Tasks that train a brain and judge it."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from diffgram_flows.brains import (
    DetectionEvaluation,
    TrainingOptions,
    Verdict,
    judge,
    loss_curve,
    precision_recall,
    train_brain,
)
from diffgram_flows.datasets import latest_snapshot
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import BrainRef, Snapshot
from diffgram_flows.parameters import TrainOptions, TrainParameters
from diffgram_flows.reports import picture, table, watched
from diffgram_flows.tasks.workspace import Workspace, open_workspace


@task(name="train", cache_policy=NO_CACHE)
def train(parameters: TrainParameters) -> str:
    """Train a version on the newest snapshot; its ``name@version``."""
    workspace = open_workspace(parameters.target)
    snapshot = _snapshot(workspace)
    options = parameters.training
    champion = workspace.champion(options.brain) if options.from_champion else None
    with watched("Training", "training") as progress:
        record = train_brain(
            snapshot,
            name=options.brain,
            registry=workspace.registry,
            options=_training_options(options, warm=champion is not None),
            start_from=champion.ref if champion else None,
            checkpoints=workspace.workdir / "training",
            progress=progress,
        )
    workspace.ledger.history.save_training(TrainingRow(str(record.ref), snapshot.id))
    curve = loss_curve(record.manifest.history, workspace.workdir / "reports" / f"{record.ref}-loss.png")
    picture("loss", curve, f"Loss of {record.ref}")
    return str(record.ref)


@task(name="judge", cache_policy=NO_CACHE)
def judge_brain(parameters: TrainParameters, brain: str) -> Verdict:
    """Compare a version with the champion on the test images of the newest snapshot; promote it if it is better."""
    workspace = open_workspace(parameters.target)
    snapshot = _snapshot(workspace)
    record = workspace.registry.get(BrainRef.parse(brain))
    verdict = judge(record, workspace.registry, snapshot.split("test"), min_map50=parameters.training.min_map50)
    _remember(workspace, snapshot, verdict)
    _show(workspace.workdir / "reports", verdict)
    return verdict


def left_unjudged(parameters: TrainParameters) -> str | None:
    """A version that was trained on the newest snapshot and not judged, because a crash came between."""
    workspace = open_workspace(parameters.target)
    newest = workspace.ledger.history.snapshots()[-1:]
    for row in workspace.ledger.history.trainings():
        fits = BrainRef.parse(row.brain).name == parameters.training.brain
        if fits and row.promoted is None and newest and row.snapshot_id == newest[0].snapshot_id:
            return row.brain
    return None


def _snapshot(workspace: Workspace) -> Snapshot:
    snapshot = latest_snapshot(workspace.ledger, workspace.snapshots, workspace.images)
    if snapshot is None:
        raise NotEnoughData(
            "There is no snapshot to train on.", cure="Finish some tasks in Diffgram, then export the annotations."
        )
    return snapshot


def _training_options(options: TrainOptions, *, warm: bool) -> TrainingOptions:
    return TrainingOptions(
        image_size=options.image_size,
        steps=options.warm_steps if warm else options.steps,
        batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
    )


def _remember(workspace: Workspace, snapshot: Snapshot, verdict: Verdict) -> None:
    scores = verdict.candidate_evaluation.scores
    found = (scores.get("mAP"), scores.get("mAP50"))
    row = TrainingRow(str(verdict.candidate), snapshot.id, verdict.promoted, *found, verdict.reason)
    workspace.ledger.history.save_training(row)


def _show(folder: Path, verdict: Verdict) -> None:
    evaluations = {str(verdict.candidate): verdict.candidate_evaluation}
    if verdict.champion and verdict.champion_evaluation:
        evaluations[str(verdict.champion)] = verdict.champion_evaluation
    rows = [{"brain": name, **found.scores} for name, found in evaluations.items()]
    table("evaluation", rows, verdict.reason)
    classes = verdict.candidate_evaluation.per_class
    scored = [{"label": name, "value": found.value, "count": found.support} for name, found in classes.items()]
    table("classes", scored, str(verdict.candidate))
    boxes = {name: found for name, found in evaluations.items() if isinstance(found, DetectionEvaluation)}
    if boxes:
        curve = precision_recall(boxes, folder / f"{verdict.candidate}-precision-recall.png")
        picture("precision-recall", curve, "Precision and recall at IoU 0.5")
