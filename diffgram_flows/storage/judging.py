"""Which objects of a bucket are worth a URL: judged by their listing alone, in one place for every provider."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from posixpath import splitext

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import StoredObject


class SkipReason(StrEnum):
    """Why an object is left out of a listing; the value is the reason in words."""

    MARKER = "folder marker"
    TYPE = "unsupported type"
    EMPTY = "empty"
    KEY = "key that no URL can name"
    ARCHIVED = "in an archive storage class"
    SIZE = "too large"
    OLD = "not modified since"


OnSkip = Callable[[StoredObject, SkipReason], object]
"""Told every object below the prefix and inside the range that is left out, and why."""

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS", "Archive"})
"""Storage classes of S3, tiers of its Intelligent-Tiering, and the tier of Azure, that answer a GET with a refusal.

Google's ``ARCHIVE`` is not among them: it answers at once, only for more money. A listing of S3 does not say which
objects of Intelligent-Tiering are archived; an inventory with that column does.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller can use.

    Attributes:
        suffixes: Ends of keys, in lower case and with their dot; empty for all.
        modified_since: Leave out what was last changed before; what has no time is never left out.
        max_size: Bytes.
    """

    suffixes: frozenset[str] = frozenset()
    modified_since: datetime | None = None
    max_size: int | None = None

    def __post_init__(self) -> None:
        if self.modified_since is not None and self.modified_since.tzinfo is None:
            raise ConfigurationError(
                f"The time {self.modified_since} has no time zone.", cure="Give modified_since in UTC, for example."
            )

    def skip_reason(self, obj: StoredObject) -> SkipReason | None:
        """Why the object cannot be used, the most telling reason first; nothing if it can."""
        key = obj.key
        if key.endswith("/"):
            return SkipReason.MARKER
        if self.suffixes and splitext(key)[1].lower() not in self.suffixes:
            return SkipReason.TYPE
        if obj.size == 0:
            return SkipReason.EMPTY
        if not fetchable(key):
            return SkipReason.KEY
        if obj.storage_class in ARCHIVES:
            return SkipReason.ARCHIVED
        return self._unfit(obj)

    def _unfit(self, obj: StoredObject) -> SkipReason | None:
        if self.max_size is not None and obj.size > self.max_size:
            return SkipReason.SIZE
        if self.modified_since is not None and obj.modified is not None and obj.modified < self.modified_since:
            return SkipReason.OLD
        return None

    def sift(self, objects: Iterable[StoredObject], on_skip: OnSkip | None) -> Iterator[StoredObject]:
        """The objects that can be used; ``on_skip`` is told the others."""
        for obj in objects:
            reason = self.skip_reason(obj)
            if reason is None:
                yield obj
            elif on_skip is not None:
                on_skip(obj, reason)


def fetchable(key: str) -> bool:
    """Whether a signed URL of this key can be fetched by an ordinary HTTP client.

    Clients resolve the segments ``.`` and ``..`` before they send a path, so the server sees another key than the
    signed one and answers 403 (measured with requests, httpx, aiohttp and curl). Keys that are not text have no URL.
    """
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            return False
    if "." in key and ("./" in key or key.endswith(".")):  # most keys need no splitting
        return not {".", ".."}.intersection(key.split("/"))
    return bool(key)
