"""A folder in a bucket of Google Cloud Storage."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from diffgram_flows.storage.base import READ_LIMIT, split_uri
from diffgram_flows.storage.folder_local import staged
from diffgram_flows.storage.folders import PROBE, BaseFolder, checked, heedless, too_much, unfinished, writing
from diffgram_flows.storage.gcs import PAGE_SIZE, RETRY_SECONDS, TIMEOUT
from diffgram_flows.storage.gcs_credentials import load_credentials
from diffgram_flows.storage.gcs_errors import translated
from diffgram_flows.storage.settings import StorageSettings

_WRITER = "writer"
_RIGHTS = "storage.objects.create and storage.objects.delete (roles/storage.objectUser)"


def open_uri(uri: str, settings: StorageSettings) -> GoogleFolder:
    """The folder of ``gs://bucket/prefix``.

    Raises:
        ConfigurationError: It names no bucket.
    """
    _, bucket, prefix = split_uri(uri)
    return GoogleFolder(_Connection(bucket, settings), prefix)


class _Connection:
    """One client for a bucket, made when it is first needed; and whether the bucket keeps conditional writes."""

    def __init__(self, name: str, settings: StorageSettings) -> None:
        self.name = name
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Any = None
        self._project: str | None = None
        self.kept = not (settings.gcs_endpoint or os.environ.get("STORAGE_EMULATOR_HOST"))  # Google itself does

    @property
    def bucket(self) -> Any:
        from google.cloud import storage

        with self._lock, translated(f"gs://{self.name}"):
            if self._client is None:
                credentials, self._project = load_credentials(self._settings)
                endpoint = self._settings.gcs_endpoint
                options = {"api_endpoint": endpoint} if endpoint else None
                self._client = storage.Client(project=self._project, credentials=credentials, client_options=options)
            payer = self._project if self._settings.requester_pays else None
            return self._client.bucket(self.name, user_project=payer)

    def close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None


class GoogleFolder(BaseFolder):
    """A prefix of a bucket that is ours. Conditional writes are tried out once where the server is not Google's."""

    def __init__(self, connection: _Connection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix.strip("/") + "/" if prefix.strip("/") else ""
        super().__init__(f"gs://{connection.name}/{self._prefix}")

    def list(self, prefix: str = "") -> Iterator[str]:
        with translated(self.uri, is_bucket=True):
            found = self._connection.bucket.list_blobs(
                prefix=self._prefix + prefix or None,
                fields="items(name),nextPageToken",
                page_size=PAGE_SIZE,
                **_patience(),
            )
            names = (blob.name.removeprefix(self._prefix) for blob in found)
            yield from (name for name in names if not unfinished(name))

    def read(self, name: str, *, limit: int = READ_LIMIT) -> bytes:
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        content = b""
        with translated(self._uri(name)), suppress(RequestRangeNotSatisfiable):  # so it says where nothing is in it
            content = self._blob(name).download_as_bytes(raw_download=True, end=limit, checksum=None, **_patience())
        if len(content) > limit:
            raise too_much(self._uri(name), limit)
        return content

    def download(self, name: str, path: Path) -> None:
        with staged(path) as part:
            with translated(self._uri(name)):
                self._blob(name).download_to_filename(str(part), raw_download=True, **_patience())
            part.replace(path)

    def put(self, name: str, content: bytes | Path) -> None:
        with translated(self._uri(name), is_bucket=True), writing(_RIGHTS):
            self._upload(self._blob(name), content)

    def put_new(self, name: str, content: bytes | Path) -> bool:
        with writing(_RIGHTS):
            if not self._connection.kept:
                # An old probe is refused at once; a new one tells at the second try.
                if self._create(PROBE, b"") and self._create(PROBE, b""):
                    raise heedless(self.uri)
                self._connection.kept = True
            return self._create(checked(name), content)

    def delete(self, name: str) -> None:
        from google.api_core.exceptions import NotFound

        with translated(self._uri(name)), writing(_RIGHTS), suppress(NotFound):
            self._blob(name).delete(**_patience())

    def child(self, name: str) -> GoogleFolder:
        return GoogleFolder(self._connection, self._prefix + checked(name))

    def close(self) -> None:
        self._connection.close()

    def _create(self, name: str, content: bytes | Path) -> bool:
        """Write what is not there. A lost reply is repeated by the library, so who wrote it is asked afterwards."""
        from google.api_core.exceptions import PreconditionFailed

        blob, writer = self._blob(name), uuid.uuid4().hex
        blob.metadata = {_WRITER: writer}
        with translated(self._uri(name), is_bucket=True):
            try:
                self._upload(blob, content, if_generation_match=0)
                return True
            except PreconditionFailed:
                there = self._blob(name)
                there.reload(**_patience())
                return (there.metadata or {}).get(_WRITER) == writer

    def _upload(self, blob: Any, content: bytes | Path, **condition: int) -> None:
        arguments = {**condition, **_patience(), "content_type": "application/octet-stream"}
        if isinstance(content, Path):
            blob.upload_from_filename(str(content), **arguments)
        else:
            blob.upload_from_string(content, **arguments)

    def _blob(self, name: str) -> Any:
        return self._connection.bucket.blob(self._prefix + checked(name))

    def _uri(self, name: str) -> str:
        return f"{self.uri}/{name}"


def _patience() -> dict[str, Any]:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return {"timeout": TIMEOUT, "retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS)}
