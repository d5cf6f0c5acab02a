"""Snapshots back from disk, trusted only after their hashes were checked."""

from __future__ import annotations

import json
from pathlib import Path

from diffgram_flows.datasets.gathering import gather
from diffgram_flows.datasets.images import ImageCache
from diffgram_flows.datasets.manifest import ANNOTATIONS, LABELS, altered, read_files, sample_of
from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import DatasetError, DiffgramFlowsError
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import LabelMap, Sample, Snapshot


def load_snapshot(folder: Path, cache: ImageCache, *, check_images: bool = True) -> Snapshot:
    """Read a snapshot.

    Args:
        folder: The snapshot's own folder.
        cache: Where its images lie.
        check_images: Whether to hash the images as well; that reads every byte of them once.

    Raises:
        DatasetError: A file of the snapshot or an image is missing or was altered.
    """
    facts, files = read_files(folder)
    samples = tuple(sample_of(json.loads(line), cache.folder) for line in files[ANNOTATIONS].splitlines())
    if check_images:
        for _, outcome in gather(_check_image, samples):
            if isinstance(outcome, DiffgramFlowsError):
                raise outcome
    label_map = LabelMap(tuple((label_file_id, name) for label_file_id, name in json.loads(files[LABELS])))
    return Snapshot(facts["id"], folder, label_map, samples)


def latest_snapshot(ledger: Ledger, folder: Path, cache: ImageCache, *, check_images: bool = True) -> Snapshot | None:
    """The newest snapshot that the ledger knows, or ``None`` before the first one.

    Args:
        ledger: Knows the ids.
        folder: The folder that holds all snapshots; the ledger's paths are of the time when they were made.
        cache: Where the images lie.
        check_images: As in :func:`load_snapshot`.

    Raises:
        DatasetError: It is missing or was altered.
    """
    rows = ledger.history.snapshots()
    return load_snapshot(folder / rows[-1].snapshot_id, cache, check_images=check_images) if rows else None


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
