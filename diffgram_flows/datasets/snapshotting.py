"""From an export to an immutable snapshot, in one pass: checked, judged, with images, splits, label map, manifest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffgram_flows import __version__
from diffgram_flows.datasets.completeness import Completeness, ExportRecord
from diffgram_flows.datasets.exporting import FinishedExport
from diffgram_flows.datasets.fetching import ImageSource
from diffgram_flows.datasets.garbage import rare_collections
from diffgram_flows.datasets.images import ImageCache
from diffgram_flows.datasets.labels import extended_label_map
from diffgram_flows.datasets.leaks import Leak
from diffgram_flows.datasets.manifest import read_attributes
from diffgram_flows.datasets.options import SnapshotOptions
from diffgram_flows.datasets.parents import Parent, find_parent
from diffgram_flows.datasets.parsing import ExportReader
from diffgram_flows.datasets.reading import load_snapshot, open_snapshot
from diffgram_flows.datasets.sharing import share
from diffgram_flows.datasets.statistics import SplitStatistics
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.disk import hidden_folder
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.ledger import Ledger
from diffgram_flows.ledger.history import SnapshotRow
from diffgram_flows.models import Failure, Progress, Snapshot, Split, no_progress
from diffgram_flows.storage import ObjectStore
from diffgram_flows.storage.folders import Folder

if TYPE_CHECKING:
    from diffgram_flows.datasets.intake import Intake
    from diffgram_flows.datasets.storing import Written

_FILES, _ANNOTATIONS = 1000, 10_000  # in one batch: what is in memory as Python objects at the same time


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What went into a snapshot, and what did not.

    Attributes:
        new: Whether it had to be written; the same content as before is not.
        boxes: Boxes, and polygons, around which there is one.
        per_label: Annotations by label name.
        splits: Counts of each split.
        human: Annotations that a person drew or changed.
        confirmed: Annotations of a machine that a person let stand in a finished file.
        excluded: Annotations of a machine that nobody confirmed; they are not in the snapshot.
        open: Annotations of files that nobody has finished; they are not in the snapshot either.
        skipped: Instances that are not training data: reason to count.
        clipped: Annotations that were cut at the edge of their image.
        twins: Images with the same bytes as one of another split.
        ungrouped: Images that the group pattern finds no group for: each stands alone. 0 without a pattern.
        leaks: Images that look like an elder one of another split.
        moved: Newcomers that went into the split of the elder image that they look like.
        failures: Finished files that are left out, and why.
    """

    snapshot_id: str
    new: bool
    images: int
    boxes: int
    per_label: Mapping[str, int]
    splits: Mapping[Split, SplitStatistics]
    human: int
    confirmed: int
    excluded: int
    open: int
    skipped: Mapping[str, int]
    clipped: int
    twins: int
    ungrouped: int
    leaks: tuple[Leak, ...]
    moved: int
    failures: tuple[Failure, ...]


def make_snapshot(
    export: FinishedExport,
    ledger: Ledger,
    cache: ImageCache,
    store: ObjectStore | None,
    client: DiffgramClient,
    *,
    folder: Path,
    options: SnapshotOptions | None = None,
    shared: Folder | None = None,
    progress: Progress = no_progress,
) -> tuple[Snapshot, SnapshotReport]:
    """Make a snapshot of an export, or find that it exists already.

    The export is read once, as a stream. Images are fetched unless they are in the cache. A crash at any moment leaves
    either the whole snapshot or none.

    Args:
        export: What people finished.
        ledger: Holds the label map, which is extended, and receives the snapshot.
        cache: Where images are kept.
        store: The bucket, or ``None`` to fetch every image from Diffgram.
        client: The server, for images that the bucket does not give.
        folder: The folder of all snapshots; this one becomes ``folder/<id>``.
        options: How to split.
        shared: Where the snapshot is copied to, below its id, for other machines.
        progress: Told how many files are done.

    Raises:
        IncompleteExport: The export lacks something, or cannot be read.
        LabelMapChanged: A label that brains were trained on is gone, or an annotation has a label of another schema.
        NotEnoughData: No finished file has a usable image.
        DatasetError: A snapshot of this id exists, but was altered.
        StorageUnavailable, ServerUnreachable, ServerError: The bucket or the server is down.
    """
    from diffgram_flows.datasets import storing
    from diffgram_flows.datasets.spooling import Spool

    options = options or SnapshotOptions()
    if export.label_names is not None:  # what stops the work stops it before anything is fetched
        extended_label_map(ledger.history.label_map(), export.label_names, ())
    parent = find_parent(ledger, folder, options, shared)
    origin = _origin(export, ledger, options)
    with hidden_folder(folder) as part, Spool(part / ".spool") as spool:
        intake = _intake(export, ledger, cache, store, client, options, spool, parent)
        reader = _read(export, ledger, intake, progress)
        labels = export.label_names if export.label_names is not None else reader.label_map
        label_map = extended_label_map(ledger.history.label_map(), labels, intake.used)  # it may have grown meanwhile
        images = storing.Images(_some(intake))
        named = read_attributes(reader.attribute_groups)
        label_map = replace(ledger.history.extend_label_map(label_map), attributes=named)
        written = storing.write(part, intake, images, label_map)
        (part / ".spool").unlink()
        new = storing.finish(part, folder, written, intake, {**origin, "attribute_groups": reader.attribute_groups})
    place = folder / written.snapshot_id
    snapshot = open_snapshot(place, label_map, cache) if new else load_snapshot(place, cache, check_images=False)
    if shared is not None:
        share(place, shared)
    _record(ledger, export, written, shared.child(snapshot.id).uri if shared is not None else str(place))
    return snapshot, _report(snapshot, new, written, intake)


