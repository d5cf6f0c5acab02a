"""Snapshots back from disk, trusted only after their hashes were checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from diffgram_flows.datasets.fetching import ImageSource
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

_AT_ONCE = 2000


def load_snapshot(
    folder: Path,
    cache: ImageCache,
    *,
    shared: Folder | None = None,
    source: ImageSource | None = None,
    check_images: bool = True,
) -> Snapshot:
    """Read a snapshot. Its samples stay on the disk until they are asked for.

    Args:
        folder: The snapshot's own folder.
        cache: Where its images lie.
        shared: Where it is copied from if ``folder`` does not exist.
        source: Where images are fetched that are not on this machine, because another one made the snapshot.
        check_images: Whether to hash the images as well; that reads every byte of them once.

    Raises:
        DatasetError: A file of the snapshot or an image is missing or was altered.
        StorageError, DiffgramError: The answer of the shared folder, or of where the images are.
    """
    if shared is not None:
        fetch(shared, folder.name, folder.parent)
    facts = read_manifest(folder)
    check_files(folder, facts)
    label_map = read_labels(folder, facts)
    _check_content(folder, label_map)
    snapshot = open_snapshot(folder, label_map, cache)
    samples = snapshot.samples
    for first in range(0, len(samples) if check_images or source else 0, _AT_ONCE):
        some = samples[first : first + _AT_ONCE]
        if source is not None:
            _bring(some, source)
        for _, outcome in gather(_check_image, some) if check_images else ():
            if isinstance(outcome, DiffgramFlowsError):
                raise outcome
    return snapshot


def open_snapshot(folder: Path, label_map: LabelMap, cache: ImageCache) -> Snapshot:
    """A snapshot whose files are known to be right: they were checked, or written a moment ago."""
    from diffgram_flows.datasets.samples import SampleSequence

    samples = SampleSequence(folder / IMAGES, folder / INSTANCES, cache.folder, folder.name)
    return Snapshot(folder.name, folder, label_map, samples)


def latest_snapshot(
    ledger: Ledger,
    folder: Path,
    cache: ImageCache,
    *,
    shared: Folder | None = None,
    source: ImageSource | None = None,
    check_images: bool = True,
) -> Snapshot | None:
    """The newest snapshot that the ledger knows, or ``None`` before the first one.

    Args:
        ledger: Knows the ids.
        folder: The folder that holds all snapshots; the ledger's paths are of the time when they were made.
        cache: Where the images lie.
        shared: As in :func:`load_snapshot`.
        source: The same.
        check_images: As in :func:`load_snapshot`.

    Raises:
        DatasetError: It is missing or was altered.
        StorageError, DiffgramError: The answer of the shared folder, or of where the images are.
    """
    rows = ledger.history.snapshots()
    if not rows:
        return None
    newest = folder / rows[-1].snapshot_id
    return load_snapshot(newest, cache, shared=shared, source=source, check_images=check_images)


def _bring(samples: Sequence[Sample], source: ImageSource) -> None:
    """Fetch the images that are not here; they must be the very bytes of which the snapshot was made."""
    missing = {sample.file_id: sample for sample in samples if not sample.path.is_file()}
    found, failures = source.fetch_many({file_id: sample.file_name for file_id, sample in missing.items()})
    if failures:
        raise DatasetError(
            f"{len(failures)} images of the snapshot cannot be fetched; the first, {failures[0].name}: "
            f"{failures[0].reason}",
            cure="Restore them, or make the snapshot again: it leaves out what cannot be had.",
        )
    for file_id, image in found.items():
        if image.sha256 != missing[file_id].sha256:
            raise DatasetError(
                f"The image {missing[file_id].file_name} is no longer the one of which the snapshot was made.",
                cure="Make the snapshot again: people may have to look at the new image.",
            )


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
