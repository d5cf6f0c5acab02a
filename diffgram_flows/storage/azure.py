"""Azure Blob Storage, through azure-storage-blob, which is the extra ``azure``. Imports it inside the functions only.

Two ways to sign. An account key (``AZURE_STORAGE_KEY``, or the one in ``AZURE_STORAGE_CONNECTION_STRING``) signs for as
long as wanted; everybody else (a managed identity, a service principal, a person) asks Azure for a delegation key that
lives for seven days, and signs with that.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote

from diffgram_flows.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    DiffgramFlowsError,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.base import (
    CREDENTIAL_MARGIN,
    MAX_SIGNED_TTL,
    READ_LIMIT,
    grant,
    last_byte,
    split_uri,
    within,
)
from diffgram_flows.storage.media import media_type
from diffgram_flows.storage.settings import StorageSettings
from diffgram_flows.storage.store import BaseStore, refuse_unfetchable

KEY, CONNECTION_STRING = "AZURE_STORAGE_KEY", "AZURE_STORAGE_CONNECTION_STRING"
"""Names in the environment."""

PAGE_SIZE = 5000
"""Objects a page of a listing, the most that Azure gives."""

ATTEMPTS = 4

_LOGIN = (
    f"Set {KEY} or {CONNECTION_STRING}, or give this machine an identity with the role Storage Blob Data Reader "
    "(and Storage Blob Delegator, to sign)."
)
_RELIST = "List the container again."


def open_uri(uri: str, settings: StorageSettings) -> tuple[AzureStore, str]:
    """The store and the prefix of ``az://account/container/prefix``.

    Raises:
        ConfigurationError: It names no container, or the extra is not installed.
    """
    _, account, rest = split_uri(uri)
    container, _, prefix = rest.partition("/")
    if not container:
        raise ConfigurationError(f"{uri!r} names no container.", cure="Write it as az://account/container/prefix.")
    if find_spec("azure") is None or find_spec("azure.storage.blob") is None:
        raise ConfigurationError(
            f"{uri!r} cannot be opened without azure-storage-blob.", cure="pip install 'diffgram-flows[azure]'"
        )
    return AzureStore(account, container, settings), prefix


class AzureStore(BaseStore):
    """One container. The version of an object is its ETag; reads are pinned to it, URLs cannot be.

    Keys are taken to be listed in the order of their UTF-8 bytes. Azurite compares UTF-16, and Azure does not say: keys
    with characters beyond U+FFFF next to others from U+E000 on should be listed as a whole, not in ranges.

    Args:
        account: Name of the storage account.
        container: Its name.
        settings: How to reach it (``azure_endpoint`` and ``content_type_by_suffix``).
    """

    def __init__(self, account: str, container: str, settings: StorageSettings | None = None) -> None:
        self.bucket = f"az://{account}/{container}"
        self._account, self._name = account, container
        self._settings = settings or StorageSettings()
        self._delegation: tuple[Any, datetime] | None = None
        self._delegating = threading.Lock()

    @cached_property
    def _account_key(self) -> str | None:
        text = os.environ.get(CONNECTION_STRING, "")
        told = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
        return os.environ.get(KEY) or told.get("AccountKey")

    @cached_property
    def _service(self) -> Any:
        from azure.storage.blob import BlobServiceClient

        endpoint = self._settings.azure_endpoint or f"https://{self._account}.blob.core.windows.net"
        credential: Any = {"account_name": self._account, "account_key": self._account_key}
        if self._account_key is None:
            credential = self._identity
        try:
            return BlobServiceClient(
                endpoint, credential=credential, connection_timeout=10, read_timeout=60, retry_total=ATTEMPTS - 1
            )
        except ValueError as error:
            raise ConfigurationError("azure_endpoint is not a URL.", cure="Write it as https://host.") from error

    @cached_property
    def _identity(self) -> Any:
        if find_spec("azure.identity") is None:
            raise ConfigurationError(
                f"There is no key for {self.bucket}.", cure=f"Set {KEY}, or install azure-identity."
            )
        from azure.identity import DefaultAzureCredential

        return DefaultAzureCredential()

    @cached_property
    def _container(self) -> Any:
        return self._service.get_container_client(self._name)

    def check(self) -> None:
        with _translated(self.bucket):
            next(iter(self._container.list_blobs(results_per_page=1)), None)

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        yield from self._list(prefix, after, until, PAGE_SIZE)

    def _first_after(self, prefix: str, after: str | None) -> str | None:
        return next((obj.key for obj in self._list(prefix, after, None, 2)), None)

    def _list(self, prefix: str, after: str | None, until: str | None, size: int) -> Iterator[StoredObject]:
        # Where Azure starts is inclusive, and must lie below the prefix.
        start = {"start_from": after} if after and after > prefix else {}
        with _translated(self.bucket):
            for blob in self._container.list_blobs(name_starts_with=prefix or None, results_per_page=size, **start):
                if until is not None and blob.name > until:
                    return
                if after is None or blob.name > after:
                    yield self._stored(blob)

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        from azure.storage.blob import BlobSasPermissions, generate_blob_sas

        refuse_unfetchable(obj)
        with _translated(obj.uri):
            _, expires_at = grant(ttl, self.max_ttl(), obj.uri)
            key, _ = self._delegated() if self._account_key is None else (None, None)
            token = generate_blob_sas(
                self._account,
                self._name,
                obj.key,
                account_key=self._account_key,
                user_delegation_key=key,
                permission=BlobSasPermissions(read=True),
                expiry=expires_at,
                content_type=(media_type(obj.key) or None) if self._settings.content_type_by_suffix else None,
            )
        return Lease(f"{self._container.url}/{quote(obj.key, safe='/~')}?{token}", expires_at, obj.uri)

    def max_ttl(self) -> timedelta:
        if self._account_key is not None:
            return MAX_SIGNED_TTL
        with _translated(self.bucket):
            _, end = self._delegated()
        return max(timedelta(), end - datetime.now(UTC) - CREDENTIAL_MARGIN)

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT) -> bytes:
        last = last_byte(obj, start, length, limit)
        if last < start:
            return b""
        with _translated(obj.uri):
            return within(self._get(obj, start, last), obj, limit)

    def close(self) -> None:
        for name in ("_container", "_service", "_identity"):
            client = self.__dict__.pop(name, None)
            if client is not None:
                client.close()

    def _delegated(self) -> tuple[Any, datetime]:
        """A key that signs for this identity and its end, renewed when half of its life is over."""
        with self._delegating:
            now = datetime.now(UTC)
            if self._delegation is None or self._delegation[1] - now < MAX_SIGNED_TTL / 2:
                end = now.replace(microsecond=0) + MAX_SIGNED_TTL
                key = self._service.get_user_delegation_key(key_start_time=now - CREDENTIAL_MARGIN, key_expiry_time=end)
                self._delegation = key, end
            return self._delegation

    def _stored(self, blob: Any) -> StoredObject:
        return StoredObject(
            bucket=self.bucket,
            key=blob.name,
            size=blob.size,
            version=str(blob.etag).strip('"'),
            modified=blob.last_modified.astimezone(UTC),
            storage_class=str(getattr(blob.blob_tier, "value", blob.blob_tier) or ""),
        )

    def _get(self, obj: StoredObject, first: int, last: int) -> bytes:
        """The bytes of a range, ends included, as they are stored; none if it lies behind the object's end."""
        from azure.core import MatchConditions
        from azure.core.exceptions import HttpResponseError

        try:
            stream = self._container.get_blob_client(obj.key).download_blob(
                offset=first,
                length=last - first + 1,
                etag=f'"{obj.version}"',
                match_condition=MatchConditions.IfNotModified,
                decompress=False,
            )
            data: bytes = stream.readall()
        except HttpResponseError as error:
            if error.status_code == 416:
                return b""
            raise
        return data


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Raise our errors for those of Azure's library that happen inside; its own texts may hold URLs."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    try:
        yield
    except ClientAuthenticationError as error:
        if error.status_code is None:  # no identity was found at all
            raise ConfigurationError(f"There is no Azure credential for {uri}.", cure=_LOGIN) from error
        raise AccessDenied(f"Azure refuses the credential for {uri} ({error.status_code}).", cure=_LOGIN) from error
    except HttpResponseError as error:
        raise _from_reply(uri, int(error.status_code or 0), str(getattr(error, "error_code", "") or "")) from error
    except AzureError as error:
        raise StorageUnavailable(
            f"Azure does not answer for {uri} ({type(error).__name__}).", cure="Check the network and azure_endpoint."
        ) from error


def _from_reply(uri: str, status: int, code: str) -> DiffgramFlowsError:
    code = code.rpartition(".")[2]
    if code in ("ContainerNotFound", "CONTAINER_NOT_FOUND"):
        return BucketNotFound(f"There is no container {uri}.", cure="Check its name and the account.")
    if code in ("BlobArchived", "BLOB_ARCHIVED"):
        return AccessDenied(f"{uri} lies in the archive tier.", cure="Rehydrate it first, or skip it.")
    if status in (404, 412):
        return ObjectNotFound(f"{uri} does not exist, or was replaced since it was listed.", cure=_RELIST)
    if status in (401, 403):
        return AccessDenied(f"The credential may not use {uri} ({status} {code}).", cure=_LOGIN)
    if status == 429 or status >= 500:
        return StorageUnavailable(f"{uri}: Azure answered {status} {code}.", cure="Try again later.")
    return StorageError(f"{uri}: Azure answered {status} {code}.", cure="Look at the cause below.")
