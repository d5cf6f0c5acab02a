"""Which image is behind a key: the facts of every image in a cache, so that nobody opens its file to learn them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from diffgram_flows.errors import DatasetError

INDEX = "index.sqlite"
_TABLE = """
CREATE TABLE IF NOT EXISTS images (
    key BLOB PRIMARY KEY, name TEXT NOT NULL, size INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL, phash INTEGER NOT NULL
) WITHOUT ROWID
"""
_SELECT = "SELECT key, name, size, width, height, phash FROM images WHERE key IN"
_BUSY = 60.0  # seconds that a write waits for others'
_AT_ONCE = 10_000  # keys in one statement
_SIGN, _MASK = 1 << 63, (1 << 64) - 1  # SQLite's integers have a sign


@dataclass(frozen=True, slots=True)
class CachedImage:
    """An image on this machine.

    Attributes:
        folder: That of the cache.
        name: Of the file, below it: ``<first two hex digits of the SHA-256>/<SHA-256><suffix>``.
        size: Bytes.
        width, height: Pixels, upright.
        phash: 64 bits that say what it shows; see :mod:`diffgram_flows.perceptual`.
    """

    folder: Path
    name: str
    size: int
    width: int
    height: int
    phash: int

    @property
    def path(self) -> Path:
        return self.folder / self.name  # made when it is asked for: it costs more than all the rest

    @property
    def sha256(self) -> str:
        """Of its bytes, in hex."""
        return self.name[3:67]


class ImageIndex:
    """Facts of images by key, in SQLite. May be deleted at any time, damaged or not: it is made again by use.

    Safe between threads and processes. A commit survives the death of the process; after the death of the machine
    the last ones may be missing, and their images are fetched again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / INDEX
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner = (0, 0)

    def find(self, keys: Iterable[str]) -> dict[str, CachedImage]:
        """What is known of these keys; no file but the index is looked at."""
        wanted = {_digest(key): key for key in keys}
        digests = list(wanted)
        folder = self._folder
        found: dict[str, CachedImage] = {}
        with self._lock:
            if not wanted or not self._path.exists():
                return {}
            for start in range(0, len(digests), _AT_ONCE):
                for key, name, size, width, height, phash in self._rows(digests[start : start + _AT_ONCE]):
                    found[wanted[key]] = CachedImage(folder, name, size, width, height, phash & _MASK)
        return found

    def add(self, key: str, image: CachedImage) -> None:
        """Remember an image, which lies in the cache already."""
        phash = (image.phash ^ _SIGN) - _SIGN
        row = (_digest(key), image.name, image.size, image.width, image.height, phash)
        with self._lock:
            for last in (False, True):
                try:
                    connection = self._open()
                    with connection:
                        connection.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?, ?, ?, ?)", row)
                    return
                except sqlite3.DatabaseError as error:
                    self._recover(error, last=last)

    def _rows(self, digests: list[bytes]) -> list[tuple[bytes, str, int, int, int, int]]:
        marks = ",".join("?" * len(digests))
        for last in (False, True):
            try:
                return self._open().execute(f"{_SELECT} ({marks})", digests).fetchall()
            except sqlite3.DatabaseError as error:
                self._recover(error, last=last)
        return []

    def _open(self) -> sqlite3.Connection:
        """The connection of this process to the file that is there now."""
        with suppress(FileNotFoundError):
            if self._connection is not None and self._owner == (os.getpid(), self._path.stat().st_ino):
                return self._connection
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY, check_same_thread=False)
        self._connection, self._owner = connection, (os.getpid(), self._path.stat().st_ino)
        weakref.finalize(self, connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        with connection:
            connection.execute(_TABLE)
        return connection

    def _recover(self, error: sqlite3.DatabaseError, *, last: bool) -> None:
        """Throw a damaged index away, once; every other trouble is told."""
        damaged = not isinstance(error, sqlite3.OperationalError) or "no such table" in str(error)
        if last or not damaged:
            raise DatasetError(
                f"The index of images {self._path} cannot be used: {error}.",
                cure="Make room or remove the file; it is made again by use.",
            ) from error
        self._connection = None
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(INDEX + suffix).unlink(missing_ok=True)


def _digest(key: str) -> bytes:
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=16).digest()
