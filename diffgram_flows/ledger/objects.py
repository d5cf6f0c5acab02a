"""The life of every object of a bucket.

States::

    new ──> sending ──> sent ──> imported
     ^         │          │
     └─────────┴──────────┤        (not delivered, or its URL died in the queue: again)
                          └──> failed        the server or the importer said no, for good
    refused                                  never sent: not an image, too large, ...

``sending`` is the intent, committed before the packet leaves. After a crash it means "maybe delivered".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.schema import objects
from diffgram_flows.models import Failure, StoredObject

OPEN_STATES = ("new", "sending", "sent")


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """What the ledger knows of one object.

    Attributes:
        id: Position in the ledger; chunks of work are ranges of it.
        file_name: The unique name under which Diffgram knows the file.
        state: See the module's docstring.
        file_id: Diffgram's id once it is imported.
        attempts: How often a packet was sent.
        reason: Why it failed, or what was odd; empty if nothing was.
        updated_at: Seconds since the epoch of the last change.
    """

    id: int
    object: StoredObject
    file_name: str
    state: str
    file_id: int | None
    input_id: int | None
    attempts: int
    reason: str
    updated_at: float


def _row(row: Row[Any]) -> ObjectRow:
    stored = StoredObject(row.bucket, row.key, row.size, row.version)
    return ObjectRow(
        row.id, stored, row.file_name, row.state, row.file_id, row.input_id, row.attempts, row.reason, row.updated_at
    )


class Objects(Book):
    """Objects of one target."""

    def unknown(self, page: Sequence[StoredObject]) -> list[StoredObject]:
        """Those of a sorted page of one bucket's listing that the ledger does not know in this version."""
        if not page:
            return []
        query = sa.select(objects.c.key, objects.c.version).where(
            objects.c.target == self._target,
            objects.c.bucket == page[0].bucket,
            objects.c.key.between(page[0].key, page[-1].key),
        )
        with self._reading() as connection:
            known = {(row.key, row.version) for row in connection.execute(query)}
        return [stored for stored in page if (stored.key, stored.version) not in known]

    def add(self, found: Iterable[StoredObject], name: Callable[[StoredObject], str], *, state: str = "new") -> int:
        """Write objects that were not known; those that are stay as they are. How many were new."""
        rows = [
            {
                "target": self._target,
                "bucket": stored.bucket,
                "key": stored.key,
                "version": stored.version,
                "size": stored.size,
                "modified": stored.modified.timestamp() if stored.modified else None,
                "file_name": name(stored),
                "state": state,
                "attempts": 0,
                "reason": "",
                "updated_at": time.time(),
            }
            for stored in found
        ]
        return self._upsert(objects, rows)

    def ranges(self, size: int, *states: str) -> list[tuple[int, int]]:
        """Split the rows in these states into chunks of at most ``size``: (first id, last id), both included."""
        query = self._select(objects.c.id, states).order_by(objects.c.id)
        with self._reading() as connection:
            ids = connection.execute(query).scalars().all()
        return [(part[0], part[-1]) for part in (ids[i : i + size] for i in range(0, len(ids), size))]

    def rows(self, *states: str, between: tuple[int, int] | None = None) -> list[ObjectRow]:
        """Rows in these states (all states if none is given), in order of id, optionally of one range."""
        with self._reading() as connection:
            return [_row(row) for row in connection.execute(self._ordered(states, between))]

    def stream(self, *states: str, page: int = 1000) -> Iterator[ObjectRow]:
        """As :meth:`rows`, without holding them all."""
        last = 0
        while True:
            with self._reading() as connection:
                query = self._ordered(states, None).where(objects.c.id > last).limit(page)
                found = [_row(row) for row in connection.execute(query)]
            yield from found
            if len(found) < page:
                return
            last = found[-1].id

    def claim(self, between: tuple[int, int]) -> list[ObjectRow]:
        """Turn the ``new`` rows of a range into ``sending`` and return them, without what another worker took."""
        statement = (
            sa.update(objects)
            .where(objects.c.target == self._target, objects.c.state == "new", objects.c.id.between(*between))
            .values(state="sending", updated_at=time.time())
            .returning(objects)
        )
        with self._writing() as connection:
            return sorted((_row(row) for row in connection.execute(statement)), key=lambda row: row.id)

    def sent(self, ids: Sequence[int]) -> None:
        """The server accepted the packets of these rows (which means: queued)."""
        self._set(ids, state="sent", attempts=objects.c.attempts + 1)

    def release(self, ids: Sequence[int], reason: str = "") -> None:
        """These rows are to be sent (again)."""
        self._set(ids, state="new", reason=reason)

    def requeue(self, row_id: int, reason: str, *, input_id: int | None) -> None:
        """Send the object again; ``input_id`` is kept, so that its dead import is not taken for the next one's."""
        self._set([row_id], state="new", reason=reason, input_id=input_id)

    def note(self, ids: Sequence[int], text: str) -> None:
        """Write down what is odd about these rows, in whatever state they are."""
        self._set(ids, reason=text)

    def imported(self, row_id: int, *, file_id: int, input_id: int | None, note: str = "") -> None:
        self._set([row_id], state="imported", file_id=file_id, input_id=input_id, reason=note)

    def failed(self, row_id: int, reason: str, *, state: str = "failed", input_id: int | None = None) -> None:
        """Give the object up: ``failed`` where the server said no, ``refused`` where we did."""
        self._set([row_id], state=state, reason=reason, input_id=input_id)

    def counts(self) -> dict[str, int]:
        """How many rows are in which state."""
        query = (
            sa.select(objects.c.state, sa.func.count().label("total"))
            .where(objects.c.target == self._target)
            .group_by(objects.c.state)
        )
        with self._reading() as connection:
            return {row.state: row.total for row in connection.execute(query)}

    def failures(self) -> list[Failure]:
        """Everything that was given up, with the reason."""
        return [Failure(row.object.uri, row.reason) for row in self.rows("failed", "refused")]

    def by_file_id(self) -> dict[int, ObjectRow]:
        """Imported objects by Diffgram's file id."""
        return {row.file_id: row for row in self.rows("imported") if row.file_id is not None}

    def _select(self, column: sa.Column[Any] | sa.Table, states: Sequence[str]) -> sa.Select[Any]:
        query = sa.select(column).where(objects.c.target == self._target)
        return query.where(objects.c.state.in_(states)) if states else query

    def _ordered(self, states: Sequence[str], between: tuple[int, int] | None) -> sa.Select[Any]:
        query = self._select(objects, states).order_by(objects.c.id)
        return query.where(objects.c.id.between(*between)) if between else query

    def _set(self, ids: Sequence[int], **values: Any) -> None:
        if not ids:
            return
        with self._writing() as connection:
            connection.execute(sa.update(objects).where(objects.c.id.in_(ids)).values(updated_at=time.time(), **values))
