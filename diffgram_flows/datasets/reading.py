"""Snapshots back from disk, trusted only after their hashes were checked."""

from __future__ import annotations

from pathlib import Path

from diffgram_flows.datasets.gathering import gather
from diffgram_flows.datasets.images import ImageCache
from diffgram_flows.datasets.manifest import (
    IMAGES,
    INSTANCES,
    MANIFEST,
    altered,
    check_files,
    read_labels,
    read_manifest,
)
from diffgram_flows.datasets.sharing import fetch
from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import DatasetError, DiffgramFlowsError
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import LabelMap, Sample, Snapshot
from diffgram_flows.storage.folders import Folder

_CHECKED_AT_ONCE = 2000


def load_snapshot(
    folder: Path, cache: ImageCache, *, shared: Folder | None = None, check_images: bool = True
) -> Snapshot:
    """Read a snapshot. Its samples stay on the disk until they are asked for.

    Args:
        folder: The snapshot's own folder.
        cache: Where its images lie.
        shared: Where it is copied from if ``folder`` does not exist.
        check_images: Whether to hash the images as well; that reads every byte of them once.

    Raises:
        DatasetError: A file of the snapshot or an image is missing or was altered.
        StorageError: The shared folder's answer.
    """
    from diffgram_flows.datasets.samples import SampleSequence

    if shared is not None:
        fetch(shared, folder.name, folder.parent)
    facts = read_manifest(folder)
    check_files(folder, facts)
    label_map = read_labels(folder)
    _check_content(folder, label_map)
    samples = SampleSequence(folder / IMAGES, folder / INSTANCES, cache.folder, folder.name)
    if check_images:
        for first in range(0, len(samples), _CHECKED_AT_ONCE):
            for _, outcome in gather(_check_image, samples[first : first + _CHECKED_AT_ONCE]):
                if isinstance(outcome, DiffgramFlowsError):
                    raise outcome
    return Snapshot(facts["id"], folder, label_map, samples)


def latest_snapshot(
    ledger: Ledger, folder: Path, cache: ImageCache, *, shared: Folder | None = None, check_images: bool = True
) -> Snapshot | None:
    """The newest snapshot that the ledger knows, or ``None`` before the first one.

    Args:
        ledger: Knows the ids.
        folder: The folder that holds all snapshots; the ledger's paths are of the time when they were made.
        cache: Where the images lie.
        shared: As in :func:`load_snapshot`.
        check_images: As in :func:`load_snapshot`.

    Raises:
        DatasetError: It is missing or was altered.
        StorageError: The shared folder's answer.
    """
    rows = ledger.history.snapshots()
    if not rows:
        return None
    return load_snapshot(folder / rows[-1].snapshot_id, cache, shared=shared, check_images=check_images)


def _check_content(folder: Path, label_map: LabelMap) -> None:
    """Compare the id with what the rows say: whoever changes a file can change its hash in the manifest as well."""
    from diffgram_flows.datasets.columns import ContentDigest
    from diffgram_flows.datasets.samples import RowGroups

    digest = ContentDigest()
    for kind, name in (("instances", INSTANCES), ("images", IMAGES)):
        for rows in RowGroups(folder / name).tables():
            digest.add(kind, rows)
    if digest.snapshot_id(label_map) != folder.name:
        raise altered(folder / MANIFEST)


def _check_image(sample: Sample) -> None:
    try:
        same = sha256_of(sample.path) == sample.sha256
    except FileNotFoundError as error:
        raise DatasetError(
            f"The image {sample.file_name} of the snapshot is not at {sample.path}.",
            cure="Make the snapshot again: it fetches what is missing.",
        ) from error
    if not same:
        raise altered(sample.path)
