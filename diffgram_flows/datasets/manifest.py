"""How a snapshot lies on disk.

``annotations.jsonl``
    One sample a line, in order of file id. Paths are relative to the image cache, so that the work folder may move.
``labels.json``
    The label map: pairs of label file id and name in order of class index.
``manifest.json``
    Where it came from, what it holds, the SHA-256 of the two others, and a digest of itself.

The id of a snapshot is made of the two contents alone, so the same content has the same id whenever it is exported.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Annotation, Box, LabelMap, Sample

FORMAT = 1
ANNOTATIONS, LABELS, MANIFEST = "annotations.jsonl", "labels.json", "manifest.json"


def contents(samples: Iterable[Sample], label_map: LabelMap, images: Path) -> dict[str, bytes]:
    """The files of a snapshot without its manifest; ``images`` is the folder of the cache."""
    lines = (json.dumps(_row(sample, images), sort_keys=True) + "\n" for sample in samples)
    labels = json.dumps(label_map.labels, ensure_ascii=False) + "\n"
    return {ANNOTATIONS: "".join(lines).encode(), LABELS: labels.encode()}


def snapshot_id(files: Mapping[str, bytes]) -> str:
    """16 hex digits of the SHA-256 of what is in the snapshot."""
    return _id({name: _sha256(content) for name, content in files.items()})


def manifest(files: Mapping[str, bytes], facts: Mapping[str, Any]) -> bytes:
    """The manifest of these files, with whatever is worth knowing about them."""
    hashes = {name: _sha256(content) for name, content in files.items()}
    body = {**facts, "format": FORMAT, "id": _id(hashes), "files": hashes}
    return (json.dumps({**body, "digest": _digest(body)}, indent=2, ensure_ascii=False) + "\n").encode()


def read_files(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest of a snapshot and its two other files, after checking that none of the three was altered.

    Raises:
        DatasetError: A file is missing or altered, or the snapshot was written by a newer version.
    """
    facts = _read_facts(folder)
    files = {name: _read_bytes(folder / name) for name in (ANNOTATIONS, LABELS)}
    for name, content in files.items():
        if _sha256(content) != facts["files"].get(name):
            raise altered(folder / name)
    return facts, files


def _read_facts(folder: Path) -> dict[str, Any]:
    """The manifest, checked against its own digest and the folder's name."""
    path = folder / MANIFEST
    try:
        facts: dict[str, Any] = json.loads(_read_bytes(path))
        intact = facts.pop("digest") == _digest(facts) and facts["id"] == _id(facts["files"]) == folder.name
    except (ValueError, AttributeError, KeyError, TypeError):
        intact = False
    if not intact:
        raise altered(path)
    if facts.get("format") != FORMAT:
        raise DatasetError(
            f"The snapshot {folder} has the format {facts.get('format')}, this version reads {FORMAT}.",
            cure="Upgrade diffgram-flows, or make a new snapshot.",
        )
    return facts


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(
            f"The file {path} of a snapshot cannot be read: {error.strerror}.",
            cure="Restore it, or remove the snapshot's folder and make the snapshot again.",
        ) from error


def sample_of(row: Mapping[str, Any], images: Path) -> Sample:
    """A line of ``annotations.jsonl`` as a sample."""
    values = {name: value for name, value in row.items() if name != "boxes"}
    annotations = tuple(Annotation.of_box(Box(*corners)) for corners in row["boxes"])
    return Sample(**{**values, "path": images / row["path"], "annotations": annotations})


def altered(path: Path) -> DatasetError:
    """The error for a file that is not what it was when the snapshot was made."""
    return DatasetError(
        f"{path} was altered after the snapshot was made.",
        cure="Restore it from a backup, or remove it and make the snapshot again.",
    )


def _row(sample: Sample, images: Path) -> dict[str, Any]:
    return {
        "file_id": sample.file_id,
        "file_name": sample.file_name,
        "uri": sample.uri,
        "sha256": sample.sha256,
        "path": sample.path.relative_to(images).as_posix(),
        "width": sample.width,
        "height": sample.height,
        "split": sample.split,
        "boxes": [[box.label_file_id, box.x_min, box.y_min, box.x_max, box.y_max] for box in sample.boxes],
    }


def _id(hashes: Mapping[str, str]) -> str:
    return _sha256(json.dumps(hashes, sort_keys=True).encode())[:16]


def _digest(facts: Mapping[str, Any]) -> str:
    return _sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
