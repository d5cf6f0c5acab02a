"""What a bucket is to the rest of the package, and the rules that hold for every provider."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from diffgram_flows.errors import ConfigurationError, DiffgramFlowsError, SigningError, StorageError
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage.judging import OnSkip

if TYPE_CHECKING:
    from diffgram_flows.storage.preflight import PreflightReport

MAX_SIGNED_TTL = timedelta(days=7)
"""The longest life of a V4 signature, on S3 and Google Cloud Storage alike, and of a delegation of Azure."""

MIN_SIGNED_TTL = timedelta(minutes=5)
"""A credential that lives shorter than this cannot sign anything that a queue will fetch in time."""

CREDENTIAL_MARGIN = timedelta(minutes=5)
"""A URL dies with the credential that signed it, so its lease ends this much earlier."""

READ_LIMIT = 200 * 2**20
"""Bytes that :meth:`ObjectStore.read` returns at most, unless told otherwise."""


KeyRange = tuple[str | None, str | None]
"""Keys after the first, up to and including the second; ``None`` is the beginning or the end."""

OnFailure = Callable[[StoredObject, DiffgramFlowsError], object]
"""Told every object that no URL could be made for, and why."""


class ObjectStore(Protocol):
    """One bucket. Safe to share between threads."""

    @property
    def bucket(self) -> str:
        """Root URI without a trailing slash: ``s3://photos``, ``az://account/photos``, ``file:///data/photos``."""

    @property
    def urls_die_with_it(self) -> bool:
        """Whether a URL is good only as long as the store that made it is open, however long its lease."""

    def check(self) -> None:
        """Make sure, with one cheap call, that the bucket exists and may be listed.

        Raises:
            BucketNotFound: It does not exist.
            AccessDenied: The credential may not list it.
            StorageUnavailable: Nobody answers.
            ConfigurationError: There is no credential, or a setting is wrong.
        """

    def iter_objects(
        self,
        prefix: str = "",
        *,
        after: str | None = None,
        until: str | None = None,
        suffixes: Collection[str] = (),
        modified_since: datetime | None = None,
        max_size: int | None = None,
        on_skip: OnSkip | None = None,
    ) -> Iterator[StoredObject]:
        """Stream what can be used, in order of the keys' UTF-8 bytes, never holding the whole listing.

        Folder markers, empty objects, keys that no URL can name and what lies in an archive are left out
        (:class:`SkipReason`).

        Args:
            prefix: How the keys begin; not a folder, so ``a`` finds ``ab/c``.
            after: Only keys after this one, itself excluded: what makes a listing resumable.
            until: Only keys up to this one, itself included: ``(after, until]`` meets ``(until, ...]`` without a gap.
            suffixes: Only keys that end so, in lower case with the dot: ``{".jpg"}`` finds ``A.JPG``.
            modified_since: Leave out what was last changed before; with a time zone.
            max_size: Leave out what has more bytes.
            on_skip: Told each object of the range that is left out, and the reason.

        Raises:
            ConfigurationError: ``modified_since`` has no time zone.
            StorageError: As in :meth:`check`, at the first object or at any later one.
        """

    def plan_ranges(self, prefix: str = "", n: int = 16) -> list[KeyRange]:
        """At most ``n`` ranges that together are all keys of the prefix, each once, in key order; none is empty.

        It knows nothing of how the keys are made and asks for the first key after guessed places, some ten calls a
        range. The ranges are not equally full: plan several for each worker.

        Raises:
            StorageError: As in :meth:`check`.
        """

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        """A signed URL that a plain GET can fetch, for ``ttl`` or :meth:`max_ttl`, whichever is shorter.

        Raises:
            SigningError: The credential cannot sign or dies too soon, or no URL can name the key.
        """

    def sign_many(
        self, objects: Iterable[StoredObject], ttl: timedelta, *, on_failure: OnFailure | None = None
    ) -> Iterator[Lease]:
        """:meth:`lease` of each, in their order and as they are taken, where it can be done faster than one by one.

        Args:
            objects: Of this bucket.
            ttl: As in :meth:`lease`.
            on_failure: Told an object that cannot be signed, which then has no lease; without it, that error is raised.

        Raises:
            SigningError: As :meth:`lease`, if there is no ``on_failure``.
        """

    def max_ttl(self) -> timedelta:
        """How long a lease signed right now can live: the signature's limit or the credential's, the shorter one."""

    def preflight(self, prefix: str = "", *, ttl: timedelta = timedelta(hours=6)) -> PreflightReport:
        """Try, before anything is imported, whether an import can work: list, sign, and fetch one byte as a stranger.

        Args:
            prefix: Where the images are.
            ttl: For how long the import will want its URLs to live.

        Returns:
            What was found. It raises nothing that the bucket or the credential is to blame for.
        """

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
