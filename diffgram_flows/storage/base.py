"""What a bucket is to the rest of the package, and the rules that hold for every provider."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol, Self

from diffgram_flows.errors import ConfigurationError, SigningError, StorageError
from diffgram_flows.models import Lease, StoredObject

MAX_SIGNED_TTL = timedelta(days=7)
"""The longest life of a V4 signature, on S3 and on Google Cloud Storage alike."""

MIN_SIGNED_TTL = timedelta(minutes=5)
"""A credential that lives shorter than this cannot sign anything that a queue will fetch in time."""

CREDENTIAL_MARGIN = timedelta(minutes=5)
"""A URL dies with the credential that signed it, so its lease ends this much earlier."""

READ_LIMIT = 200 * 2**20
"""Bytes that :meth:`ObjectStore.read` returns at most, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """How to reach the buckets. Everything is optional; what is left out is what boto3 and Google's library find.

    No secret is in here: keys come from the environment, a profile, a key file or the machine's own identity.

    Attributes:
        s3_endpoint: URL of an S3-compatible server, else ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` or AWS itself.
        s3_region: Region to start from; the bucket's own region is asked for anyway, and wins.
        s3_profile: Profile of the shared AWS configuration, else ``AWS_PROFILE``.
        s3_path_style: Whether the bucket stands in the path; ``None`` does so for other servers than AWS and for
            names with dots, which no wildcard certificate covers.
        requester_pays: Whether whoever downloads is charged, by the owner's configuration of the bucket.
        gcs_endpoint: URL of another server than Google's, else ``STORAGE_EMULATOR_HOST``.
        gcs_key_file: JSON key of a service account, else ``GOOGLE_APPLICATION_CREDENTIALS`` or the machine's identity.
        file_host: Address on which the server of a local folder listens.
        file_port: Its port, 0 for a free one.
        file_public_url: Under which URL others reach that server, if not under its address and port.
    """

    s3_endpoint: str | None = None
    s3_region: str | None = None
    s3_profile: str | None = None
    s3_path_style: bool | None = None
    requester_pays: bool = False
    gcs_endpoint: str | None = None
    gcs_key_file: str | None = None
    file_host: str = "127.0.0.1"
    file_port: int = 0
    file_public_url: str | None = None


class ObjectStore(Protocol):
    """One bucket. Safe to share between threads."""

    @property
    def bucket(self) -> str:
        """Root URI without a trailing slash: ``s3://photos``, ``gs://photos``, ``file:///data/photos``."""

    def check(self) -> None:
        """Make sure, with one cheap call, that the bucket exists and may be listed.

        Raises:
            BucketNotFound: It does not exist.
            AccessDenied: The credential may not list it.
            StorageUnavailable: Nobody answers.
            ConfigurationError: There is no credential, or a setting is wrong.
        """

    def iter_objects(self, prefix: str = "", *, after: str | None = None) -> Iterator[StoredObject]:
        """Stream what is in the bucket, in order of the keys' UTF-8 bytes, never holding the whole listing.

        Args:
            prefix: How the keys begin; not a folder, so ``a`` finds ``ab/c``.
            after: Only keys after this one, itself excluded: what makes a listing resumable.

        Raises:
            StorageError: As in :meth:`check`, at the first object or at any later one.
        """

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        """A signed URL that a plain GET can fetch, for ``ttl`` or :meth:`max_ttl`, whichever is shorter.

        Raises:
            SigningError: The credential cannot sign, or dies too soon.
        """

    def max_ttl(self) -> timedelta:
        """How long a lease signed right now can live: the signature's limit or the credential's, the shorter one."""

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = READ_LIMIT) -> bytes:
        """The object's bytes, or those from ``start`` on, at most ``length``; nothing beyond its end.

        Raises:
            ObjectNotFound: It is gone, or no longer in the version of ``obj``.
            StorageError: It is more than ``limit`` bytes, or as in :meth:`check`.
        """

    def close(self) -> None:
        """Let go of connections and threads; the URLs of a local folder die with this."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ClosingStore(ABC):
    """The context manager of every store: leaving it closes the store."""

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def fetchable(key: str) -> bool:
    """Whether a signed URL of this key can be fetched by an ordinary HTTP client.

    Clients resolve the segments ``.`` and ``..`` before they send a path, so the server sees another key than the
    signed one and answers 403 (measured with requests, httpx, aiohttp and curl). Keys that are not text have no URL.
    """
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return bool(key) and not {".", ".."}.intersection(key.split("/"))


def split_uri(uri: str) -> tuple[str, str, str]:
    """Scheme, bucket and prefix of ``scheme://bucket/prefix``; keys are taken as they are, not URL-decoded.

    Raises:
        ConfigurationError: There is no bucket in it.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise ConfigurationError(f"{uri!r} names no bucket.", cure=f"Write it as {scheme}://bucket/prefix.")
    return scheme, bucket, prefix


def grant(ttl: timedelta, longest: timedelta, uri: str) -> tuple[int, datetime]:
    """How many whole seconds a lease gets, and when it certainly ends.

    Args:
        ttl: What is asked for.
        longest: What the signature and the credential allow.
        uri: Of the object, for the message.

    Returns:
        The seconds to sign for, and the end in UTC, counted from the second that is running.

    Raises:
        SigningError: Less than a second is asked for, or the credential dies too soon.
    """
    if ttl < timedelta(seconds=1):
        raise SigningError(f"A URL of {uri} was asked for {ttl}.", cure="Ask for a second at least.")
    if longest < min(ttl, MIN_SIGNED_TTL):
        raise SigningError(
            f"The credential that would sign {uri} lives for another {max(longest, timedelta())} only.",
            cure="Renew it, or use one that lives longer: a signed URL dies with its credential.",
        )
    seconds = int(min(ttl, longest).total_seconds())
    return seconds, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)


def last_byte(obj: StoredObject, start: int, length: int | None, limit: int) -> int:
    """The offset of the last byte to ask for: one more than ``limit`` allows, so that too much can be told from enough.

    Raises:
        StorageError: The wanted range is negative, or already known to be more than ``limit``.
    """
    if start < 0 or (length is not None and length < 0):
        raise StorageError(f"The range {start}+{length} of {obj.uri} is negative.", cure="Count bytes from 0.")
    if (obj.size - start if length is None else min(length, obj.size - start)) > limit:
        raise _too_much(obj, limit)
    return start + (limit + 1 if length is None else min(length, limit + 1)) - 1


def within(data: bytes, obj: StoredObject, limit: int) -> bytes:
    """The data, if it is not more than ``limit``.

    Raises:
        StorageError: It is more.
    """
    if len(data) > limit:
        raise _too_much(obj, limit)
    return data


def _too_much(obj: StoredObject, limit: int) -> StorageError:
    return StorageError(
        f"{obj.uri} is {obj.size} bytes, and {limit} at most are read.",
        cure="Skip it, read a range of it, or raise the limit.",
    )
