"""The snapshot before: the splits that it has given are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffgram_flows.datasets.manifest import FORMAT, IMAGES, MANIFEST, check_files, read_manifest
from diffgram_flows.datasets.options import SnapshotOptions
from diffgram_flows.datasets.sharing import fetch
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Split
from diffgram_flows.storage.folders import Folder


@dataclass(frozen=True)
class Parent:
    """What a new snapshot needs of its parent.

    Attributes:
        facts: Its manifest, empty if there is no parent.
        pinned: The split of each of its images, by the hash of its place: the URI, or the name of a file without one.
            Empty if splits are decided by other options now.
    """

    facts: Mapping[str, Any] = field(default_factory=dict)
    pinned: Mapping[int, Split] = field(default_factory=dict)


def find_parent(ledger: Ledger, folder: Path, options: SnapshotOptions, shared: Folder | None = None) -> Parent:
    """The newest snapshot of the ledger that this version reads and that lies in ``folder`` or is shared.

    Raises:
        DatasetError: It was altered.
        StorageError: The shared folder's answer.
    """
    for row in reversed(ledger.history.snapshots()):
        place = folder / row.snapshot_id
        if shared is not None and not place.exists() and MANIFEST in shared.child(place.name).list(MANIFEST):
            fetch(shared, place.name, folder)
        if not _is_ours(place):
            continue
        facts = read_manifest(place)
        check_files(place, facts)
        same = options.keeps_splits_of(facts["options"])
        return Parent(facts, _splits(place / IMAGES) if same else {})
    return Parent()


def _is_ours(place: Path) -> bool:
    try:
        head = (place / MANIFEST).read_bytes()
    except OSError:
        return False
    return f'"format": {FORMAT},'.encode() in head


def _splits(path: Path) -> dict[int, Split]:
    from pyarrow import parquet

    found: dict[int, Split] = {}
    file = parquet.ParquetFile(path)
    for batch in file.iter_batches(columns=["uri", "file_name", "split"]):
        rows = (batch.column(name).to_pylist() for name in ("uri", "file_name", "split"))
        for uri, file_name, split in zip(*rows, strict=True):
            found[hash(uri or file_name)] = split
    return found
