"""Writing what a bucket holds, by the thousand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from diffgram_flows.errors import LedgerError
from diffgram_flows.ledger.book import MAX_BYTES, Book, recordable
from diffgram_flows.ledger.diffing import Change
from diffgram_flows.ledger.schema import objects, positions
from diffgram_flows.ledger.states import ON_THEIR_WAY, before
from diffgram_flows.models import StoredObject

_Item = TypeVar("_Item")
Naming = Callable[[StoredObject], str]
_BATCH = 5000  # objects in one transaction
_SQLITE_INSERT = """
    INSERT INTO objects (
        target, bucket, key, version, size, modified, file_name, state, attempts, reason, updated_at, created_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?) ON CONFLICT DO NOTHING
"""
# One statement for all rows: an array for each column costs a quarter of what a parameter for each value does.
_POSTGRES_INSERT = """
    INSERT INTO objects (
        target, bucket, key, version, size, modified, file_name, state, attempts, reason, updated_at, created_at
    )
    SELECT %s, bucket, key, version, size, modified, file_name, %s, 0, '', %s, %s
    FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[], %s::float8[], %s::text[])
        AS found(bucket, key, version, size, modified, file_name)
    ON CONFLICT DO NOTHING
"""

# Statements for one change each, run for many at once.
_has_file = objects.c.file_id.is_not(None)
_state = objects.c.state
_reset = {
    "file_id": sa.case((_state == "archived", None), else_=objects.c.file_id),
    "reason": "",
    "updated_at": sa.bindparam("at"),
}


def _is_in(states: Iterable[str]) -> sa.ColumnElement[bool]:
    """As ``IN``, which SQLAlchemy does not take in a statement that runs for many rows at once."""
    return sa.or_(*(_state == state for state in sorted(states)))


def _is_version(table: sa.FromClause) -> sa.ColumnElement[bool]:
    names = ("target", "bucket", "key", "version")
    return sa.and_(*(table.c[name] == sa.bindparam(f"its_{name}") for name in names))


# The listed version is one that another had replaced: its file is there still, or it is to be imported again.
_there = sa.and_(_state == "superseded", _has_file)
_REVIVE = (
    sa.update(objects)
    .where(_is_version(objects), objects.c.successor.is_not(None), _state != "archiving")
    .values(
        **_reset,
        successor=None,
        attempts=sa.case((_there, objects.c.attempts), else_=0),
        state=sa.case((_there, "imported"), (_is_in(("superseded", "archived")), "new"), else_=_state),
    )
)
_still = sa.and_(_state == "gone", _has_file)
_RETURN = (
    sa.update(objects)
    .where(objects.c.id == sa.bindparam("row_id"), _is_in(("gone", "archived")))
    .values(
        **_reset,
        attempts=sa.case((_still, objects.c.attempts), else_=0),
        state=sa.case((_still, "imported"), else_="new"),
    )
)
# What is on its way stays in its state, and becomes superseded when it has arrived.
_other = objects.alias("other")
_follower = sa.select(_other.c.id).where(_is_version(_other), _other.c.successor.is_(None)).scalar_subquery()
_replaceable = tuple(state for state in before("superseded") if state not in ON_THEIR_WAY)
_SUPERSEDE = (
    sa.update(objects)
    .where(objects.c.id == sa.bindparam("row_id"), objects.c.successor.is_(None), _follower.is_not(None))
    .where(objects.c.version != sa.bindparam("its_version"))
    .values(
        successor=_follower,
        updated_at=sa.bindparam("at"),
        state=sa.case((_is_in(_replaceable), "superseded"), else_=_state),
    )
)
_DELETE = (
    sa.update(objects)
    .where(objects.c.id == sa.bindparam("row_id"), _is_in(set(before("gone")) - {"gone"}))
    .values(state="gone", updated_at=sa.bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many changes were written.

    Attributes:
        new: Objects that the ledger did not have.
        returned: Objects that were gone and are back.
        changed: Objects with a newer version; the older one is superseded.
        deleted: Objects that are gone.
        left: Nothing was done, because it was done before, the object is on its way, or its name is taken.
    """

    new: int = 0
    returned: int = 0
    changed: int = 0
    deleted: int = 0
    left: int = 0

    def __add__(self, other: Recorded) -> Recorded:
        return Recorded(
            self.new + other.new,
            self.returned + other.returned,
            self.changed + other.changed,
            self.deleted + other.deleted,
            self.left + other.left,
        )


