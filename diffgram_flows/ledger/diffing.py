"""What a bucket's listing and the ledger say of each other: two sorted streams, merged.

Both come in the order of the keys' UTF-8 bytes (for Python's text the same as the order of code points), so each is
read once and nothing is held but a page of either. The ledger is read in pages that begin where the last one ended: no
transaction stays open while a bucket is listed for hours, and a database that restarts meanwhile is no harm.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from diffgram_flows.errors import LedgerError
from diffgram_flows.ledger.book import Book, clean
from diffgram_flows.ledger.states import ABSENT
from diffgram_flows.models import StoredObject

Kind = Literal["new", "changed", "deleted"]
_Known = tuple[str, str, int, str, int | None, int]  # key, version, id, state, successor, size
_PAGE = 10_000  # rows
_QUERY = """
    SELECT key, version, id, state, successor, size FROM objects
    WHERE target = ? AND bucket = ? {bounds} ORDER BY key, version LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One object that the bucket and the ledger do not say the same of.

    Attributes:
        kind: ``new``: the ledger does not have it, or has it as gone (then ``row_id`` is set: it is back).
            ``changed``: the ledger's newest version is another one. ``deleted``: the bucket does not have it.
        object: As listed; of a deleted one what the ledger knows.
        row_id: The ledger's row of the newest version that it knows.
        known_version, known_state: Of that row.
    """

    kind: Kind
    object: StoredObject
    row_id: int | None = None
    known_version: str = ""
    known_state: str = ""


@dataclass(slots=True)
class Diff:
    """The differences of one listing, to be iterated once; the counts are right at the end.

    Attributes:
        listed: Objects that the listing had.
        known: Those that the ledger has in the same version.
        new, changed, deleted: How many changes of each kind there were.
    """

    _changes: Iterator[Change] = field(init=False)
    listed: int = 0
    known: int = 0
    new: int = 0
    changed: int = 0
    deleted: int = 0

    def __iter__(self) -> Iterator[Change]:
        return self._changes

    @property
    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("listed", "known", "new", "changed", "deleted")}


class Differ(Book):
    """Compares listings with the objects of one target."""

    def diff(
        self,
        bucket: str,
        prefix: str,
        listing: Iterable[StoredObject],
        *,
        after: str | None = None,
        until: str | None = None,
    ) -> Diff:
        """Compare a sorted listing with what the ledger has of the same bucket, prefix and range.

        The listing must be whole: what it lacks is reported as deleted. If it ends with an error, that comes through,
        and nothing beyond that point is reported.

        Args:
            bucket: Root URI, as in :class:`StoredObject`.
            prefix: How the keys begin.
            listing: Its objects in the order of the keys' bytes, one for each key.
            after: Only keys after this one.
            until: Only keys up to this one, itself included.

        Raises:
            LedgerError: The listing is not in order, or holds a key outside of what was asked for.
        """
        if any(clean(text) != text for text in (prefix, after or "", until or "")):
            raise LedgerError(
                f"No key of the ledger begins with {prefix!r} or lies in that range: it is not text.",
                cure="Give a prefix without NUL characters, in UTF-8.",
            )
        diff = Diff()
        window = _Window(bucket, prefix, after, until)
        diff._changes = _merged(diff, window, iter(listing), self._known(window))
        return diff

    def _known(self, window: _Window) -> Iterator[_Known]:
        """The rows of a window in order of key and version."""
        low, low_values = window.lower()
        high, high_values = window.upper()
        start: tuple[str, ...] = low_values
        while True:
            page = self._page(f"{low} {high}", (self._target, window.bucket, *start, *high_values, _PAGE))
            yield from page
            if len(page) < _PAGE:
                return
            low, start = "AND (key, version) > (?, ?)", page[-1][:2]

    def _page(self, bounds: str, values: tuple[object, ...]) -> list[_Known]:
        query = _QUERY.format(bounds=bounds)
        if self._postgres:
            query = query.replace("?", "%s")
        with self._reading() as connection:
            cursor = connection.exec_driver_sql(query, values).cursor
            return list(cursor.fetchall()) if cursor else []  # plain tuples: rows of SQLAlchemy cost more than the rest


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of a bucket that is compared."""

    bucket: str
    prefix: str
    after: str | None
    until: str | None

    def lower(self) -> tuple[str, tuple[str, ...]]:
        if self.after is not None and self.after >= self.prefix:
            return "AND key > ?", (self.after,)
        return "AND key >= ?", (self.prefix,)

    def upper(self) -> tuple[str, tuple[str, ...]]:
        end, until = after_prefix(self.prefix), self.until
        if until is not None and (end is None or until < end):
            return "AND key <= ?", (until,)
        return ("AND key < ?", (end,)) if end is not None else ("", ())

    def has(self, key: str) -> bool:
        inside = (self.after is None or key > self.after) and (self.until is None or key <= self.until)
        return inside and key.startswith(self.prefix)