def _intake(
    export: FinishedExport,
    ledger: Ledger,
    cache: ImageCache,
    store: ObjectStore | None,
    client: DiffgramClient,
    options: SnapshotOptions,
    spool: Any,
    parent: Parent,
) -> Intake:
    from diffgram_flows.datasets.intake import Intake

    def open_source(file_ids: Sequence[int]) -> ImageSource:
        return ImageSource(cache, client, ledger.objects.by_file_id(file_ids), store)

    return Intake(open_source, export.judge, options, spool, parent.pinned)


def _read(export: FinishedExport, ledger: Ledger, intake: Intake, progress: Progress) -> ExportReader:
    """Take everything of the export that is expected, and look whether that is all."""
    before = 0

    def names(file_ids: Sequence[int]) -> dict[int, str]:
        return {file_id: row.file_name for file_id, row in ledger.objects.by_file_id(file_ids).items()}

    def told(done: int, total: int, note: str = "") -> None:
        progress(before + done, len(export.expected), note)

    complete = Completeness(export.expected, names)
    with rare_collections(), export.open() as stream:
        reader = ExportReader(stream, export.expected)
        for batch in _batches(reader, complete):
            intake.take(batch, told)
            before += len(batch)
    complete.conclude(reader.label_map, reader.label_map if export.label_names is None else export.label_names)
    complete.count(reader.unwanted, export.files)
    export.conclude()
    intake.counts["open"] = reader.left_out
    progress(len(export.expected), len(export.expected))
    return reader


def _batches(records: Iterable[ExportRecord], complete: Completeness) -> Iterator[list[ExportRecord]]:
    batch: list[ExportRecord] = []
    annotations = 0
    for record in records:
        complete.look(record)
        batch.append(record)
        annotations += len(record.drawing.annotations)
        if len(batch) == _FILES or annotations > _ANNOTATIONS:
            yield batch
            batch, annotations = [], 0
    if batch:
        yield batch


def _some(intake: Intake) -> list[Any]:
    """The images of the intake, of which there must be one."""
    if not intake.batches:
        first = intake.failures[:1]
        reasons = f" The first: {first[0].name}: {first[0].reason}" if first else ""
        raise NotEnoughData(
            f"None of the {len(intake.failures)} finished files has a usable image.{reasons}",
            cure="Look at the failures, and complete more tasks in Diffgram.",
        )
    return intake.batches


def _origin(export: FinishedExport, ledger: Ledger, options: SnapshotOptions) -> dict[str, Any]:
    """What the manifest tells of how a snapshot came to be."""
    earlier = ledger.history.snapshots()
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "diffgram_flows": __version__,
        "target": ledger.target,
        "parents": {
            "export": export.export_id,
            "ledger_position": ledger.position(),
            "snapshot": earlier[-1].snapshot_id if earlier else None,
        },
        "options": options.of_splits,
    }


def _record(ledger: Ledger, export: FinishedExport, written: Written, place: str) -> None:
    total = written.total
    digest = written.label_map.digest
    ledger.history.add_snapshot(
        SnapshotRow(
            written.snapshot_id, place, export.export_id, total.images, total.boxes, digest, len(export.expected)
        )
    )


def _report(snapshot: Snapshot, new: bool, written: Written, intake: Intake) -> SnapshotReport:
    return SnapshotReport(
        snapshot_id=snapshot.id,
        new=new,
        images=written.total.images,
        boxes=written.total.boxes,
        per_label=written.total.per_label,
        splits=written.splits,
        human=intake.counts["human"],
        confirmed=intake.counts["confirmed"],
        excluded=intake.counts["excluded"],
        open=intake.counts["open"],
        skipped=dict(sorted(intake.skipped.items())),
        clipped=intake.clipped,
        twins=written.twins,
        ungrouped=intake.ungrouped,
        leaks=written.settled.leaks,
        moved=len(written.settled.moved),
        failures=tuple(sorted(intake.failures, key=lambda failure: failure.name)),
    )
