"""A folder on this machine, or on a disk that several machines share."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from diffgram_flows.disk import PART, sync
from diffgram_flows.errors import AccessDenied, ConfigurationError, ObjectNotFound, StorageUnavailable
from diffgram_flows.storage.base import READ_LIMIT
from diffgram_flows.storage.folders import BaseFolder, checked, too_much, unfinished
from diffgram_flows.storage.settings import StorageSettings

_READABLE = 0o644  # temporary files are their owner's alone; other workers read what we write
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def open_uri(uri: str, settings: StorageSettings) -> LocalFolder:
    """The folder of ``file:///a/folder``.

    Raises:
        ConfigurationError: The path is not absolute.
    """
    path = uri.removeprefix("file://")
    if not path.startswith("/"):
        raise ConfigurationError(f"{uri!r} is no absolute path.", cure="Write it with three slashes: file:///a/folder.")
    return LocalFolder(Path(path))


class LocalFolder(BaseFolder):
    """A folder on a disk; it and what is in it are created by the first write.

    Attributes:
        path: Its absolute path.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.abspath(path))
        super().__init__(f"file://{self.path}")

    def list(self, prefix: str = "") -> Iterator[str]:
        with _translated(self.path):
            yield from (name for name in _walk(self.path, "", prefix) if not unfinished(name))

    def read(self, name: str, *, limit: int = READ_LIMIT) -> bytes:
        path = self._path(name)
        with _translated(path), path.open("rb") as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise too_much(f"{self.uri}/{name}", limit)
        return content

    def download(self, name: str, path: Path) -> None:
        source = self._path(name)
        with _translated(source), source.open("rb"):
            pass  # so that what is missing is told from a target that cannot be written
        with _translated(path), staged(path) as part:
            shutil.copyfile(source, part)
            os.replace(part, path)

    def put(self, name: str, content: bytes | Path) -> None:
        path = self._path(name)
        with _translated(path), staged(path) as part:
            _fill(part, content)
            os.replace(part, path)
            sync(path.parent)

    def put_new(self, name: str, content: bytes | Path) -> bool:
        path = self._path(name)
        if path.exists():
            return False
        with _translated(path), staged(path) as part:
            _fill(part, content)
            try:
                os.link(part, path)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in _NO_LINKS:
                    raise ConfigurationError(
                        f"The file system of {path.parent} knows no hard links, by which two writers are told apart.",
                        cure="Put the folder on another disk, or into a bucket.",
                    ) from error
                raise
            sync(path.parent)
            return True

    def delete(self, name: str) -> None:
        path = self._path(name)
        with _translated(path), suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()

    def child(self, name: str) -> LocalFolder:
        return LocalFolder(self._path(name))

    def __str__(self) -> str:
        return str(self.path)

    def _path(self, name: str) -> Path:
        return self.path / checked(name)


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """An empty file beside ``path`` that may be moved or linked there; it is gone afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix=PART, dir=path.parent)
    os.close(descriptor)
    try:
        os.chmod(part, _READABLE)
        yield Path(part)
    finally:
        Path(part).unlink(missing_ok=True)


def _fill(part: Path, content: bytes | Path) -> None:
    if isinstance(content, Path):
        shutil.copyfile(content, part)
    else:
        part.write_bytes(content)
    sync(part)


def _walk(folder: Path, above: str, prefix: str) -> Iterator[str]:
    """Names of the files below a folder, in byte order; a folder counts with its slash, so ``a.b`` precedes ``a/b``."""
    try:
        with os.scandir(folder) as entries:
            found = [(above + entry.name + "/" * entry.is_dir(follow_symlinks=False), entry.path) for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return  # nothing was put yet, or it is removed while we walk
    for name, path in sorted(found, key=lambda item: os.fsencode(item[0])):
        if name.endswith("/"):
            if name.startswith(prefix) or prefix.startswith(name):
                yield from _walk(Path(path), name, prefix)
        elif name.startswith(prefix):
            yield name


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn what the operating system says into our errors."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ObjectNotFound(f"There is no file {error.filename or path}.", cure="List the folder again.") from error
    except PermissionError as error:
        raise AccessDenied(
            f"{error.filename or path} may not be read or written.",
            cure="Let the user that runs this do so, or run this as another user.",
        ) from error
    except OSError as error:
        raise StorageUnavailable(
            f"{error.filename or path} cannot be read or written: {error.strerror}.",
            cure="Check the disk or the network share, and that it is not full.",
        ) from error
