"""Finished images without a server: a bucket, a ledger, and exports written by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffgram_flows.datasets import (
    FinishedExport,
    ImageCache,
    SnapshotOptions,
    SnapshotReport,
    make_snapshot,
)
from diffgram_flows.datasets.exporting import all_human
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.importing import file_name
from diffgram_flows.ledger import Ledger, ObjectRow
from diffgram_flows.models import Box, Snapshot, StoredObject
from diffgram_flows.storage import READ_LIMIT
from diffgram_flows.storage.file import FileStore
from diffgram_flows.storage.folders import Folder

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
    """Images of a bucket that are imported and finished.

    Attributes:
        groups: Attribute groups, as an export has them.
    """

    store: CountingStore
    ledger: Ledger
    folder: Path
    workdir: Path
    labels: dict[int, str] = field(default_factory=lambda: {4: "car", 7: "person"})
    groups: list[dict[str, Any]] = field(default_factory=list)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

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

    def finish(self, key: str, *boxes: Box, instances: Iterable[Mapping[str, Any]] = (), **facts: Any) -> ObjectRow:
        """Draw, import and finish an image; keyword arguments change what the export says of it.

        Args:
            key: The image's key in the bucket.
            boxes: What people drew.
            instances: What else the export holds for it, as the server writes it.
            facts: ``kind``, ``width``, ``height``, ``rotation``.
        """
        if not (self.folder / key).exists():
            self.draw(key)
        row = self.row(key)
        file = {"id": row.file_id, "original_filename": row.file_name, "type": facts.get("kind", "image")}
        image = {"width": facts.get("width", SIZE[0]), "height": facts.get("height", SIZE[1])}
        image |= {"rotation_degrees": facts.get("rotation", 0), "image_signed_url": "http://storage/x?Signature=5ec7e7"}
        drawn = [*map(instance, boxes), *instances]
        self.entries[key] = {"file": file, "image": image, "instance_list": drawn}
        return row

    def finish_many(self, keys: Iterable[str], *boxes: Box) -> None:
        for key in keys:
            self.finish(key, *boxes)

    def nobody(self) -> DiffgramClient:
        """A client of a Diffgram that does not exist."""
        return DiffgramClient("http://127.0.0.1:9", "nobody", "id", "secret", timeout=1, retries=0)

    def export(self, export_id: int = 1, **changes: Any) -> FinishedExport:
        """What is finished, as the server writes it: keys sorted as texts. Keyword arguments change the export."""
        entries = {str(entry["file"]["id"]): entry for entry in self.entries.values()}
        content: dict[str, Any] = {key: entries[key] for key in sorted(entries)}
        labels = {str(i): name for i, name in self.labels.items()}
        content |= {"attribute_groups_reference": self.groups, "label_map": labels}
        data = json.dumps(content).encode()
        facts = FinishedExport(export_id, lambda: io.BytesIO(data), set(map(int, entries)), self.labels, all_human)
        return replace(facts, **changes)

    def snapshot(
        self,
        options: SnapshotOptions | None = None,
        *,
        export_id: int = 1,
        export: FinishedExport | None = None,
        shared: Folder | None = None,
    ) -> tuple[Snapshot, SnapshotReport]:
        """A snapshot of what is finished."""
        with self.nobody() as client:
            return make_snapshot(
                export or self.export(export_id),
                self.ledger,
                self.cache,
                self.store,
                client,
                folder=self.snapshots,
                options=options,
                shared=shared,
            )


def instance(box: Box) -> dict[str, Any]:
    """A box as an export has it."""
    corners = {"x_min": box.x_min, "y_min": box.y_min, "x_max": box.x_max, "y_max": box.y_max}
    return {"type": "box", "label_file_id": box.label_file_id, "attribute_groups": None, **corners}


@pytest.fixture
def shelf(folder: Path, ledger: Ledger, tmp_path: Path) -> Iterator[Shelf]:
    with CountingStore(folder) as store:
        yield Shelf(store, ledger, folder, tmp_path / "work")
