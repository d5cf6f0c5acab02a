"""Finished images without a server: a bucket, a ledger, and exports written by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffgram_flows.datasets import (
    ExportRecord,
    FinishedExport,
    ImageCache,
    SnapshotOptions,
    SnapshotReport,
    make_snapshot,
)
from diffgram_flows.datasets.instances import Drawing
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.importing import file_name
from diffgram_flows.ledger import Ledger, ObjectRow
from diffgram_flows.models import Annotation, Box, Snapshot, StoredObject
from diffgram_flows.storage import READ_LIMIT
from diffgram_flows.storage.file import FileStore

SIZE = (64, 48)


class CountingStore(FileStore):
    """A local folder that counts what is read of it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT) -> bytes:
        self.reads.append(obj.key)
        return super().read(obj, start=start, length=length, limit=limit)


@dataclass
class Shelf:
    """Images of a bucket that are imported and finished."""

    store: CountingStore
    ledger: Ledger
    folder: Path
    workdir: Path
    labels: dict[int, str] = field(default_factory=lambda: {4: "car", 7: "person"})
    records: dict[str, ExportRecord] = field(default_factory=dict)

    @property
    def cache(self) -> ImageCache:
        return ImageCache(self.workdir / "images")

    @property
    def snapshots(self) -> Path:
        return self.workdir / "snapshots"

    def draw(self, key: str, size: tuple[int, int] = SIZE) -> None:
        """Put an image into the bucket, with a colour of its own."""
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        number = sum(key.encode())
        Image.new("RGB", size, (number % 256, number * 7 % 256, number * 31 % 256)).save(path)

    def row(self, key: str) -> ObjectRow:
        """The ledger's row of a key; imported as one more file if it is new."""
        (stored,) = (stored for stored in self.store.iter_objects(key) if stored.key == key)
        if self.ledger.objects.add([stored], file_name):
            (new,) = self.ledger.objects.rows("new")
            self.ledger.objects.imported(new.id, file_id=100 + new.id, input_id=new.id)
        return next(row for row in self.ledger.objects.rows() if row.file_name == file_name(stored))

    def finish(self, key: str, *boxes: Box, skipped: Mapping[str, int] | None = None, **record: Any) -> ExportRecord:
        """Draw, import and finish an image; keyword arguments change what the export says of it."""
        if not (self.folder / key).exists():
            self.draw(key)
        row = self.row(key)
        assert row.file_id is not None
        facts: dict[str, Any] = {
            "file_name": row.file_name,
            "kind": "image",
            "width": SIZE[0],
            "height": SIZE[1],
            "rotation": 0,
            "drawing": Drawing(_drawn(boxes), skipped or {}),
        }
        self.records[key] = ExportRecord(row.file_id, **(facts | record))
        return self.records[key]

    def finish_many(self, keys: Iterable[str], *boxes: Box) -> None:
        for key in keys:
            self.finish(key, *boxes)

    def export(self, export_id: int = 1) -> FinishedExport:
        records = sorted(self.records.values(), key=lambda record: record.file_id)
        return FinishedExport(export_id, tuple(records), self.labels)

    def snapshot(
        self, options: SnapshotOptions | None = None, *, export_id: int = 1
    ) -> tuple[Snapshot, SnapshotReport]:
        """A snapshot of what is finished; the Diffgram server behind it does not exist."""
        with DiffgramClient("http://127.0.0.1:9", "nobody", "id", "secret", timeout=1, retries=0) as client:
            return make_snapshot(
                self.export(export_id),
                self.ledger,
                self.cache,
                self.store,
                client,
                folder=self.snapshots,
                options=options,
            )


def _drawn(boxes: Iterable[Box]) -> tuple[Annotation, ...]:
    """The boxes as an export's reader gives them: in order."""
    drawn = map(Annotation.of_box, boxes)
    return tuple(sorted(drawn, key=lambda annotation: (annotation.label_file_id, annotation.points)))


@pytest.fixture
def shelf(folder: Path, ledger: Ledger, tmp_path: Path) -> Iterator[Shelf]:
    with CountingStore(folder) as store:
        yield Shelf(store, ledger, folder, tmp_path / "work")
