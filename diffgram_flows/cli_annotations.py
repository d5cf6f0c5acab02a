"""Annotations of other tools: a snapshot written in their formats, and ``import-annotations`` for what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from diffgram_flows import parameters
from diffgram_flows.cli import Storage, Target, bucket_of
from diffgram_flows.cli_output import DONE, keep_failures, show
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import BrainRef, Failure

if TYPE_CHECKING:
    from diffgram_flows.datasets.formats import ForeignAnnotations, WriteOptions
    from diffgram_flows.datasets.known_annotations import KnownPlan
    from diffgram_flows.tasks.workspace import Workspace

KnownFormat: TypeAlias = Literal["coco", "jsonl", "label-studio", "voc", "yolo", "yolo-seg"]
GROUND_TRUTH, PRE_LABELS = "ground-truth", "pre-labels"
__all__ = ["Storage", "Target", "import_annotations", "write_snapshot"]


def write_snapshot(target: parameters.Target, name: str, out: Path | None, snapshot: str, options: WriteOptions) -> int:
    """Write the newest snapshot of the dataset, or the one whose id begins so, in a format.

    Raises:
        ConfigurationError: There is no such format, no snapshot yet, or the folder is not empty.
        DatasetError: There is no such snapshot, or it was altered.
    """
    from diffgram_flows.datasets import ImageSource, find_format, latest_snapshot, load_snapshot
    from diffgram_flows.datasets.catalogue import LATEST, find_snapshot
    from diffgram_flows.datasets.converting import check_new, write_format
    from diffgram_flows.tasks.workspace import open_workspace

    find_format(name)
    if out is None:
        raise ConfigurationError("It is not said where to write.", cure="Name a new folder: --out DIR.")
    check_new(out)
    workspace = open_workspace(target)
    embedded = name == "tfrecord" or (options.images or find_format(name).images) != "none"
    objects = workspace.ledger.objects.by_file_id() if embedded else {}
    source = ImageSource(workspace.images, workspace.client, objects) if embedded else None
    where: Any = {"shared": workspace.shared_snapshots, "source": source, "check_images": embedded}
    if snapshot in ("", LATEST):
        found = latest_snapshot(workspace.ledger, workspace.snapshots, workspace.images, **where)
    else:
        place = find_snapshot(snapshot, workspace.snapshots, workspace.shared_snapshots)
        found = load_snapshot(place, workspace.images, **where)
    if found is None:
        raise ConfigurationError("There is no snapshot yet.", cure="Make one: diffgram-flows export.")
    report = write_format(name, found.samples, found.label_map, out, options)
    facts = {"snapshot": found.id, "images": report.images, **_plural(report.written)}
    show(f"{name} in {out}", {**facts, **report.changed, **_left_out(report.left_out)})
    return DONE


def import_annotations(
    path: Path,
    *,
    format_: Annotated[KnownFormat, Parameter(name="--format")],
    as_: Annotated[Literal["pre-labels", "ground-truth"], Parameter(name="--as")] = "pre-labels",
    version: int = 1,
    create_labels: bool = False,
    dry_run: bool = False,
    bucket: str = "",
    timeout_minutes: float = 60.0,
    target: Target = parameters.Target(),
    storage: Storage = parameters.StorageOptions(),
) -> int:
    """Bring annotations that exist already onto their images, exactly once.

    Images are found by URI, by the name of their file in Diffgram, or by how their path ends. Boxes, polygons,
    lines, points and tags are sent. A file that a person has begun to work on is left alone.

    Parameters
    ----------
    path
        The file or folder: the JSON of COCO or Label Studio, the folder with data.yaml, "Annotations" or samples.jsonl.
    format_
        What it is.
    as_
        Pre-labels wait for people, as a brain's do. Ground truth is finished work: it may be trained on as it is.
    version
        Another one replaces what an earlier one has sent and nobody has touched.
    create_labels
        Make the labels that the schema lacks.
    dry_run
        Only show what would be sent.
    bucket
        Import this bucket's new objects first; what is known of them travels along.
    timeout_minutes
        How long to wait for the server.
    """
    from diffgram_flows.datasets import find_format
    from diffgram_flows.datasets.known_annotations import LIVING, label_ids, plan_known, used_labels
    from diffgram_flows.tasks.workspace import open_workspace

    if version < 1:
        raise ConfigurationError(f"{version} is no version.", cure="Count from 1.")
    brain = BrainRef(GROUND_TRUTH if as_ == GROUND_TRUTH else f"{format_}-import", version)
    found = find_format(format_).read(path)
    workspace = open_workspace(target, create=bool(bucket) and not dry_run)
    if create_labels and not dry_run:
        workspace.client.ensure_labels(workspace.schema_id, _missing(workspace, used_labels(found)))
    elif create_labels:
        show("Labels that would be made", dict.fromkeys(_missing(workspace, used_labels(found)), ""))
    if dry_run and create_labels:
        labels = {label: label for label in found.labels}  # nothing is sent, so nothing has to exist
    else:
        labels = label_ids(found, _schema(workspace))
    failures: list[Failure] = []
    if bucket and not dry_run:
        failures += _import(workspace, bucket_of(bucket, storage), found, labels, brain, 60 * timeout_minutes)
    rows = workspace.ledger.objects.stream(*(LIVING if dry_run and bucket else ("imported",)))
    plan = plan_known(found, labels, rows)
    _show_plan(plan, found)
    if not dry_run:
        failures += _push(workspace, plan, brain, 60 * timeout_minutes)
    kept = workspace.workdir / "reports" / f"{brain}-left-out.json"
    return keep_failures([*plan.unmatched, *failures], kept)


def _schema(workspace: Workspace) -> list[tuple[int, str]]:
    return [(label.label_file_id, label.name) for label in workspace.client.labels(workspace.schema_id)]


def _missing(workspace: Workspace, names: Iterable[str]) -> list[str]:
    known = {name for _, name in _schema(workspace)}
    return [name for name in names if name not in known]


def _import(
    workspace: Workspace,
    bucket: parameters.Bucket,
    found: ForeignAnnotations,
    labels: dict[int, int],
    brain: BrainRef,
    timeout: float,
) -> list[Failure]:
    """Import what is new in a bucket, with what is known of it."""
    from diffgram_flows.datasets.known_annotations import KnownAnnotations
    from diffgram_flows.errors import NothingToImport
    from diffgram_flows.importing import import_new
    from diffgram_flows.tasks.workspace import open_bucket

    with open_bucket(bucket) as (store, prefix):
        known = KnownAnnotations(found, labels, workspace.ledger, store, brain=str(brain))
        try:
            report = import_new(
                workspace.client,
                store,
                prefix,
                workspace.ledger,
                directory_id=workspace.directory_id,
                prelabel=known,
                timeout=timeout,
            )
        except NothingToImport:
            return []
    show("Import", {"listed": report.listed, "new": report.new, "imported": report.imported, "waiting": report.waiting})
    return list(report.failures)


def _push(workspace: Workspace, plan: KnownPlan, brain: BrainRef, timeout: float) -> list[Failure]:
    """Send what was not sent yet, and follow it to its end; what a crash left open is settled first."""
    from diffgram_flows.feedback import FileToLabel, follow_pushes, push, reconcile_pushes
    from diffgram_flows.importing import refresh_tasks

    client, ledger = workspace.client, workspace.ledger
    refresh_tasks(client, ledger)
    reconcile_pushes(client, ledger)
    files = [
        FileToLabel(one.row.file_id, one.row.file_name, one.seen, one.size) for one in plan.known if one.row.file_id
    ]
    pushed = push(client, ledger, files, brain=brain, directory_id=workspace.directory_id)
    followed = follow_pushes(client, ledger, brain=brain, timeout=timeout)
    names = {one.row.file_name for one in plan.known}
    rows = [row for row in ledger.pushes.rows(brain=str(brain)) if row.file_name in names]
    counts = {state: sum(row.state == state for row in rows) for state in ("confirmed", "empty", "skipped")}
    show(str(brain), {**counts, "sent before": pushed.known, "waiting": followed.waiting + pushed.unsure})
    return [Failure(row.file_name, row.reason) for row in rows if row.state in ("failed", "skipped")]


def _show_plan(plan: KnownPlan, found: ForeignAnnotations) -> None:
    facts: dict[str, Any] = {"images": len(found.images), "matched": len(plan.known), "boxes": 0}
    clipped = {"cut at the edge": plan.clipped} if plan.clipped else {}
    show("Annotations", {**facts, **_plural(plan.sent), **clipped, **_left_out(plan.left_out)})


def _plural(counts: Mapping[str, int]) -> dict[str, int]:
    return {"boxes" if kind == "box" else f"{kind}s": number for kind, number in counts.items()}


def _left_out(counts: Any) -> dict[str, int]:
    return {f"left out: {reason}": number for reason, number in counts.items()}
