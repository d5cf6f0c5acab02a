"""Where the image of a Diffgram file comes from: the bucket if it can, Diffgram's own copy if it must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from diffgram_flows.datasets.gathering import gather
from diffgram_flows.datasets.images import ImageCache
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import DiffgramFlowsError, ObjectNotFound
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import Failure, Progress, no_progress
from diffgram_flows.storage import ObjectStore


@dataclass(frozen=True)
class ImageSource:
    """Fetches images of files into the cache. Safe to share between threads.

    Attributes:
        objects: The ledger's imported objects by file id.
        store: The bucket, or ``None`` where there is no access to it.
    """

    cache: ImageCache
    client: DiffgramClient
    objects: Mapping[int, ObjectRow]
    store: ObjectStore | None = None

    def fetch(self, file_id: int, file_name: str) -> Path:
        """The image of a file.

        An object of another bucket, one that was replaced since it was imported, and a file that came from elsewhere
        are fetched from Diffgram, which keeps the bytes that people saw.

        Raises:
            ImageRejected: It cannot be decoded, or is too large.
            StorageError, DiffgramError: Why it cannot be had.
        """
        row = self.objects.get(file_id)
        if row is not None and self.store is not None and row.object.bucket == self.store.bucket:
            try:
                return self.cache.fetch(row, self.store)
            except ObjectNotFound:
                pass
        name = f"{file_id}/{file_name}"  # names of files that are not ours may come again with other bytes
        path = self.cache.path(name)
        return path if path.is_file() else self.cache.fetch_url(name, self.client.signed_url(file_id))

    def fetch_many(
        self, names: Mapping[int, str], *, threads: int = 8, progress: Progress = no_progress
    ) -> tuple[dict[int, Path], tuple[Failure, ...]]:
        """The images of many files by file id, and those that could not be had.

        Args:
            names: File id to file name.
            threads: How many are fetched at the same time.
            progress: Told how many are here.

        Raises:
            StorageUnavailable, ServerUnreachable, ServerError: The bucket or the server is down.
        """
        found: dict[int, Path] = {}
        failures: list[Failure] = []
        outcomes = gather(lambda item: self.fetch(*item), names.items(), threads=threads, progress=progress)
        for (file_id, file_name), outcome in outcomes:
            if isinstance(outcome, DiffgramFlowsError):
                failures.append(Failure(file_name, str(outcome)))
            else:
                found[file_id] = outcome
        return found, tuple(failures)
