"""A local folder as a bucket. Its signed URLs are served by :class:`FileServer`, inside this process.

What is in the bucket: regular files, also through symbolic links that stay inside the folder. What is not: hidden files
and folders (their names begin with a dot), links that lead out, and names that are not UTF-8.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from diffgram_flows.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    ObjectNotFound,
    StorageUnavailable,
)
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.base import (
    MAX_SIGNED_TTL,
    READ_LIMIT,
    grant,
    last_byte,
    within,
)
from diffgram_flows.storage.file_server import FileServer, inside, open_inside, version_of
from diffgram_flows.storage.judging import fetchable
from diffgram_flows.storage.settings import StorageSettings
from diffgram_flows.storage.store import BaseStore, refuse_unfetchable

log = logging.getLogger(__name__)


def open_uri(uri: str, settings: StorageSettings) -> tuple[FileStore, str]:
    """The store of ``file:///a/folder``; the whole path is the bucket, so the prefix is empty.

    Raises:
        ConfigurationError: The path is not absolute.
    """
    path = uri.removeprefix("file://")
    if not path.startswith("/"):
        raise ConfigurationError(f"{uri!r} is no absolute path.", cure="Write it with three slashes: file:///a/folder.")
    return FileStore(Path(path), settings), ""


class FileStore(BaseStore):
    """A folder. The first lease starts a server in a daemon thread; the URLs live as long as the store does.

    Args:
        root: Absolute path of the folder.
        settings: Where that server listens (``file_host``, ``file_port``, ``file_public_url``).
    """

    urls_die_with_it = True

    def __init__(self, root: Path, settings: StorageSettings | None = None) -> None:
        settings = settings or StorageSettings()
        self.bucket = "file://" + str(root).rstrip("/")
        self._root = Path(os.path.realpath(root))
        self._server = FileServer(
            root, host=settings.file_host, port=settings.file_port, public_url=settings.file_public_url
        )

    def check(self) -> None:
        with _translated(self._root), os.scandir(self._root) as entries:
            next(entries, None)

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        with _translated(self._root):
            for key, stat in _walk(self._root, "", (self._root,), prefix, after or ""):
                if until is not None and key > until:
                    return
                yield StoredObject(
                    bucket=self.bucket,
                    key=key,
                    size=stat.st_size,
                    version=version_of(stat),
                    modified=datetime.fromtimestamp(stat.st_mtime, UTC),
                )

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        refuse_unfetchable(obj)
        _, expires_at = grant(ttl, self.max_ttl(), obj.uri)
        return Lease(url=self._server.sign(obj.key, expires_at), expires_at=expires_at, uri=obj.uri)

    def max_ttl(self) -> timedelta:
        return MAX_SIGNED_TTL

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT) -> bytes:
        last = last_byte(obj, start, length, limit)
        with _translated(self._root), open_inside(self._root, obj.key) as file:
            if version_of(os.fstat(file.fileno())) != obj.version:
                raise ObjectNotFound(f"{obj.uri} was changed since it was listed.", cure="List the folder again.")
            file.seek(start)
            return within(file.read(last + 1 - start), obj, limit)

    def close(self) -> None:
        self._server.close()


@contextmanager
def _translated(root: Path) -> Iterator[None]:
    """Turn what the operating system says into our errors."""
    try:
        yield
    except FileNotFoundError as error:
        cure = "Check the path; it is taken as it is written, so %20 means %20."
        raise BucketNotFound(f"There is no folder {error.filename or root}.", cure=cure) from error
    except NotADirectoryError as error:
        raise BucketNotFound(f"{error.filename or root} is not a folder.", cure="Name the folder it is in.") from error
    except PermissionError as error:
        cure = "Let the user that runs this read it, or run this as another user."
        raise AccessDenied(f"{error.filename or root} may not be read.", cure=cure) from error
    except OSError as error:
        cure = "Check the disk or the network share."
        raise StorageUnavailable(f"{error.filename or root} cannot be read: {error.strerror}.", cure=cure) from error


def _walk(
    folder: Path, above: str, trail: tuple[Path, ...], prefix: str, after: str
) -> Iterator[tuple[str, os.stat_result]]:
    """Keys and facts of the files below ``folder``, in key order; only one folder a level is held in memory.

    Args:
        folder: Where to look.
        above: The key of ``folder``, with a trailing slash, empty for the root.
        trail: Real paths from the root to ``folder``, the root first: what a link must not lead out of or back to.
        prefix: How a key must begin.
        after: What a key must come after.
    """
    try:
        entries = _sorted_entries(folder)
    except FileNotFoundError:
        if above:  # removed while we walk
            return
        raise
    for name, entry in entries:
        key = above + name
        if name.endswith("/"):
            if _may_hold(key, prefix, after) and (target := _real_folder(entry, trail)):
                yield from _walk(Path(entry.path), key, (*trail, target), prefix, after)
        elif key.startswith(prefix) and key > after and (stat := _stat(entry, trail[0])):
            yield key, stat


def _sorted_entries(folder: Path) -> list[tuple[str, os.DirEntry[str]]]:
    """Names in the order of the keys they begin: a folder counts with its slash, so ``a.jpg`` precedes ``a/b``.

    Comparing text by code points is comparing its UTF-8 bytes.
    """
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if not fetchable(entry.name):
                log.warning("Skipped %r: its name is not UTF-8, so that no URL can name it.", entry.path)
                continue
            found.append((f"{entry.name}/" if _is_folder(entry) else entry.name, entry))
    return sorted(found, key=lambda pair: pair[0])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a place that we may not see
        return False


def _may_hold(folder_key: str, prefix: str, after: str) -> bool:
    """Whether a key below ``folder_key`` can begin with ``prefix`` and come after ``after``."""
    on_the_way = folder_key.startswith(prefix) or prefix.startswith(folder_key)
    return on_the_way and (folder_key > after or after.startswith(folder_key))


def _real_folder(entry: os.DirEntry[str], trail: tuple[Path, ...]) -> Path | None:
    """The real path of a folder, unless it is a link out of the root or back to where we came from."""
    if not entry.is_symlink():
        return trail[-1] / entry.name
    target = Path(os.path.realpath(entry.path))
    return target if target.is_relative_to(trail[0]) and target not in trail else None


def _stat(entry: os.DirEntry[str], root: Path) -> os.stat_result | None:
    """The facts of a regular file inside the root; nothing for all else, and for what is gone since it was listed."""
    if entry.is_symlink():
        try:
            return inside(root, os.path.relpath(entry.path, root)).stat()
        except (OSError, ObjectNotFound):
            return None
    try:
        return entry.stat() if entry.is_file() else None
    except FileNotFoundError:
        return None