def after_prefix(prefix: str) -> str | None:
    """The first text, in byte order, after all that begin with ``prefix``; ``None`` if there is none."""
    for end in range(len(prefix), 0, -1):
        code = ord(prefix[end - 1]) + 1
        if code <= 0x10FFFF:
            return prefix[: end - 1] + chr(0xE000 if 0xD800 <= code <= 0xDFFF else code)
    return None


def _merged(diff: Diff, window: _Window, listing: Iterator[StoredObject], known: Iterator[_Known]) -> Iterator[Change]:
    """Walk along both streams. Keys in the middle of a sorted listing lie inside if the first and the last one do."""
    last, row = "", next(known, None)
    listed = same = 0
    for stored in listing:
        key = stored.key
        if listed == 0 or key <= last:
            _check(window, stored, last if listed else None)
        listed, last = listed + 1, key
        while row is not None and row[0] < key:
            newest, row = _newest(row, known)
            yield from _deleted(diff, window.bucket, newest)
        if row is None or row[0] != key:
            yield _differing(diff, window, stored, None)
            continue
        newest, row = _newest(row, known)
        if newest[1] == stored.version and newest[3] not in ABSENT:
            same += 1
        else:
            yield _differing(diff, window, stored, newest)
    if listed and not window.has(last):
        raise _outside(window, last)
    diff.listed, diff.known = listed, same
    while row is not None:
        newest, row = _newest(row, known)
        yield from _deleted(diff, window.bucket, newest)


def _newest(row: _Known, known: Iterator[_Known]) -> tuple[_Known, _Known | None]:
    """Of the versions of a key the one without a successor, and the first row of the next key."""
    key, following = row[0], next(known, None)
    while following is not None and following[0] == key:
        row = max(row, following, key=lambda version: (version[4] is None, version[2]))
        following = next(known, None)
    return row, following


def _deleted(diff: Diff, bucket: str, row: _Known) -> Iterator[Change]:
    key, version, row_id, state, _, size = row
    if state not in ABSENT:
        diff.deleted += 1
        yield Change("deleted", StoredObject(bucket, key, size, version), row_id, version, state)


def _differing(diff: Diff, window: _Window, stored: StoredObject, row: _Known | None) -> Change:
    if not window.has(stored.key):
        raise _outside(window, stored.key)
    if row is None:
        diff.new += 1
        return Change("new", stored)
    _, version, row_id, state, _, _ = row
    if version == stored.version:
        diff.new += 1
        return Change("new", stored, row_id, version, state)
    diff.changed += 1
    return Change("changed", stored, row_id, version, state)


def _check(window: _Window, stored: StoredObject, last: str | None) -> None:
    if last is not None and stored.key <= last:
        raise LedgerError(
            f"The listing of {window.bucket} is not in the order of its keys' bytes: {stored.key!r} after {last!r}.",
            cure="Only a sorted listing can be compared: what comes late would count as deleted.",
        )
    if stored.bucket != window.bucket or not window.has(stored.key):
        raise _outside(window, stored.key)


def _outside(window: _Window, key: str) -> LedgerError:
    return LedgerError(
        f"The listing holds {key!r}, which is not in the part of {window.bucket} that it was asked for.",
        cure="Compare a listing with the prefix and range that it was made with.",
    )
