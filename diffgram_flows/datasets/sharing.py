"""Snapshots in a folder that several machines share: a bucket's prefix, or a disk.

``<id>/images.<sha256>.parquet`` and so on, and ``<id>/manifest.json`` last: a snapshot is there when its manifest is.
Files carry the start of their hash in their names, so that two machines that write the same snapshot with different
libraries cannot mix their files.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from diffgram_flows.datasets.manifest import FILES, MANIFEST, check_files, parse_manifest, read_manifest
from diffgram_flows.disk import hidden_folder, publish, sync
from diffgram_flows.errors import DatasetError, ObjectNotFound
from diffgram_flows.storage.folders import Folder


def share(place: Path, shared: Folder) -> bool:
    """Copy a snapshot to the shared folder; ``False`` if it is there already.

    Raises:
        DatasetError: The snapshot was altered.
        StorageError: The folder's answer.
    """
    facts = read_manifest(place)
    check_files(place, facts)
    there = shared.child(place.name)
    if MANIFEST in there.list(MANIFEST):
        return False
    for name in FILES:
        there.put(_shared_name(name, facts), place / name)
    return there.put_new(MANIFEST, place / MANIFEST)


def fetch(shared: Folder, snapshot_id: str, folder: Path) -> Path:
    """Copy a snapshot from the shared folder into ``folder``, unless it is there; where it lies.

    Raises:
        DatasetError: There is none of this id, or it was altered.
        StorageError: The folder's answer.
    """
    place = folder / snapshot_id
    if place.is_dir():
        return place
    there = shared.child(snapshot_id)
    try:
        content = there.read(MANIFEST)
    except ObjectNotFound as error:
        raise DatasetError(
            f"There is no snapshot {snapshot_id} in {shared.uri}.", cure="Look at `diffgram-flows snapshot list`."
        ) from error
    facts = parse_manifest(content, f"{there.uri}/{MANIFEST}", snapshot_id)
    with hidden_folder(folder) as part:
        for name in FILES:
            there.download(_shared_name(name, facts), part / name)
        (part / MANIFEST).write_bytes(content)
        check_files(part, facts)
        for path in part.iterdir():
            sync(path)
        publish(part, place)
    return place


def shared_ids(shared: Folder) -> list[str]:
    """Ids of the whole snapshots of a shared folder."""
    names = (PurePosixPath(name) for name in shared.list())
    return sorted(name.parent.name for name in names if name.name == MANIFEST and len(name.parts) == 2)


def _shared_name(name: str, facts: Mapping[str, Any]) -> str:
    path = PurePosixPath(name)
    return f"{path.stem}.{facts['files'][name]['sha256'][:12]}{path.suffix}"
