"""Files that are there as a whole or not at all, whatever happens to the process or the machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part-"
_ABANDONED_AFTER = 86_400.0  # seconds; no write takes so long
_READABLE = 0o644  # temporary files are their owner's alone; other workers read what we write


def write_file(path: Path, content: bytes) -> None:
    """Write a file next to its place and move it there; a file of that name is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=PART, dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            _write(file.fileno(), content)
        os.chmod(name, _READABLE)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def hidden_folder(parent: Path) -> Iterator[Path]:
    """An empty folder in ``parent`` that nobody takes for a finished one; removed at the end unless published.

    What a crash leaves behind begins with ``.part-`` and is removed by a later call.
    """
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    part = Path(tempfile.mkdtemp(prefix=PART, dir=parent))
    try:
        part.chmod(0o755)
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def publish(part: Path, path: Path) -> bool:
    """Give a hidden folder, whose files are on the disk, its name; ``False`` if a folder of that name is in place."""
    sync(part)
    try:
        os.rename(part, path)
    except OSError:
        if path.is_dir():
            return False
        raise
    sync(path.parent)
    return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before what follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fsync(descriptor)


def _remove_abandoned(folder: Path) -> None:
    for part in folder.glob(f"{PART}*"):
        try:
            abandoned = time.time() - part.stat().st_mtime > _ABANDONED_AFTER
        except FileNotFoundError:
            continue
        if abandoned:
            shutil.rmtree(part, ignore_errors=True)
