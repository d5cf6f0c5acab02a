"""How a snapshot lies on disk, or below a prefix of a bucket.

``images.parquet``
    One image a row, in order of file id. Paths are relative to the image cache, so that the work folder may move.
``instances.parquet``
    One annotation a row, in the same order: each image tells how many of them are its own.
``labels.json``
    The label map: pairs of label file id and name in order of class index.
``manifest.json``
    Where it came from, what it holds, the SHA-256 of the others, and a digest of itself. Written last.

The id is made of what the rows and the label map say (:class:`~diffgram_flows.datasets.columns.ContentDigest`), so the
same content has the same id whenever, in whatever order and with whatever library it is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import LabelMap
from diffgram_flows.names import Attribute

FORMAT = 2
IMAGES, INSTANCES, LABELS, MANIFEST = "images.parquet", "instances.parquet", "labels.json", "manifest.json"
FILES = (IMAGES, INSTANCES, LABELS)


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> bytes:
    """The manifest of the files in a folder, with whatever is worth knowing about them; ``id`` must be among it."""
    files = {name: {"sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size} for name in FILES}
    body = {**facts, "format": FORMAT, "files": files}
    return (json.dumps({**body, "digest": _digest(body)}, indent=2, ensure_ascii=False) + "\n").encode()


def label_file(label_map: LabelMap) -> bytes:
    """The content of ``labels.json``."""
    return (json.dumps(label_map.labels, ensure_ascii=False) + "\n").encode()


def read_labels(folder: Path, facts: Mapping[str, Any]) -> LabelMap:
    """The label map of a snapshot, with the names of attribute groups that its manifest has."""
    labels = json.loads((folder / LABELS).read_bytes())
    named = read_attributes(facts.get("attribute_groups", ()))
    return LabelMap(tuple((label_file_id, name) for label_file_id, name in labels), named)


def read_attributes(groups: Iterable[Mapping[str, Any]]) -> tuple[Attribute, ...]:
    """What people call attribute groups, from what an export or a manifest says of them."""
    return tuple(Attribute.from_json(group) for group in groups)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a snapshot, checked against its own digest and the folder's name.

    Raises:
        DatasetError: It is missing or altered, or the snapshot is of another version's format.
    """
    path = folder / MANIFEST
    return parse_manifest(_read_bytes(path), str(path), folder.name)


def parse_manifest(content: bytes, where: str, name: str) -> dict[str, Any]:
    """As :func:`read_manifest`, of content that was read from ``where`` and should be of the snapshot ``name``."""
    try:
        facts: dict[str, Any] = json.loads(content)
        written_as = facts.get("format")
        intact = facts.pop("digest") == _digest(facts) and facts["id"] == name
    except (ValueError, AttributeError, KeyError, TypeError):
        raise altered(where) from None
    if not intact:
        raise altered(where)
    if written_as != FORMAT:
        raise DatasetError(
            f"The snapshot {name} has the format {written_as}, this version reads {FORMAT}.",
            cure="Make a new snapshot: its images are still in the cache."
            if written_as == 1
            else "Upgrade diffgram-flows, or make a new snapshot.",
        )
    return facts


def check_files(folder: Path, facts: Mapping[str, Any]) -> None:
    """Compare the files of a snapshot with its manifest.

    Raises:
        DatasetError: One is missing or was altered.
    """
    for name in FILES:
        path = folder / name
        try:
            same = sha256_of(path) == facts["files"][name]["sha256"]
        except OSError as error:
            raise _unreadable(path, error) from error
        if not same:
            raise altered(path)


def altered(path: Path | str) -> DatasetError:
    """The error for a file that is not what it was when the snapshot was made."""
    return DatasetError(
        f"{path} was altered after the snapshot was made.",
        cure="Restore it from a backup, or remove it and make the snapshot again.",
    )


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> DatasetError:
    return DatasetError(
        f"The file {path} of a snapshot cannot be read: {error.strerror}.",
        cure="Restore it, or remove the snapshot's folder and make the snapshot again.",
    )


def _digest(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
