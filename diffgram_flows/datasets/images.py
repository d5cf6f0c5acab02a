"""The images on this machine: each is fetched once, and only kept if it can be decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from diffgram_flows.datasets.gathering import gather
from diffgram_flows.diffgram.download import download
from diffgram_flows.disk import write_file
from diffgram_flows.errors import DiffgramFlowsError, ImageRejected
from diffgram_flows.images import MAX_PIXELS, check_pixels
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import Failure, Progress, no_progress
from diffgram_flows.storage import READ_LIMIT, ObjectStore

_TIMEOUT, _RETRIES = 30.0, 3


class ImageCache:
    """Image files in a folder, under names that no file name can break out of. Safe to share between processes.

    Args:
        folder: Where they lie; made when the first image is fetched.
        max_pixels: Width x height of the largest image that is kept.
        max_bytes: Size of the largest file that is fetched.
    """

    def __init__(self, folder: Path, *, max_pixels: int = MAX_PIXELS, max_bytes: int = READ_LIMIT) -> None:
        self.folder = folder
        self.max_pixels = max_pixels
        self.max_bytes = max_bytes

    def __repr__(self) -> str:
        return f"ImageCache({str(self.folder)!r})"

    def path(self, file_name: str) -> Path:
        """Where the image of this name lies or would lie."""
        digest = hashlib.sha256(file_name.encode(errors="surrogatepass")).hexdigest()
        suffix = PurePosixPath(file_name).suffix.lower()
        return self.folder / digest[:2] / f"{digest[:32]}{suffix if suffix[1:].isalnum() and suffix.isascii() else ''}"

    def fetch(self, row: ObjectRow, store: ObjectStore) -> Path:
        """The image of an object, read from its bucket unless it is here already.

        Raises:
            ImageRejected: It cannot be decoded, is too large, or is not of the size that the listing said.
            StorageError: The bucket's answer.
        """
        path = self.path(row.file_name)
        if path.is_file() and path.stat().st_size == row.object.size:
            return path
        content = store.read(row.object, limit=self.max_bytes)
        if len(content) != row.object.size:
            raise ImageRejected(
                f"{row.object.uri} has {len(content)} bytes, its listing said {row.object.size}.",
                cure="List the bucket again; the object was replaced or is still being written.",
            )
        return self._keep(path, content, row.file_name)

    def fetch_url(self, file_name: str, url: str) -> Path:
        """The image behind a signed URL, downloaded unless an image of this name is here already.

        Args:
            file_name: Unique among all images of the cache.
            url: A secret that no error names.

        Raises:
            ImageRejected: It cannot be decoded, or is too large.
            DiffgramError: The store behind the URL did not give it.
        """
        path = self.path(file_name)
        if path.is_file():
            return path
        with download(url, f"the image {file_name}", timeout=_TIMEOUT, retries=_RETRIES) as stream:
            content = stream.read(self.max_bytes + 1)
        if len(content) > self.max_bytes:
            raise ImageRejected(
                f"The image {file_name} is larger than {self.max_bytes:,} bytes.", cure="Scale it down or remove it."
            )
        return self._keep(path, content, file_name)

    def fetch_many(
        self, rows: Sequence[ObjectRow], store: ObjectStore, *, threads: int = 8, progress: Progress = no_progress
    ) -> tuple[dict[str, Path], tuple[Failure, ...]]:
        """The images of many objects by file name, and those that could not be had.

        Raises:
            StorageUnavailable: The bucket is down; see :func:`~diffgram_flows.datasets.gathering.gather`.
        """

        def fetch(row: ObjectRow) -> Path:
            return self.fetch(row, store)

        found: dict[str, Path] = {}
        failures: list[Failure] = []
        for row, outcome in gather(fetch, rows, threads=threads, progress=progress, note="images"):
            if isinstance(outcome, DiffgramFlowsError):
                failures.append(Failure(row.file_name, str(outcome)))
            else:
                found[row.file_name] = outcome
        return found, tuple(failures)

    def _keep(self, path: Path, content: bytes, name: str) -> Path:
        check_pixels(content, name=name, max_pixels=self.max_pixels)
        write_file(path, content)
        return path
