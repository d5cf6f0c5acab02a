"""Amazon S3, and every server that speaks its language, through boto3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
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
from diffgram_flows.storage.s3_client import credential_life, open_client, open_session
from diffgram_flows.storage.s3_errors import translated
from diffgram_flows.storage.settings import StorageSettings
from diffgram_flows.storage.store import BaseStore, refuse_unfetchable


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
    """One S3 bucket. The version of an object is its ETag.

    URLs are not pinned to that version (only a header could do it, which a plain GET does not send); reads are.
    No call goes out before the first one that needs an answer, which also asks for the bucket's region.

    Args:
        name: Of the bucket.
        settings: How to reach it (``s3_*`` and ``requester_pays``).
    """

    def __init__(self, name: str, settings: StorageSettings | None = None) -> None:
        self.bucket = f"s3://{name}"
        self._name = name
        self._settings = settings or StorageSettings()

    @cached_property
    def _session(self) -> Any:
        with translated(self.bucket):
            return open_session(self._settings)

    @cached_property
    def _client(self) -> Any:
        with translated(self.bucket):
            return open_client(self._session, self._name, self._settings)

    def check(self) -> None:
        with translated(self.bucket):
            self._client.list_objects_v2(**self._listing(), MaxKeys=1)

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        start = {"StartAfter": after} if after else {}
        with translated(self.bucket):
            pages = self._client.get_paginator("list_objects_v2").paginate(**self._listing(), Prefix=prefix, **start)
            for page in pages:
                for entry in page.get("Contents", ()):
                    if until is not None and entry["Key"] > until:
                        return
                    yield self._stored(entry)

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        refuse_unfetchable(obj)
        with translated(obj.uri):
            seconds, expires_at = grant(ttl, self.max_ttl(), obj.uri)
            url: str = self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._name, "Key": obj.key}, ExpiresIn=seconds
            )
        return Lease(url=url, expires_at=expires_at, uri=obj.uri)

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
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def _listing(self) -> dict[str, str]:
        payer = {"RequestPayer": "requester"} if self._settings.requester_pays else {}
        return {"Bucket": self._name, **payer}

    def _stored(self, entry: dict[str, Any]) -> StoredObject:
        modified: datetime = entry["LastModified"]
        return StoredObject(
            bucket=self.bucket,
            key=entry["Key"],
            size=entry["Size"],
            version=entry["ETag"].strip('"'),
            modified=modified.astimezone(UTC),
            storage_class=entry.get("StorageClass", ""),
        )

    def _get(self, obj: StoredObject, first: int, last: int) -> bytes:
        """The bytes of a range, ends included; none if it lies behind the object's end."""
        from botocore.exceptions import ClientError

        try:
            reply = self._client.get_object(
                Bucket=self._name, Key=obj.key, Range=f"bytes={first}-{last}", IfMatch=f'"{obj.version}"'
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRange":
                return b""
            raise
        with closing(reply["Body"]) as body:
            data: bytes = body.read(last - first + 1)
        return data
