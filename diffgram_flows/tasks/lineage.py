"""Where a brain comes from, and what became of an object: brains, snapshots, exports, objects, pushes, both ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from diffgram_flows.brains import Manifest, Registry
from diffgram_flows.datasets import load_snapshot
from diffgram_flows.errors import BrainNotFound, BrainTampered, ConfigurationError
from diffgram_flows.ledger.history import SnapshotRow
from diffgram_flows.models import BrainRef, Snapshot
from diffgram_flows.tasks.workspace import Workspace


@dataclass(frozen=True)
class BrainFacts:
    """One version in a lineage.

    Attributes:
        parent: The version it started from; ``None`` from scratch, or if nothing of it is known any more.
        code: Package to version, as it was trained; ``git`` is the revision.
        champion: Whether it is in use now.
        promotions: What happened to it: ``promote`` and ``rollback`` with the time.
        pushes: How many files got its predictions, by state.
        source: Of a brain that was converted: ``file`` and ``sha256`` of what it was made of.
    """

    brain: str
    parent: str | None
    snapshot: str
    label_map: str
    created: str
    code: dict[str, str]
    champion: bool
    promotions: tuple[str, ...]
    pushes: dict[str, int]
    source: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SnapshotFacts:
    """One snapshot in a lineage."""

    snapshot: str
    export_id: int
    images: int
    created: str
    place: str


@dataclass(frozen=True)
class Lineage:
    """What belongs together.

    Attributes:
        of: What was asked for.
        brains: The versions: a brain and those it descends from, or those that were trained on the snapshots.
        snapshots: What they were trained on, or where the object is in.
        objects: URIs of the objects in the snapshot, or the one that was asked for; files without a URI by their name.
        pushes: Of an object: every brain whose predictions were sent for its file, and what became of them.
    """

    of: str
    brains: tuple[BrainFacts, ...] = ()
    snapshots: tuple[SnapshotFacts, ...] = ()
    objects: tuple[str, ...] = ()
    pushes: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def lineage(workspace: Workspace, what: str) -> Lineage:
    """The lineage of a brain (``name@3``), a snapshot (its id) or an object (its URI).

    Raises:
        BrainNotFound: There is no such version.
        ConfigurationError: Nothing of this name is known.
    """
    if "://" in what:
        return _of_object(workspace, what)
    if "@" in what:
        return _of_brain(workspace, BrainRef.parse(what))
    row = next((row for row in workspace.ledger.history.snapshots() if row.snapshot_id == what), None)
    if row is None:
        raise ConfigurationError(
            f"{what!r} is no brain, snapshot or object that is known here.",
            cure="Write name@version, the id of a snapshot, or s3://bucket/key.",
        )
    found = _load(workspace, row)
    return Lineage(what, tuple(_trained_on(workspace, {what})), (_snapshot(row),), _objects(found))


def _of_brain(workspace: Workspace, ref: BrainRef) -> Lineage:
    """The brain and its ancestors, what they were trained on, and what was in the brain's own snapshot."""
    family = [(ref, workspace.registry.manifest(ref))]
    while (parent := family[-1][1].parent) and len(family) <= ref.version:
        above = BrainRef.parse(parent)
        try:
            family.append((above, workspace.registry.manifest(above)))
        except (BrainNotFound, BrainTampered):
            break
    wanted = [manifest.snapshot_id for _, manifest in family]
    rows = {row.snapshot_id: row for row in workspace.ledger.history.snapshots()}
    snapshots = tuple(_snapshot(rows[name]) for name in dict.fromkeys(wanted) if name in rows)
    objects = _objects(_load(workspace, rows[wanted[0]])) if wanted[0] in rows else ()
    return Lineage(str(ref), tuple(_brain(workspace, *one) for one in family), snapshots, objects)


def _of_object(workspace: Workspace, uri: str) -> Lineage:
    """Where an object is in, which brains learned from it, and which ones' predictions its file got."""
    versions = workspace.ledger.objects.trace(uri)
    if not versions:
        raise ConfigurationError(
            f"The ledger does not know {uri}.", cure="Check the URI and the dataset, or import the bucket first."
        )
    rows = [
        row
        for row in workspace.ledger.history.snapshots()
        if any(sample.uri == uri for sample in _load(workspace, row).samples)
    ]
    pushes = {push.brain: f"{push.state} {push.reason}".strip() for version in versions for push in version.pushes}
    brains = tuple(_trained_on(workspace, {row.snapshot_id for row in rows}))
    return Lineage(uri, brains, tuple(map(_snapshot, rows)), (uri,), pushes)


def _trained_on(workspace: Workspace, snapshots: set[str]) -> Iterator[BrainFacts]:
    for ref, manifest in manifests(workspace.registry):
        if manifest.snapshot_id in snapshots:
            yield _brain(workspace, ref, manifest)


def manifests(registry: Registry, names: Iterable[str] = ()) -> Iterator[tuple[BrainRef, Manifest]]:
    """Every version of these brains (of all, if none is named), by name and number."""
    for name in names or registry.names():
        for number in registry.numbers(name):
            ref = BrainRef(name, number)
            yield ref, registry.manifest(ref)


def _brain(workspace: Workspace, ref: BrainRef, manifest: Manifest) -> BrainFacts:
    history = workspace.registry.history(ref.name)
    return BrainFacts(
        brain=str(ref),
        parent=manifest.parent,
        snapshot=manifest.snapshot_id,
        label_map=manifest.label_map.digest,
        created=manifest.created.isoformat(timespec="seconds"),
        code=dict(manifest.versions),
        champion=workspace.registry.champion_ref(ref.name) == ref,
        promotions=tuple(
            f"{entry.action} {entry.at.isoformat(timespec='seconds')}"
            for entry in history
            if entry.version == ref.version
        ),
        pushes=dict(Counter(row.state for row in workspace.ledger.pushes.rows(brain=str(ref)))),
        source=dict(manifest.source),
    )


def _snapshot(row: SnapshotRow) -> SnapshotFacts:
    created = datetime.fromtimestamp(row.created_at, UTC).isoformat(timespec="seconds")
    return SnapshotFacts(row.snapshot_id, row.export_id, row.images, created, row.folder)


def _load(workspace: Workspace, row: SnapshotRow) -> Snapshot:
    return load_snapshot(
        workspace.snapshots / row.snapshot_id, workspace.images, shared=workspace.shared_snapshots, check_images=False
    )


def _objects(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(sample.uri or sample.file_name for sample in snapshot.samples)
