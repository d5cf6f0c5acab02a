"""Tasks that train a brain and judge it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from prefect import task
from prefect.cache_policies import NO_CACHE

from diffgram_flows.brains import (
    Gate,
    TrainingOptions,
    Verdict,
    WindowScore,
    check_judging,
    judge,
    loss_curve,
    options_for,
    settle,
    starting_from,
    train_brain,
)
from diffgram_flows.brains.mirroring import mirror
from diffgram_flows.brains.promoting import reconcile_promotions
from diffgram_flows.datasets import ImageSource, latest_snapshot
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import BrainRef, Snapshot
from diffgram_flows.parameters import TrainOptions, TrainParameters
from diffgram_flows.reports import picture, table, watched
from diffgram_flows.tasks.workspace import Workspace, open_bucket_if_any, open_workspace


@task(name="train", cache_policy=NO_CACHE)
def train(parameters: TrainParameters) -> str:
    """Train a version on the newest snapshot; its ``name@version``."""
    workspace = open_workspace(parameters.target)
    snapshot = _snapshot(workspace, parameters)
    options = parameters.training
    check_judging(snapshot, options.brain, options.method)
    champion = workspace.champion(options.brain) if options.from_champion else None
    parent = starting_from(champion, options.method)
    with watched("Training", "training") as progress:
        record = train_brain(
            snapshot,
            name=options.brain,
            registry=workspace.registry,
            options=_training_options(options, warm=parent is not None),
            method=options.method,
            start_from=parent.ref if parent else None,
            checkpoints=workspace.workdir / "training",
            progress=progress,
        )
    workspace.ledger.history.save_training(TrainingRow(str(record.ref), snapshot.id))
    mirror(record.ref, record.manifest)
    curve = loss_curve(record.manifest.history, workspace.workdir / "reports" / f"{record.ref}-loss.png")
    picture("loss", curve, f"Loss of {record.ref}")
    return str(record.ref)


@task(name="judge", cache_policy=NO_CACHE)
def judge_brain(parameters: TrainParameters, brain: str) -> Verdict:
    """Compare a version with the champion on the test images of the newest snapshot; promote it if it is better."""
    workspace = open_workspace(parameters.target)
    snapshot = _snapshot(workspace, parameters)
    record = workspace.registry.get(BrainRef.parse(brain))
    reports = workspace.workdir / "reports"
    gate = _gate(parameters.training)
    found = judge(record, workspace.registry, snapshot.split("test"), promote=False, gate=gate, reports=reports)
    verdict = settle(found, workspace.registry, workspace.ledger, snapshot.id)
    mirror(record.ref, record.manifest, champion=verdict.promoted)
    _show(verdict)
    return verdict


def left_unjudged(parameters: TrainParameters) -> str | None:
    """A version that was trained on the newest snapshot and not judged, because a crash came between.

    A promotion that a crash left open is settled first.
    """
    workspace = open_workspace(parameters.target)
    reconcile_promotions(workspace.registry, workspace.ledger, [parameters.training.brain])
    newest = workspace.ledger.history.snapshots()[-1:]
    for row in workspace.ledger.history.trainings():
        fits = BrainRef.parse(row.brain).name == parameters.training.brain
        if fits and row.promoted is None and newest and row.snapshot_id == newest[0].snapshot_id:
            return row.brain
    return None


def _snapshot(workspace: Workspace, parameters: TrainParameters) -> Snapshot:
    with open_bucket_if_any(parameters.bucket) as store:
        source = ImageSource(workspace.images, workspace.client, workspace.ledger.objects.by_file_id(), store)
        snapshot = latest_snapshot(
            workspace.ledger,
            workspace.snapshots,
            workspace.images,
            shared=workspace.shared_snapshots,
            source=source,
        )
    if snapshot is None:
        raise NotEnoughData(
            "There is no snapshot to train on.", cure="Finish some tasks in Diffgram, then export the annotations."
        )
    return snapshot


def _training_options(options: TrainOptions, *, warm: bool) -> TrainingOptions:
    same = {"image_size", "batch_size", "learning_rate", "balance", "patience", "seed", "deterministic"}
    same |= {"backbone", "backbone_weights", "frozen"}
    chosen = options.model_dump(include=same, exclude_none=True)
    return options_for(options.method, **chosen, steps=options.warm_steps if warm else options.steps)


def _gate(options: TrainOptions) -> Gate:
    return Gate(options.min_score, options.min_class_score, options.min_class_count, options.confidence)


def _show(verdict: Verdict) -> None:
    evaluations = {str(verdict.candidate): verdict.candidate_evaluation}
    if verdict.champion and verdict.champion_evaluation:
        evaluations[str(verdict.champion)] = verdict.champion_evaluation
    rows = [{"brain": name, **found.scores} for name, found in evaluations.items()]
    page = f"The whole report: `{verdict.report.page}`" if verdict.report else ""
    table("evaluation", rows, "\n\n".join([*verdict.reasons, *verdict.remarks, page]))
    mine = verdict.candidate_evaluation
    metric, classes = mine.metric, mine.per_class.items()
    scored = [{"label": mine.name_of(key), metric: one.value, "to find": one.support} for key, one in classes]
    table("classes", scored, str(verdict.candidate))
    table("windows", [_window(evaluations, window) for window in verdict.windows], f"{metric} on the newest images")
    for plate in verdict.report.pictures if verdict.report else ():
        picture(plate.key, plate.path, plate.caption)


def _window(brains: Iterable[str], window: WindowScore) -> dict[str, object]:
    # Artifacts are JSON, which knows no NaN.
    scores = [score if math.isfinite(score) else "nothing to find" for score in window.scores]
    counts = {"last days": window.days, "images": window.images, "annotations": window.annotations}
    return counts | dict(zip(brains, scores, strict=True))
