"""Amazon S3, and every server that speaks its language, through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
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
from diffgram_flows.storage.media import media_type
from diffgram_flows.storage.s3_client import at_aws, credential_life, open_client, open_session
from diffgram_flows.storage.s3_errors import translated
from diffgram_flows.storage.s3_pages import ENTRIES, Entry
from diffgram_flows.storage.s3_signing import S3Signer
from diffgram_flows.storage.settings import StorageSettings
from diffgram_flows.storage.store import BaseStore, refuse_unfetchable

HEADS_AT_ONCE = 8
"""Objects whose version is asked for at the same time."""


def open_uri(uri: str, settings: StorageSettings) -> tuple[S3Store, str]:
    """The store and the prefix of ``s3://bucket/prefix``.

    Raises:
        ConfigurationError: It names no bucket, or a directory bucket.
    """
    _, bucket, prefix = split_uri(uri)
    if bucket.endswith("--x-s3"):
        raise ConfigurationError(
            f"{uri!r} is a directory bucket (S3 Express), which lists its keys in no order.",
            cure="Use a general purpose bucket: an interrupted import could not be resumed from this one.",
        )
    return S3Store(bucket, settings), prefix


class S3Store(BaseStore):
    """One S3 bucket. The version of an object is its ETag; reads are pinned to it.

    URLs are not, as only a header could do it, which a plain GET does not send. With ``s3_pin_versions`` they name the
    version id, which a HEAD asks for when the URL is made: listing versions instead would list all old ones of every
    key and all delete markers, and would make objects that are known by their ETag look new.
    No call goes out before the first one that needs an answer, which also asks for the bucket's region.

    Args:
        name: Of the bucket.
        settings: How to reach it (``s3_*``, ``requester_pays`` and ``content_type_by_suffix``).
    """

    def __init__(self, name: str, settings: StorageSettings | None = None) -> None:
        self.bucket = f"s3://{name}"
        self._name = name
        self._settings = settings or StorageSettings()
        self._signing_threads = HEADS_AT_ONCE if self._settings.s3_pin_versions else 1

    @cached_property
    def _session(self) -> Any:
        with translated(self.bucket):
            return open_session(self._settings)

    @cached_property
    def _client(self) -> Any:
        with translated(self.bucket):
            return open_client(self._session, self._name, self._settings)

    @cached_property
    def _signer(self) -> S3Signer:
        return S3Signer(self._session, self._client, self._name, requester_pays=self._settings.requester_pays)

    @property
    def region(self) -> str:
        """Where the bucket lives."""
        return str(self._client.meta.region_name)

    def check(self) -> None:
        with translated(self.bucket):
            self._client.list_objects_v2(**self._listing(), MaxKeys=1)

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        bucket = self.bucket
        for page in self._pages(prefix, after, 1000):
            for key, size, etag, modified, storage_class in page:
                if until is not None and key > until:
                    return
                yield StoredObject(bucket, key, size, etag, modified, storage_class)

    def _first_after(self, prefix: str, after: str | None) -> str | None:
        return next((page[0][0] for page in self._pages(prefix, after, 1) if page), None)

    def _pages(self, prefix: str, after: str | None, size: int) -> Iterator[list[Entry]]:
        place = {"StartAfter": after} if after else {}
        with translated(self.bucket):
            while True:
                page = self._client.list_objects_v2(**self._listing(), Prefix=prefix, MaxKeys=size, **place)
                yield page[ENTRIES]
                if not page["IsTruncated"] or not page[ENTRIES]:
                    return
                token = page.get("NextContinuationToken")  # some servers forget it
                place = {"ContinuationToken": token} if token else {"StartAfter": page[ENTRIES][-1][0]}

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        refuse_unfetchable(obj)
        with translated(obj.uri):
            params = self._params(obj)
            seconds, expires_at = grant(ttl, self.max_ttl(), obj.uri)
            return Lease(self._signer.sign(obj.key, seconds, params), expires_at, obj.uri)

    def max_ttl(self) -> timedelta:
        with translated(self.bucket):
            return min(MAX_SIGNED_TTL, credential_life(self._session))

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT) -> bytes:
        last = last_byte(obj, start, length, limit)
        if last < start:
            return b""
        with translated(obj.uri):
            return within(self._get(obj, start, last), obj, limit)

    def close(self) -> None:
        self.__dict__.pop("_signer", None)
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _payer(self) -> dict[str, str]:
        return {"RequestPayer": "requester"} if self._settings.requester_pays else {}

    def _listing(self) -> dict[str, Any]:
        # Only Amazon knows of copies taken out of an archive; other servers might not like to be asked.
        restored = {"OptionalObjectAttributes": ["RestoreStatus"]} if at_aws(self._client) else {}
        return {"Bucket": self._name, "EncodingType": "url", **self._payer(), **restored}

    def _params(self, obj: StoredObject) -> dict[str, str]:
        """What a URL of the object says besides its key."""
        params = {}
        media = media_type(obj.key) if self._settings.content_type_by_suffix else ""
        if media:
            params["response-content-type"] = media
        if self._settings.s3_pin_versions:
            head = self._client.head_object(Bucket=self._name, Key=obj.key, IfMatch=f'"{obj.version}"', **self._payer())
            version = head.get("VersionId", "null")
            if version != "null":  # kept from before the bucket had versions, and replaced in place
                params["versionId"] = version
        return params

    def _get(self, obj: StoredObject, first: int, last: int) -> bytes:
        """The bytes of a range, ends included; none if it lies behind the object's end."""
        from botocore.exceptions import ClientError, IncompleteReadError

        try:
            reply = self._client.get_object(
                Bucket=self._name,
                Key=obj.key,
                Range=f"bytes={first}-{last}",
                IfMatch=f'"{obj.version}"',
                **self._payer(),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRange":
                return b""
            raise
        with closing(reply["Body"]) as body:
            data: bytes = body.read(last - first + 1)
        if len(data) < reply.get("ContentLength", 0):  # botocore notices this only where everything is read
            raise IncompleteReadError(actual_bytes=len(data), expected_bytes=reply["ContentLength"])
        return data
