"""What becomes of the records of an export: judged, fitted to their images, spooled to disk, or left out by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from diffgram_flows.datasets.columns import IMAGES, image_batch
from diffgram_flows.datasets.completeness import PICTURES, ExportRecord
from diffgram_flows.datasets.exporting import Judge
from diffgram_flows.datasets.fetching import ImageSource
from diffgram_flows.datasets.image_index import CachedImage
from diffgram_flows.datasets.instances import Drawing, fitted
from diffgram_flows.datasets.options import SnapshotOptions
from diffgram_flows.datasets.provenance import Judged
from diffgram_flows.datasets.spooling import Spool
from diffgram_flows.errors import ImageRejected
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import Failure, Progress, Split


@dataclass
class Intake:
    """Takes records, a batch at a time.

    Attributes:
        open_source: Gives the source of images for these files.
        judge: Says which annotations of a file are a person's.
        options: How images are split.
        pinned: Splits that the parent snapshot has given; see :class:`~diffgram_flows.datasets.parents.Parent`.
        spool: Receives the annotations.
        batches: Columns of the images so far, in the order of the spool.
        used: Labels of the annotations that were taken.
        skipped: Instances that are not training data: reason to count.
        counts: Annotations that are ``human``, ``confirmed`` and ``excluded``, and those of ``open`` files.
        ungrouped: Images that a group pattern, if there is one, finds no group for.
        failures: Files that are left out, and why.
        fixed: Files whose split the parent snapshot has given.
    """

    open_source: Callable[[Sequence[int]], ImageSource]
    judge: Judge
    options: SnapshotOptions
    spool: Spool
    pinned: Mapping[int, Split] = field(default_factory=dict)
    batches: list[Any] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    skipped: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    clipped: int = 0
    ungrouped: int = 0
    failures: list[Failure] = field(default_factory=list)
    fixed: list[int] = field(default_factory=list)

    def take(self, records: Sequence[ExportRecord], progress: Progress) -> None:
        """Take a batch: its images are fetched, or found in the cache.

        Raises:
            StorageUnavailable, ServerUnreachable, ServerError: The bucket or the server is down.
        """
        usable = []
        for record in records:
            if why := _objection(record):
                self.failures.append(Failure(record.file_name, why))
            else:
                usable.append(record)
        source = self.open_source([record.file_id for record in usable])
        names = {record.file_id: record.file_name for record in usable}
        found, missing = source.fetch_many(names, threads=self.options.threads, progress=progress)
        self.failures += missing
        rows: list[tuple[Any, ...]] = []
        for record in usable:
            image = found.get(record.file_id)
            if image is not None:
                self._take(record, image, source.objects.get(record.file_id), rows)
        if rows:
            self.batches.append(image_batch(dict(zip(IMAGES.names, zip(*rows, strict=True), strict=True))))

    def _take(
        self,
        record: ExportRecord,
        image: CachedImage,
        row: ObjectRow | None,
        rows: list[tuple[Any, ...]],
    ) -> None:
        try:
            _check_size(record, image)
        except ImageRejected as error:
            self.failures.append(Failure(record.file_name, str(error)))
            return
        judged = self.judge(record.file_id, record.drawing.annotations)
        drawing = record.drawing
        if judged.annotations is not drawing.annotations:
            drawing = replace(drawing, annotations=judged.annotations)
        drawing = fitted(drawing, image.width, image.height)
        self._count(drawing, judged)
        self.spool.add(record.file_id, drawing.annotations)
        key, uri, version, modified = record.file_name, "", "", None
        if row is not None:
            key, uri, version = row.object.key, row.object.uri, row.object.version
            modified = row.object.modified.timestamp() if row.object.modified else None
        group, split = self.options.group(key) or "", self._split(record.file_id, key, uri)
        self.ungrouped += not group and self.options.group_pattern is not None
        named = (record.file_id, record.file_name, uri, version, image.sha256)
        shown = (image.name, image.width, image.height, image.phash, modified)
        rows.append((*named, *shown, group, split, len(drawing.annotations)))

    def _split(self, file_id: int, key: str, uri: str) -> Split:
        pinned = self.pinned.get(hash(uri or key)) if self.pinned else None
        if pinned is None:
            return self.options.split(key)
        self.fixed.append(file_id)
        return pinned

    def _count(self, drawing: Drawing, judged: Judged) -> None:
        self.clipped += drawing.clipped
        if drawing.skipped:
            self.skipped.update(drawing.skipped)
        for name in ("human", "confirmed", "excluded"):
            self.counts[name] += getattr(judged, name)
        self.used.update([annotation.label_file_id for annotation in drawing.annotations])


def _objection(record: ExportRecord) -> str:
    """Why a record cannot be trained on, as far as the export shows; empty if it can."""
    if record.kind not in PICTURES:
        video = " Import its frames as images, and group them by the video's name." if record.kind == "video" else ""
        return f"It is of type {record.kind}; only images are trained on.{video}"
    if record.rotation % 360:
        return f"It was turned by {record.rotation} degrees in Diffgram, so its boxes do not fit the stored image."
    return ""


def _check_size(record: ExportRecord, image: CachedImage) -> None:
    """Refuse an image that is not of the size on which people drew."""
    if (image.width, image.height) != (record.width, record.height):
        raise ImageRejected(
            f"The image is {image.width} x {image.height} pixels upright, but Diffgram says {record.width} x "
            f"{record.height}: its boxes would be in the wrong places.",
            cure="Check whether the object was replaced, or is turned by its EXIF data, and import it again.",
        )