class Recorder(Book):
    """Writes objects of one target."""

    def add(self, found: Iterable[StoredObject], name: Naming, *, state: str = "new") -> int:
        """Write objects that were not known; those that are stay as they are. How many were new.

        Any number of objects may come; they are written 5,000 at a time, in a transaction each.

        Raises:
            LedgerError: A key or version cannot be kept, see :func:`recordable`; nothing of its 5,000 was written.
        """
        written = 0
        for batch in batches(found, _BATCH):
            rows = _values(batch, name)
            with self._writing() as connection:
                written += self._insert_objects(connection, rows, state)
        return written

    def record(self, changes: Iterable[Change], name: Naming) -> Recorded:
        """Write changes, as :meth:`diff` finds them; to write one twice does nothing the second time.

        A new object becomes ``new``. Of a changed one the new version becomes ``new`` and the known one
        ``superseded``. A deleted one becomes ``gone``. What is on its way is not declared gone before it has arrived.

        Raises:
            LedgerError: As in :meth:`add`.
        """
        total = Recorded()
        for batch in batches(changes, _BATCH):
            total += self._record(batch, name)
        return total

    def _record(self, batch: Sequence[Change], name: Naming) -> Recorded:
        fresh = [change for change in batch if change.kind == "new" and change.row_id is None]
        back = [change for change in batch if change.kind == "new" and change.row_id is not None]
        changed = [change for change in batch if change.kind == "changed"]
        deleted = [change for change in batch if change.kind == "deleted"]
        found = _values([change.object for change in fresh], name)
        newer = _values([change.object for change in changed], name)
        with self._writing() as connection:
            self._lock(connection, batch)
            counts = (
                self._insert_objects(connection, found, "new"),
                self._each(connection, _RETURN, back),
                self._replace(connection, changed, newer),
                self._each(connection, _DELETE, deleted),
            )
        return Recorded(*counts, left=len(batch) - sum(counts))

    def _replace(self, connection: Connection, changed: Sequence[Change], newer: Sequence[tuple[Any, ...]]) -> int:
        self._insert_objects(connection, newer, "new")
        self._each(connection, _REVIVE, changed)
        return self._each(connection, _SUPERSEDE, changed)

    def _insert_objects(self, connection: Connection, rows: Sequence[tuple[Any, ...]], state: str) -> int:
        if not rows:
            return 0
        at = time.time()
        if self._postgres:
            values = (self._target, state, at, at, *(list(column) for column in zip(*rows, strict=True)))
            written = connection.exec_driver_sql(_POSTGRES_INSERT, values).rowcount
        else:
            every = [(self._target, *row, state, at, at) for row in rows]
            written = connection.exec_driver_sql(_SQLITE_INSERT, every).rowcount
        if written:
            self._move_on(connection, written)
        return written

    def _move_on(self, connection: Connection, number: int) -> None:
        """Count new objects into the position; for changes of states a trigger does it."""
        insert = self._insert(positions).values(target=self._target, position=number)
        moved = positions.c.position + insert.excluded.position
        connection.execute(insert.on_conflict_do_update(positions.primary_key, set_={"position": moved}))

    def _lock(self, connection: Connection, batch: Sequence[Change]) -> None:
        """Rows before the position, see :class:`Book`."""
        known = [(change.object.bucket, change.object.key) for change in batch if change.row_id is not None]
        if not self._postgres or not known:
            return
        query = """
            SELECT objects.id FROM objects JOIN unnest(%s::text[], %s::text[]) AS wanted(bucket, key)
            ON objects.bucket = wanted.bucket AND objects.key = wanted.key COLLATE "C"
            WHERE objects.target = %s ORDER BY objects.id FOR UPDATE OF objects
        """
        buckets, keys = zip(*known, strict=True)
        connection.exec_driver_sql(query, (list(buckets), list(keys), self._target))

    def _each(self, connection: Connection, statement: sa.Update, changes: Sequence[Change]) -> int:
        """Run a statement for every change. How many rows it changed."""
        if not changes:
            return 0
        at = time.time()
        rows = [
            {
                "its_target": self._target,
                "its_bucket": change.object.bucket,
                "its_key": change.object.key,
                "its_version": change.object.version,
                "row_id": change.row_id,
                "at": at,
            }
            for change in changes
        ]
        return connection.execute(statement, rows).rowcount


def batches(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Lists of at most ``size`` items, read one after the other."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _values(found: Sequence[StoredObject], name: Naming) -> list[tuple[Any, ...]]:
    """The columns that come from the bucket: bucket, key, version, size, modified, file name."""
    for stored in found:
        if not recordable(stored.bucket, stored.key, stored.version):
            raise LedgerError(
                f"The object {stored.uri!r} cannot be kept in the ledger: its key or version holds a NUL character or "
                f"bytes that are not UTF-8, or has more than {MAX_BYTES} bytes.",
                cure="Leave it out (recordable() tells), or rename it in the bucket.",
            )
    return [
        (
            stored.bucket,
            stored.key,
            stored.version,
            stored.size,
            stored.modified.timestamp() if stored.modified else None,
            name(stored),
        )
        for stored in found
    ]
