"""From what people finished to a brain that was judged: the steps of the flows, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffgram_flows.brains import (
    BrainRecord,
    Gate,
    Registry,
    check_judging,
    judge,
    options_for,
    settle,
    starting_from,
    train_brain,
)
from diffgram_flows.brains.promoting import reconcile_promotions
from diffgram_flows.datasets import ImageCache, SnapshotOptions, export_finished, make_snapshot
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.importing import refresh_jobs
from diffgram_flows.ledger import Ledger, open_ledger
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import Snapshot
from diffgram_flows.project.training_status import State, TrainingStatus
from diffgram_flows.tasks.places import Places

_WORKED_ON = frozenset({"active", "complete"})
Tell = Callable[[TrainingStatus], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be trained, and on what.

    Attributes:
        url, project, client_id, client_secret: The server; the secret is in no text of this.
        workdir: Where everything lies.
        name, method: The brain and how it learns.
        directory_id: The dataset whose finished files are learned from.
        job_id: The job whose tasks say what is finished; ``None`` asks all jobs of the project.
        schema_id: Whose labels count; ``None`` takes all.
        from_champion: Whether it starts from the champion's weights.
        options: Fields of :class:`~diffgram_flows.brains.TrainingOptions`.
        gate: Fields of :class:`~diffgram_flows.brains.Gate`.
        validation_share, test_share: Which parts of the images choose the threshold, and judge.
        store_uri: Where brains and snapshots are kept instead of in the work folder; empty for that.
    """

    url: str
    project: str
    client_id: str
    client_secret: str = field(repr=False)
    workdir: str
    name: str
    method: str
    directory_id: int
    job_id: int | None = None
    schema_id: int | None = None
    from_champion: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    gate: Mapping[str, Any] = field(default_factory=dict)
    validation_share: float = 0.1
    test_share: float = 0.2
    store_uri: str = ""

    @property
    def places(self) -> Places:
        """Where brains and snapshots are kept."""
        return Places(Path(self.workdir), self.store_uri)


def train_and_judge(order: Order, tell: Tell) -> TrainingStatus:
    """Export, make a snapshot, train, judge, promote what is better.

    Args:
        order: What is to be done.
        tell: Told how far it is.

    Returns:
        The last status, which is ``ready``.

    Raises:
        DiffgramFlowsError: Why there is no new brain.
    """
    workdir, places = Path(order.workdir), order.places
    # The same target as that of the flows, so that both share label map, snapshots and quotas.
    target = f"{order.url}/{order.project}/{order.directory_id}"
    with closing(places), closing(open_ledger(str(workdir / "ledger.db"), target)) as ledger:
        keys = (order.url, order.project, order.client_id, order.client_secret)
        with DiffgramClient(*keys, pacer=ledger.pacer(order.url)) as client:
            snapshot = _snapshot(order, places, client, ledger, tell)
        registry = places.registry
        reconcile_promotions(registry, ledger, [order.name])
        record = _train(order, snapshot, registry, workdir / "training", tell)
        ledger.history.save_training(TrainingRow(str(record.ref), snapshot.id))
        tell(TrainingStatus("evaluating", brain=str(record.ref)))
        gate, reports = Gate(**order.gate), workdir / "reports"
        found = judge(record, registry, snapshot.split("test"), promote=False, gate=gate, reports=reports)
        verdict = settle(found, registry, ledger, snapshot.id)
    map50 = verdict.candidate_evaluation.scores.get("mAP50")
    return TrainingStatus("ready", 100, str(record.ref), verdict.promoted, map50, verdict.reason)


def _snapshot(order: Order, places: Places, client: DiffgramClient, ledger: Ledger, tell: Tell) -> Snapshot:
    """What people finished, as a snapshot that can be trained on and judged by."""
    workdir = places.workdir
    tell(TrainingStatus("exporting"))
    job_ids = [order.job_id] if order.job_id is not None else _jobs(client)
    refresh_jobs(client, ledger, job_ids)
    with export_finished(
        client,
        ledger,
        directory_id=order.directory_id,
        folder=workdir,
        schema_id=order.schema_id,
        progress=_telling(tell, "exporting", 0, 50),
    ) as export:
        snapshot, _ = make_snapshot(
            export,
            ledger,
            ImageCache(workdir / "images"),
            None,
            client,
            folder=workdir / "snapshots",
            shared=places.shared_snapshots,
            options=SnapshotOptions(order.validation_share, order.test_share),
            progress=_telling(tell, "exporting", 50, 100),
        )
    check_judging(snapshot, order.name, order.method)
    return snapshot


def _jobs(client: DiffgramClient) -> list[int]:
    return [job.id for job in client.jobs() if job.status in _WORKED_ON]


def _train(order: Order, snapshot: Snapshot, registry: Registry, checkpoints: Path, tell: Tell) -> BrainRecord:
    tell(TrainingStatus("training"))
    parent = starting_from(registry.champion(order.name) if order.from_champion else None, order.method)
    told = _telling(tell, "training", 0, 100)

    def progress(done: int, total: int, note: str = "") -> None:
        told(done, total, note)
        if done == total:  # train_brain goes on with a look at the images that it did not learn from
            tell(TrainingStatus("evaluating"))

    return train_brain(
        snapshot,
        name=order.name,
        registry=registry,
        options=options_for(order.method, **order.options),
        method=order.method,
        start_from=parent.ref if parent else None,
        checkpoints=checkpoints,
        progress=progress,
    )


def _telling(tell: Tell, state: State, first: int, last: int) -> Callable[..., None]:
    """A progress that fills one part of a state's hundred percent."""

    def progress(done: int, total: int, note: str = "") -> None:
        tell(TrainingStatus(state, first + (last - first) * done // max(1, total)))

    return progress
