"""Where the image of a Diffgram file comes from: the bucket if it can, Diffgram's own copy if it must."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diffgram_flows.datasets.gathering import gather
from diffgram_flows.datasets.images import CachedImage, ImageCache, file_key, object_key
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

    def fetch(self, file_id: int, file_name: str) -> CachedImage:
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
        key = file_key(self.client.url, file_id, file_name)
        return self.cache.fetch_url(key, file_name, lambda: self.client.signed_url(file_id))

    def fetch_many(
        self, names: Mapping[int, str], *, threads: int = 8, progress: Progress = no_progress
    ) -> tuple[dict[int, CachedImage], tuple[Failure, ...]]:
        """The images of many files by file id, and those that could not be had.

        Those that are here already cost one look into the cache's index for all of them.

        Args:
            names: File id to file name.
            threads: How many are fetched at the same time.
            progress: Told how many are here.

        Raises:
            StorageUnavailable, ServerUnreachable, ServerError: The bucket or the server is down.
        """
        found = self._here(names)
        missing = {file_id: name for file_id, name in names.items() if file_id not in found}
        failures: list[Failure] = []

        def told(done: int, total: int, note: str = "") -> None:
            progress(len(names) - total + done, len(names), note)

        if names and not missing:
            progress(len(names), len(names))
        for (file_id, file_name), outcome in gather(
            lambda item: self.fetch(*item), missing.items(), threads=threads, progress=told
        ):
            if isinstance(outcome, DiffgramFlowsError):
                failures.append(Failure(file_name, str(outcome)))
            else:
                found[file_id] = outcome
        return {file_id: found[file_id] for file_id in names if file_id in found}, tuple(failures)

    def _here(self, names: Mapping[int, str]) -> dict[int, CachedImage]:
        """Those that are in the cache: from the bucket, or else from Diffgram."""
        objects = {key: id_ for id_ in names if (row := self.objects.get(id_)) is not None and (key := object_key(row))}
        found = {objects[key]: image for key, image in self.cache.here(objects).items()}
        files = {file_key(self.client.url, id_, name): id_ for id_, name in names.items() if id_ not in found}
        found.update((files[key], image) for key, image in self.cache.here(files).items())
        return found
