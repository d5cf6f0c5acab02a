"""A folder that we own and write, here or in a bucket: snapshots, brains and predictions lie in such a one.

The only thing that two writers ever need to agree on is who was first, so :meth:`Folder.put_new` is the primitive that
everything else is built from. Local disks do it by a hard link to a complete file, S3 by ``If-None-Match: *``, Google
by ``ifGenerationMatch=0``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from diffgram_flows.disk import PART
from diffgram_flows.errors import AccessDenied, ConfigurationError, StorageError
from diffgram_flows.storage.base import READ_LIMIT
from diffgram_flows.storage.settings import StorageSettings

ATTEMPTS = 4
"""How often a transfer that breaks off, or that met another writer's, is made before it is given up."""

PROBE = f"{PART}probe"
"""Name of the object that tells whether a store keeps its promise; no listing shows it."""

_KINDS = {
    "file": "diffgram_flows.storage.folder_local",
    "gs": "diffgram_flows.storage.folder_gcs",
    "s3": "diffgram_flows.storage.folder_s3",
}


class Folder(Protocol):
    """A place for files, by relative names with slashes. Safe to share between threads.

    All methods that reach the place raise:
        StorageUnavailable: It does not answer, or the disk is full.
        AccessDenied: It may not be read or written.
        BucketNotFound: There is no such bucket.
        ConfigurationError: There is no credential, a setting is wrong, or a name could lead out of the folder.
    """

    @property
    def uri(self) -> str:
        """Where it is, without a trailing slash: ``s3://bucket/prefix``, ``gs://bucket``, ``file:///a/folder``."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """Names that begin with ``prefix``, in order of their UTF-8 bytes; none where nothing was put yet.

        Parts of writes that were not finished are left out.
        """

    def read(self, name: str, *, limit: int = READ_LIMIT) -> bytes:
        """The whole content.

        Raises:
            ObjectNotFound: There is none of this name.
            StorageError: It is more than ``limit`` bytes.
        """

    def download(self, name: str, path: Path) -> None:
        """Copy the content into a local file, which is there as a whole or not at all.

        Raises:
            ObjectNotFound: There is none of this name.
        """

    def put(self, name: str, content: bytes | Path) -> None:
        """Write bytes, or what a local file holds; what had the name is replaced, as a whole or not at all."""

    def put_new(self, name: str, content: bytes | Path) -> bool:
        """Write it unless there is one: of all who try, exactly one is told ``True``, and the content is theirs.

        Raises:
            ConfigurationError: The store takes the condition and ignores it, so nobody may rely on it.
        """

    def delete(self, name: str) -> None:
        """Remove it, if it is there."""

    def child(self, name: str) -> Folder:
        """The folder ``name`` in this one. It uses the same connections and needs no closing of its own."""

    def close(self) -> None:
        """Let go of connections; a later call opens new ones."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BaseFolder:
    """What the folders of all providers have in common.

    Args:
        uri: Where it is; a slash at the end is taken off.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return self.uri

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"


def open_folder(place: str | Path, settings: StorageSettings | None = None) -> Folder:
    """Open a folder, on this machine or in a bucket. No call goes out yet, and a local folder need not exist.

    Args:
        place: A path, or ``file:///a/folder``, ``s3://bucket/prefix`` or ``gs://bucket/prefix``.
        settings: How to reach a bucket; by default what the environment says.

    Raises:
        ConfigurationError: The place is of another kind, or names no bucket.
    """
    from diffgram_flows.storage.folder_local import LocalFolder

    if isinstance(place, Path):
        return LocalFolder(place)
    scheme, separator, _ = place.partition("://")
    if not separator:
        return LocalFolder(Path(place).expanduser())
    if scheme not in _KINDS:
        known = ", ".join(f"{name}://" for name in sorted(_KINDS))
        raise ConfigurationError(f"Nothing can be kept in {place!r}.", cure=f"Give a path or one of {known}.")
    opened: Folder = importlib.import_module(_KINDS[scheme]).open_uri(place, settings or StorageSettings())
    return opened


def checked(name: str) -> str:
    """The name, if it can name a file in every kind of folder.

    Raises:
        ConfigurationError: It is empty, absolute, leads out, or holds what some store cannot keep.
    """
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or not name.isprintable():
        raise ConfigurationError(
            f"{name!r} cannot be the name of a file in a folder.",
            cure="Use a relative path with slashes, no part of it empty or of dots alone, and no backslashes.",
        )
    return name


def unfinished(name: str) -> bool:
    """Whether a name is of a write that was not finished, or of the probe."""
    return any(part.startswith(PART) for part in name.split("/"))


def too_much(uri: str, limit: int) -> StorageError:
    """The error for content beyond what may be read."""
    return StorageError(f"{uri} is more than {limit} bytes.", cure="Download it to a file, or raise the limit.")


def heedless(uri: str) -> ConfigurationError:
    """The error for a store on which two writers would overwrite each other."""
    return ConfigurationError(
        f"The store of {uri} accepts a conditional write and overwrites all the same.",
        cure="Use a store that keeps conditional writes (If-None-Match: * on S3), or a folder on a shared disk.",
    )


@contextmanager
def writing(rights: str) -> Iterator[None]:
    """Tell whoever is refused that it is the right to write that is missing.

    Args:
        rights: What to grant.
    """
    try:
        yield
    except AccessDenied as error:
        raise AccessDenied(error.what, cure=f"{error.cure} To write, {rights} is needed too.".strip()) from error
