"""The images on this machine: each is fetched, decoded and hashed once, and only kept if it can be decoded.

Files are named by their content, ``<first two hex digits of the SHA-256>/<SHA-256><suffix>``, so that the same bytes
lie here once under however many names they came. Which key has which content stands in an index beside them
(:mod:`~diffgram_flows.datasets.image_index`), so that a hundred thousand known images cost one look into it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from diffgram_flows.datasets.gathering import gather
from diffgram_flows.datasets.image_index import CachedImage, ImageIndex
from diffgram_flows.diffgram.download import download
from diffgram_flows.disk import sha256_of, write_file
from diffgram_flows.errors import DiffgramFlowsError, ImageRejected
from diffgram_flows.images import MAX_PIXELS, image_facts
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import Failure, Progress, no_progress
from diffgram_flows.storage import READ_LIMIT, ObjectStore

__all__ = ["CachedImage", "ImageCache", "file_key", "object_key", "paths"]

_TIMEOUT, _RETRIES = 30.0, 3
_LOCKS = ".locks"


class ImageCache:
    """Image files in a folder. Safe to share between threads and processes, and to kill at any moment.

    Args:
        folder: Where they lie; made when the first image is fetched.
        max_pixels: Width x height of the largest image that is kept.
        max_bytes: Size of the largest file that is fetched.
    """

    def __init__(self, folder: Path, *, max_pixels: int = MAX_PIXELS, max_bytes: int = READ_LIMIT) -> None:
        self.folder = folder
        self._place = str(folder)
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes
        self._index = ImageIndex(folder)

    def __repr__(self) -> str:
        return f"ImageCache({str(self.folder)!r})"

    def known(self, keys: Iterable[str]) -> dict[str, CachedImage]:
        """The images behind those keys that are in the index, without a look at their files."""
        return self._index.find(keys)

    def here(self, keys: Iterable[str]) -> dict[str, CachedImage]:
        """As :meth:`known`, without those whose file is missing or of the wrong size."""
        return {key: image for key, image in self.known(keys).items() if self._intact(image)}

    def fetch(self, row: ObjectRow, store: ObjectStore) -> CachedImage:
        """The image of an object, read from its bucket unless it is here already.

        Raises:
            ImageRejected: It cannot be decoded, is too large, or is not of the size that the listing said.
            StorageError: The bucket's answer.
        """

        def read() -> bytes:
            content = store.read(row.object, limit=self.max_bytes)
            if len(content) != row.object.size:
                raise ImageRejected(
                    f"{row.object.uri} has {len(content)} bytes, its listing said {row.object.size}.",
                    cure="List the bucket again; the object was replaced or is still being written.",
                )
            return content

        return self._once(object_key(row), row.file_name, read)

    def fetch_url(self, key: str, name: str, url: Callable[[], str]) -> CachedImage:
        """The image behind a signed URL, downloaded unless an image of this key is here already.

        Args:
            key: Of bytes that never change; see :func:`file_key`.
            name: What errors call the image.
            url: Gives the URL, a secret that no error names; asked only if it is needed.

        Raises:
            ImageRejected: It cannot be decoded, or is too large.
            DiffgramError: The store behind the URL did not give it.
        """

        def read() -> bytes:
            with download(url(), f"the image {name}", timeout=_TIMEOUT, retries=_RETRIES) as stream:
                content = stream.read(self.max_bytes + 1)
            if len(content) > self.max_bytes:
                raise ImageRejected(
                    f"The image {name} is larger than {self.max_bytes:,} bytes.", cure="Scale it down or remove it."
                )
            return content

        return self._once(key, name, read)

    def fetch_many(
        self, rows: Sequence[ObjectRow], store: ObjectStore, *, threads: int = 8, progress: Progress = no_progress
    ) -> tuple[dict[str, CachedImage], tuple[Failure, ...]]:
        """The images of many objects by file name, and those that could not be had.

        Raises:
            StorageUnavailable: The bucket is down; see :func:`~diffgram_flows.datasets.gathering.gather`.
        """

        def fetch(row: ObjectRow) -> CachedImage:
            return self.fetch(row, store)

        found: dict[str, CachedImage] = {}
        failures: list[Failure] = []
        for row, outcome in gather(fetch, rows, threads=threads, progress=progress, note="images"):
            if isinstance(outcome, DiffgramFlowsError):
                failures.append(Failure(row.file_name, str(outcome)))
            else:
                found[row.file_name] = outcome
        return found, tuple(failures)

    def _once(self, key: str, name: str, read: Callable[[], bytes]) -> CachedImage:
        """The image of a key; read only if nobody has done it, in this process or another."""
        image = self.here([key]).get(key)
        if image is None:
            with self._alone(key):
                image = self.here([key]).get(key) or self._keep(key, name, read())
        return image

    def _keep(self, key: str, name: str, content: bytes) -> CachedImage:
        """The file first and its entry after it: a crash between the two leaves a file that is found by its content."""
        facts = image_facts(content, name=name, max_pixels=self.max_pixels)
        digest = hashlib.sha256(content).hexdigest()
        place = f"{digest[:2]}/{digest}{facts.suffix}"
        image = CachedImage(self.folder, place, len(content), facts.width, facts.height, facts.phash)
        if not self._intact(image) or sha256_of(image.path) != digest:
            write_file(image.path, content)
        self._index.add(key, image)
        return image

    def _intact(self, image: CachedImage) -> bool:
        try:
            return os.stat(f"{self._place}/{image.name}").st_size == image.size
        except OSError:
            return False

    @contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        """One of 4,096 locks, which the system frees when its holder dies."""
        locks = self.folder / _LOCKS
        locks.mkdir(parents=True, exist_ok=True)
        with open(locks / hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:3], "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def object_key(row: ObjectRow) -> str:
    """What identifies the bytes of an object for ever: where it is, and in which version."""
    return f"object\0{row.object.uri}\0{row.object.version}"


def file_key(server: str, file_id: int, file_name: str) -> str:
    """What identifies the bytes of a file that a Diffgram server keeps."""
    return f"file\0{server}\0{file_id}\0{file_name}"


def paths(images: Mapping[str, CachedImage]) -> dict[str, Path]:
    """The files of images, by the same names."""
    return {name: image.path for name, image in images.items()}
