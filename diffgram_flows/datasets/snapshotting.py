"""From a checked export to an immutable snapshot: images, splits, label map, manifest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from diffgram_flows import __version__
from diffgram_flows.datasets.completeness import PICTURES, ExportRecord
from diffgram_flows.datasets.exporting import FinishedExport
from diffgram_flows.datasets.fetching import ImageSource
from diffgram_flows.datasets.gathering import gather
from diffgram_flows.datasets.images import ImageCache
from diffgram_flows.datasets.instances import Drawing, fitted
from diffgram_flows.datasets.labels import extended_label_map
from diffgram_flows.datasets.manifest import MANIFEST, contents, manifest, snapshot_id
from diffgram_flows.datasets.reading import load_snapshot
from diffgram_flows.datasets.splits import split_of
from diffgram_flows.datasets.statistics import SplitStatistics, count, count_by_split, twins
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.disk import sha256_of, write_folder
from diffgram_flows.errors import ConfigurationError, DiffgramFlowsError, ImageRejected, NotEnoughData
from diffgram_flows.images import image_size
from diffgram_flows.ledger import Ledger
from diffgram_flows.ledger.history import SnapshotRow
from diffgram_flows.models import Failure, LabelMap, Progress, Sample, Snapshot, Split, no_progress
from diffgram_flows.storage import ObjectStore


@dataclass(frozen=True, slots=True)
class SnapshotOptions:
    """How a snapshot is made.

    Attributes:
        val, test: Shares of the validation and the test split; see :func:`split_of`.
        group_pattern: A regular expression searched in every key; images with the same match (its first group, if it
            has one) belong to the same split: ``^(.*)/`` keeps folders together. Keys without a match stand alone.
        threads: How many images are fetched at the same time.
    """

    val: float = 0.1
    test: float = 0.2
    group_pattern: str | None = None
    threads: int = 8

    def __post_init__(self) -> None:
        try:
            re.compile(self.group_pattern or "")
        except re.error as error:
            raise ConfigurationError(
                f"The group pattern {self.group_pattern!r} is no regular expression: {error}.",
                cure="Write it like '^(.*)/' for one group a folder, or leave it out.",
            ) from error
        self.split("")  # shares that do not add up are refused here, not after the download

    def split(self, key: str) -> Split:
        """The split of the image with this key."""
        match = re.search(self.group_pattern, key) if self.group_pattern is not None else None
        group = match[match.re.groups and 1] if match else None
        return split_of(key, val=self.val, test=self.test, group=group)


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """What went into a snapshot, and what did not.

    Attributes:
        new: Whether it had to be written; the same content as before is not.
        per_label: Boxes by label name.
        splits: Counts of each split.
        skipped: Instances that are not training data: reason to count.
        clipped: Boxes that were cut at the edge of their image.
        twins: Images with the same bytes as one of another split.
        failures: Finished files that are left out, and why.
    """

    snapshot_id: str
    new: bool
    images: int
    boxes: int
    per_label: Mapping[str, int]
    splits: Mapping[Split, SplitStatistics]
    skipped: Mapping[str, int]
    clipped: int
    twins: int
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class _Taken:
    """What was made of the records."""

    samples: tuple[Sample, ...]
    drawings: tuple[Drawing, ...]
    failures: tuple[Failure, ...]

    @property
    def skipped(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for drawing in self.drawings:
            total.update(drawing.skipped)
        return dict(sorted(total.items()))

    @property
    def clipped(self) -> int:
        return sum(drawing.clipped for drawing in self.drawings)


def make_snapshot(
    export: FinishedExport,
    ledger: Ledger,
    cache: ImageCache,
    store: ObjectStore | None,
    client: DiffgramClient,
    *,
    folder: Path,
    options: SnapshotOptions | None = None,
    progress: Progress = no_progress,
) -> tuple[Snapshot, SnapshotReport]:
    """Make a snapshot of an export, or find that it exists already.

    Images are fetched unless they are in the cache. A crash at any moment leaves either the whole snapshot or none.

    Args:
        export: What people finished, checked by :func:`export_finished`.
        ledger: Holds the label map, which is extended, and receives the snapshot.
        cache: Where images are kept.
        store: The bucket, or ``None`` to fetch every image from Diffgram.
        client: The server, for images that the bucket does not give.
        folder: The folder of all snapshots; this one becomes ``folder/<id>``.
        options: How to split.
        progress: Told how many images are here.

    Raises:
        NotEnoughData: No finished file has a usable image.
        LabelMapChanged: A label that brains were trained on is gone.
        DatasetError: A snapshot of this id exists, but was altered.
        StorageUnavailable, ServerUnreachable, ServerError: The bucket or the server is down.
    """
    options = options or SnapshotOptions()
    used = {drawn.label_file_id for record in export.records for drawn in record.drawing.annotations}
    label_map = extended_label_map(ledger.history.label_map(), export.label_names, used)
    source = ImageSource(cache, client, ledger.objects.by_file_id(), store)
    taken = _take(export.records, source, options, progress)
    if not taken.samples:
        reasons = f" The first: {taken.failures[0].name}: {taken.failures[0].reason}" if taken.failures else ""
        raise NotEnoughData(
            f"None of the {len(export.records)} finished files has a usable image.{reasons}",
            cure="Look at the failures, and complete more tasks in Diffgram.",
        )
    label_map = ledger.history.extend_label_map(label_map)
    name, new = _write(folder, taken, label_map, cache.folder, _origin(export, ledger, options))
    snapshot = load_snapshot(folder / name, cache, check_images=False)
    boxes = sum(len(sample.boxes) for sample in snapshot.samples)
    finished = len(export.records)
    ledger.history.add_snapshot(
        SnapshotRow(
            name, str(folder / name), export.export_id, len(snapshot.samples), boxes, label_map.digest, finished
        )
    )
    return snapshot, _report(snapshot, new, taken)


def _take(records: Sequence[ExportRecord], source: ImageSource, options: SnapshotOptions, progress: Progress) -> _Taken:
    """Every record that can be trained on, with its image on this machine."""
    usable = [record for record in records if not _objection(record)]
    failures = [Failure(record.file_name, why) for record in records if (why := _objection(record))]
    names = {record.file_id: record.file_name for record in usable}
    paths, missing = source.fetch_many(names, threads=options.threads, progress=progress)
    failures += missing

    def sample_of(record: ExportRecord) -> tuple[Sample, Drawing]:
        row = source.objects.get(record.file_id)
        key, uri = (row.object.key, row.object.uri) if row else (record.file_name, "")
        path = paths[record.file_id].path
        size = image_size(path, name=record.file_name, max_pixels=source.cache.max_pixels)
        return _sample(record, path, uri, options.split(key), size)

    samples, drawings = [], []
    here = [record for record in usable if record.file_id in paths]
    for record, outcome in gather(sample_of, here, threads=options.threads):
        if isinstance(outcome, DiffgramFlowsError):
            failures.append(Failure(record.file_name, str(outcome)))
        else:
            samples.append(outcome[0])
            drawings.append(outcome[1])
    return _Taken(tuple(samples), tuple(drawings), tuple(sorted(failures, key=lambda failure: failure.name)))


def _objection(record: ExportRecord) -> str:
    """Why a record cannot be trained on, as far as the export shows; empty if it can."""
    if record.kind not in PICTURES:
        video = " Import its frames as images, and group them by the video's name." if record.kind == "video" else ""
        return f"It is of type {record.kind}; only images are trained on.{video}"
    if record.rotation % 360:
        return f"It was turned by {record.rotation} degrees in Diffgram, so its boxes do not fit the stored image."
    return ""


def _sample(record: ExportRecord, path: Path, uri: str, split: Split, size: tuple[int, int]) -> tuple[Sample, Drawing]:
    """One record with its image, which has this width and height.

    Raises:
        ImageRejected: The image is not of the size on which people drew.
    """
    width, height = size
    if (width, height) != (record.width, record.height):
        raise ImageRejected(
            f"The image is {width} x {height} pixels upright, but Diffgram says {record.width} x {record.height}: "
            "its boxes would be in the wrong places.",
            cure="Check whether the object was replaced, or is turned by its EXIF data, and import it again.",
        )
    drawing = fitted(record.drawing, width, height)
    hashed = sha256_of(path)
    return Sample(
        record.file_id, record.file_name, uri, hashed, path, width, height, split, drawing.annotations
    ), drawing


def _origin(export: FinishedExport, ledger: Ledger, options: SnapshotOptions) -> dict[str, Any]:
    """What the manifest tells of how a snapshot came to be."""
    earlier = ledger.history.snapshots()
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "diffgram_flows": __version__,
        "target": ledger.target,
        "export_id": export.export_id,
        "parent": earlier[-1].snapshot_id if earlier else None,
        "options": {"val": options.val, "test": options.test, "group_pattern": options.group_pattern},
    }


def _write(
    folder: Path, taken: _Taken, label_map: LabelMap, images: Path, origin: Mapping[str, Any]
) -> tuple[str, bool]:
    """Write the snapshot unless it is there; its id, and whether it is new."""
    files = contents(taken.samples, label_map, images)
    name = snapshot_id(files)
    if (folder / name).is_dir():
        return name, False
    splits = count_by_split(taken.samples, label_map)
    facts = {
        **origin,
        "label_map_digest": label_map.digest,
        "total": asdict(count(taken.samples, label_map)),
        "splits": {split: asdict(statistics) for split, statistics in splits.items()},
        "twins": twins(taken.samples),
        "skipped": taken.skipped,
        "clipped": taken.clipped,
        "left_out": [asdict(failure) for failure in taken.failures],
    }
    return name, write_folder(folder / name, {**files, MANIFEST: manifest(files, facts)})


def _report(snapshot: Snapshot, new: bool, taken: _Taken) -> SnapshotReport:
    total = count(snapshot.samples, snapshot.label_map)
    return SnapshotReport(
        snapshot_id=snapshot.id,
        new=new,
        images=total.images,
        boxes=total.boxes,
        per_label=total.per_label,
        splits=count_by_split(snapshot.samples, snapshot.label_map),
        skipped=taken.skipped,
        clipped=taken.clipped,
        twins=twins(snapshot.samples),
        failures=taken.failures,
    )
