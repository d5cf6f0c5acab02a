"""A bucket whose content is read in its inventory instead of listed, which spares a call for every thousand keys.

S3 Inventory and Google's inventory reports write once a day or week what is in a bucket into files of another bucket.
``StorageSettings.inventory`` names the folder of those (or one ``manifest.json``); the newest complete one is used. Its
files are in no order, so they are sorted on disk first. Signing and reading go to the bucket itself, where a younger
object is not found in the inventory, and an older one may be gone: that one's import fails, as a deleted object's does.
"""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.base import READ_LIMIT, KeyRange, ObjectStore, OnFailure
from diffgram_flows.storage.inventory_files import read_rows
from diffgram_flows.storage.inventory_manifest import download, newest_manifest
from diffgram_flows.storage.sorting import SortedRows
from diffgram_flows.storage.store import BaseStore

log = logging.getLogger(__name__)


class InventoryStore(BaseStore):
    """The objects of a bucket as its newest inventory tells them, once in the life of the store.

    It needs room in the folder for temporary files: about 250 bytes an object while it sorts, half of that afterwards.

    Args:
        bucket: The store that signs and reads.
        shelf: The store in which the inventories lie.
        folder: Where in it, or the key of one manifest.
    """

    def __init__(self, bucket: ObjectStore, shelf: ObjectStore, folder: str) -> None:
        self.bucket = bucket.bucket
        self.urls_die_with_it = bucket.urls_die_with_it
        self._bucket, self._shelf, self._folder = bucket, shelf, folder
        self._reading = threading.Lock()
        self._rows: SortedRows | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @property
    def region(self) -> str:
        """Where the bucket itself lives."""
        return str(getattr(self._bucket, "region", ""))

    def check(self) -> None:
        """Make sure that there is an inventory; whether the bucket may be listed does not matter."""
        newest_manifest(self._shelf, self._folder, self.bucket)

    def plan_ranges(self, prefix: str = "", n: int = 16) -> list[KeyRange]:
        return self._sorted().ranges(prefix, n)

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        for key, size, version, modified, storage_class in self._sorted().rows(prefix, after, until):
            yield StoredObject(self.bucket, key, size, version, modified, storage_class)

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        return self._bucket.lease(obj, ttl)

    def sign_many(
        self, objects: Iterable[StoredObject], ttl: timedelta, *, on_failure: OnFailure | None = None
    ) -> Iterator[Lease]:
        return self._bucket.sign_many(objects, ttl, on_failure=on_failure)

    def max_ttl(self) -> timedelta:
        return self._bucket.max_ttl()

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT) -> bytes:
        return self._bucket.read(obj, start=start, length=length, limit=limit)

    def close(self) -> None:
        self._bucket.close()
        self._shelf.close()
        with self._reading:
            self._rows = None
            if self._temporary is not None:
                self._temporary.cleanup()
                self._temporary = None

    def _sorted(self) -> SortedRows:
        with self._reading:
            if self._rows is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="inventory-")
                self._rows = self._read(Path(self._temporary.name))
            return self._rows

    def _read(self, folder: Path) -> SortedRows:
        manifest = newest_manifest(self._shelf, self._folder, self.bucket)
        log.info("Reading the inventory of %s of %s.", self.bucket, manifest.time)
        rows = SortedRows(folder)
        read = 0
        for file in manifest.files:
            path = folder / "data"
            download(self._shelf, file, path)
            for row in read_rows(path, file.key, manifest, self.bucket):
                read += 1
                if row is not None:
                    rows.add(row)
            path.unlink()
        manifest.check_count(read)
        rows.sort()
        return rows
