"""Which snapshots there are, by their manifests alone: no server and no ledger is asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffgram_flows.datasets.manifest import MANIFEST, parse_manifest, read_manifest
from diffgram_flows.datasets.sharing import fetch, shared_ids
from diffgram_flows.disk import PART
from diffgram_flows.errors import DatasetError
from diffgram_flows.storage.folders import Folder

LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Entry:
    """One snapshot.

    Attributes:
        facts: Its manifest, empty if it cannot be read.
        here, shared: Whether it lies on this machine, and in the shared folder.
        trouble: Why it cannot be read.
    """

    snapshot_id: str
    facts: dict[str, Any] = field(default_factory=dict)
    here: bool = True
    shared: bool = False
    trouble: str = ""

    @property
    def created(self) -> str:
        """When it was made, ISO 8601 in UTC."""
        return str(self.facts.get("created", ""))


def list_snapshots(folder: Path, shared: Folder | None = None) -> list[Entry]:
    """All snapshots of a folder and of a shared one, oldest first; those that cannot be read come before all others.

    Raises:
        StorageError: The shared folder's answer.
    """
    there = set(shared_ids(shared)) if shared is not None else set()
    here = {path.name for path in folder.glob("*") if path.is_dir() and not path.name.startswith(PART)}
    entries = []
    for name in here | there:
        try:
            facts = read_manifest(folder / name) if name in here else _read_shared(shared, name)
            entries.append(Entry(name, facts, name in here, name in there))
        except DatasetError as error:
            entries.append(Entry(name, {}, name in here, name in there, str(error)))
    return sorted(entries, key=lambda entry: (entry.created, entry.snapshot_id))


def find_snapshot(reference: str, folder: Path, shared: Folder | None = None) -> Path:
    """The folder of the snapshot with this id, the beginning of an id, or ``latest``; copied here if it is shared.

    Raises:
        DatasetError: There is none, or several begin so.
        StorageError: The shared folder's answer.
    """
    entries = list_snapshots(folder, shared)
    if reference == LATEST:
        found = [entry for entry in entries if not entry.trouble][-1:]
    else:
        found = [entry for entry in entries if reference and entry.snapshot_id.startswith(reference)]
    if len(found) != 1:
        raise _not_found(reference, found, folder)
    if not found[0].here and shared is not None:
        return fetch(shared, found[0].snapshot_id, folder)
    return folder / found[0].snapshot_id


def _read_shared(shared: Folder | None, name: str) -> dict[str, Any]:
    assert shared is not None  # noqa: S101 - only shared names come here
    there = shared.child(name)
    return parse_manifest(there.read(MANIFEST), f"{there.uri}/{MANIFEST}", name)


def _not_found(reference: str, found: Sequence[Entry], folder: Path) -> DatasetError:
    if found:
        names = ", ".join(entry.snapshot_id for entry in found[:10])
        return DatasetError(f"{len(found)} snapshots begin with {reference!r}: {names}.", cure="Give more of the id.")
    what = "no snapshot" if reference == LATEST else f"no snapshot {reference!r}"
    return DatasetError(
        f"There is {what} in {folder}.",
        cure="See `diffgram-flows snapshot list`, and make one with `diffgram-flows export`; --workdir says where.",
    )
