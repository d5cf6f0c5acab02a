"""Google Cloud Storage, through google-cloud-storage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.base import (
    MAX_SIGNED_TTL,
    READ_LIMIT,
    grant,
    last_byte,
    split_uri,
    within,
)
from diffgram_flows.storage.gcs_credentials import hmac_signer, load_credentials, longest_ttl, signer_of
from diffgram_flows.storage.gcs_errors import translated
from diffgram_flows.storage.media import media_type
from diffgram_flows.storage.settings import StorageSettings
from diffgram_flows.storage.sigv4 import LibrarySigner, UrlSigner
from diffgram_flows.storage.store import BaseStore, refuse_unfetchable

TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for a byte."""

RETRY_SECONDS = 20.0
"""For how long a call is repeated after answers that a repetition can change."""

PAGE_SIZE = 1000
"""Objects a page of a listing, the most that Google gives."""

SIGNED_AT_ONCE = 8
"""URLs that Google signs for us at the same time."""

_FIELDS = "items(name,size,generation,updated,storageClass),nextPageToken"
"""Without it Google sends, and Python parses, ten times as much a page."""


def open_uri(uri: str, settings: StorageSettings) -> tuple[GoogleStore, str]:
    """The store and the prefix of ``gs://bucket/prefix``.

    Raises:
        ConfigurationError: It names no bucket.
    """
    _, bucket, prefix = split_uri(uri)
    return GoogleStore(bucket, settings), prefix


class GoogleStore(BaseStore):
    """One bucket of Google Cloud Storage. The version of an object is its generation; URLs and reads are pinned to it.

    Args:
        name: Of the bucket.
        settings: How to reach it (``gcs_*``, ``requester_pays`` and ``content_type_by_suffix``).
    """

    def __init__(self, name: str, settings: StorageSettings | None = None) -> None:
        self.bucket = f"gs://{name}"
        self._name = name
        self._settings = settings or StorageSettings()

    @cached_property
    def _identity(self) -> tuple[Any, str | None]:
        return load_credentials(self._settings)

    @cached_property
    def _client(self) -> Any:
        from google.cloud import storage

        credentials, project = self._identity
        endpoint = self._settings.gcs_endpoint
        options = {"api_endpoint": endpoint} if endpoint else None
        return storage.Client(project=project, credentials=credentials, client_options=options)

    @cached_property
    def _signer(self) -> Any:
        credentials, _ = self._identity
        return signer_of(credentials)

    @cached_property
    def _hmac(self) -> UrlSigner | LibrarySigner | None:
        return hmac_signer(self._name, self._settings) if self._settings.gcs_hmac else None

    @property
    def _signing_threads(self) -> int:  # type: ignore[override]
        """Where Google signs, each URL is a call."""
        return SIGNED_AT_ONCE if self.max_ttl() < MAX_SIGNED_TTL else 1

    @cached_property
    def _payer(self) -> str | None:
        """The project that is charged, where it is not the owner's."""
        if not self._settings.requester_pays:
            return None
        _, project = self._identity
        if project is None:
            raise ConfigurationError(
                f"{self.bucket} is paid by the requester, but no project is known that could pay.",
                cure="Set GOOGLE_CLOUD_PROJECT, or use the key file of a service account.",
            )
        return project

    def check(self) -> None:
        with translated(self.bucket, is_bucket=True):
            next(iter(self._list(max_results=1)), None)

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        with translated(self.bucket, is_bucket=True):
            for blob in self._list(prefix=prefix or None, start_offset=after or None, page_size=PAGE_SIZE):
                if until is not None and blob.name > until:
                    return
                if blob.name != after:  # Google's offset includes the key itself
                    yield self._stored(blob)

    def _first_after(self, prefix: str, after: str | None) -> str | None:
        with translated(self.bucket, is_bucket=True):
            names = (blob.name for blob in self._list(prefix=prefix or None, start_offset=after or None, max_results=2))
            return next((name for name in names if name != after), None)

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        refuse_unfetchable(obj)
        with translated(obj.uri):
            seconds, expires_at = grant(ttl, self.max_ttl(), obj.uri)
            url = self._hmac_url(obj, seconds) if self._hmac else self._rsa_url(obj, seconds)
        return Lease(url=url, expires_at=expires_at, uri=obj.uri)

    def max_ttl(self) -> timedelta:
        if self._hmac:
            return MAX_SIGNED_TTL
        credentials, _ = self._identity
        return longest_ttl(credentials)

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT) -> bytes:
        last = last_byte(obj, start, length, limit)
        if last < start:
            return b""
        with translated(obj.uri):
            return within(self._get(obj, start, last), obj, limit)

    def close(self) -> None:
        signer = self.__dict__.pop("_signer", None)
        if hasattr(signer, "close"):
            signer.close()
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    @property
    def _retry(self) -> Any:
        from google.cloud.storage.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(RETRY_SECONDS)

    def _list(self, **arguments: Any) -> Any:
        bucket = self._client.bucket(self._name, user_project=self._payer)
        return self._client.list_blobs(bucket, fields=_FIELDS, timeout=TIMEOUT, retry=self._retry, **arguments)

    def _hmac_url(self, obj: StoredObject, seconds: int) -> str:
        params = {"generation": obj.version}
        if self._payer:
            params["userProject"] = self._payer
        if media := self._media_type(obj):
            params["response-content-type"] = media
        if self._hmac is None:
            raise TypeError("there is no HMAC key")
        return self._hmac.sign(obj.key, seconds, params)

    def _rsa_url(self, obj: StoredObject, seconds: int) -> str:
        url: str = self._blob(obj).generate_signed_url(
            version="v4",
            method="GET",
            expiration=timedelta(seconds=seconds),
            generation=obj.version,
            response_type=self._media_type(obj) or None,
            query_parameters={"userProject": self._payer} if self._payer else None,
            credentials=self._signer,
        )
        return url

    def _media_type(self, obj: StoredObject) -> str:
        return media_type(obj.key) if self._settings.content_type_by_suffix else ""

    def _blob(self, obj: StoredObject) -> Any:
        bucket = self._client.bucket(self._name, user_project=self._payer)
        return bucket.blob(obj.key, generation=obj.version)

    def _stored(self, blob: Any) -> StoredObject:
        modified: datetime = blob.updated
        return StoredObject(
            bucket=self.bucket,
            key=blob.name,
            size=blob.size,
            version=str(blob.generation),
            modified=modified.astimezone(UTC),
            storage_class=blob.storage_class or "",
        )

    def _get(self, obj: StoredObject, first: int, last: int) -> bytes:
        """The bytes of a range, ends included, as they are stored; none if it lies behind the object's end."""
        from google.api_core.exceptions import RequestRangeNotSatisfiable

        try:
            data: bytes = self._blob(obj).download_as_bytes(
                start=first,
                end=last,
                raw_download=True,  # unpacking what is stored compressed could exceed any limit
                checksum=None,  # Google's is of the whole object
                timeout=TIMEOUT,
                retry=self._retry,
            )
        except RequestRangeNotSatisfiable:
            return b""
        return data
