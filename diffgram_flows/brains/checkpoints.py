"""Where an interrupted training finds what it had reached: a folder for each order, which ends with the training."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.errors import Busy
from diffgram_flows.models import BrainRef, Snapshot

_LOCK = "lock"


def order_key(snapshot: Snapshot, options: TrainingOptions, parent: BrainRef | None, method: str) -> str:
    """What tells a training from another one: started with the same, it ends with the same."""
    order = [snapshot.id, snapshot.label_map.digest, options.to_json(), options.weights_digest(), str(parent), method]
    return hashlib.sha256(json.dumps(order, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def checkpoints_of(folder: Path, key: str) -> Iterator[Path]:
    """The folder of one order, for one process at a time; it stays if the block raises, and is removed if it does not.

    What other orders in ``folder`` left is removed at once: they were given up, or are being worked on and are let be.

    Args:
        folder: Of the brain: all orders in it are about the same brain.
        key: The order's.

    Raises:
        Busy: Another process trains this very order.
    """
    place = folder / key
    place.mkdir(parents=True, exist_ok=True)
    with _locked(place) as free:
        if not free:
            raise Busy(
                f"Another process is at this training already ({place}).",
                cure="Wait for it, or end it and start again: the training goes on where it was.",
            )
        _remove_superseded(folder, key)
        yield place
        shutil.rmtree(place, ignore_errors=True)


def _remove_superseded(folder: Path, key: str) -> None:
    for other in folder.iterdir():
        if other.name == key or not other.is_dir():
            continue
        with _locked(other) as free:
            if free:
                shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _locked(place: Path) -> Iterator[bool]:
    """Whether the folder is ours while the block lasts; the system gives it back when a process dies."""
    descriptor = os.open(place / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)
