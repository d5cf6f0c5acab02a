"""The life of every object of a bucket; its states and their order are in :mod:`diffgram_flows.ledger.states`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from diffgram_flows.errors import LedgerError
from diffgram_flows.ledger.book import clean, pages
from diffgram_flows.ledger.claims import lost
from diffgram_flows.ledger.diffing import Differ
from diffgram_flows.ledger.outcomes import Settler
from diffgram_flows.ledger.recording import Recorder
from diffgram_flows.ledger.rows import ObjectRow, object_row
from diffgram_flows.ledger.schema import objects
from diffgram_flows.ledger.states import OPEN_STATES, before
from diffgram_flows.ledger.tracing import Tracer
from diffgram_flows.models import Failure, StoredObject

__all__ = ["OPEN_STATES", "ObjectRow", "Objects"]

_PAGE = 10_000  # ids in one statement
_REPLACED = objects.c.successor.is_not(None)


class Objects(Settler, Recorder, Differ, Tracer):
    """Objects of one target.

    Methods that write an outcome take the number of the claim under which the work was done. With it they write all
    rows or none: none if another worker has taken over any of them (:class:`ClaimLost`). Without it, as while one
    worker at a time holds the import lock, they look at the state only.
    """

    def unknown(self, page: Sequence[StoredObject]) -> list[StoredObject]:
        """Those of a sorted page of one bucket's listing that the ledger does not know in this version."""
        if not page:
            return []
        query = sa.select(objects.c.key, objects.c.version).where(
            objects.c.target == self._target,
            objects.c.bucket == page[0].bucket,
            objects.c.key >= page[0].key,  # BETWEEN with a collation is not understood by PostgreSQL
            objects.c.key <= page[-1].key,
        )
        with self._reading() as connection:
            known = {(row.key, row.version) for row in connection.execute(query)}
        return [stored for stored in page if (stored.key, stored.version) not in known]

    def ranges(self, size: int, *states: str) -> list[tuple[int, int]]:
        """Split the rows in these states into chunks of at most ``size``: (first id, last id), both included."""
        query = self._select(objects.c.id, states).order_by(objects.c.id)
        with self._reading() as connection:
            ids = connection.execute(query).scalars().all()
        return [(part[0], part[-1]) for part in (ids[i : i + size] for i in range(0, len(ids), size))]

    def rows(self, *states: str, between: tuple[int, int] | None = None) -> list[ObjectRow]:
        """Rows in these states (all states if none is given), in order of id, optionally of one range."""
        with self._reading() as connection:
            return [object_row(row) for row in connection.execute(self._ordered(states, between))]

    def stream(self, *states: str, page: int = 1000) -> Iterator[ObjectRow]:
        """As :meth:`rows`, without holding them all."""
        last = 0
        while True:
            with self._reading() as connection:
                query = self._ordered(states, None).where(objects.c.id > last).limit(page)
                found = [object_row(row) for row in connection.execute(query)]
            yield from found
            if len(found) < page:
                return
            last = found[-1].id

    def claim(self, between: tuple[int, int]) -> list[ObjectRow]:
        """Turn the ``new`` rows of a range into ``sending`` and return them, without what another worker took.

        The way of one worker, who holds the import lock; several use :meth:`Claims.claim_chunk`.
        """
        statement = (
            sa.update(objects)
            .where(objects.c.target == self._target, objects.c.state == "new", objects.c.id.between(*between))
            .values(state="sending", updated_at=time.time())
            .returning(objects)
        )
        with self._writing() as connection:
            return sorted((object_row(row) for row in connection.execute(statement)), key=lambda row: row.id)

    def sent(self, ids: Sequence[int], *, claim: int | None = None) -> None:
        """The server accepted the packets of these rows (which means: queued).

        Raises:
            ClaimLost: Another worker has taken over.
            LedgerError: A row is in a state in which this cannot be.
        """
        self._move(ids, "sent", claim, attempts=objects.c.attempts + 1)

    def release(self, ids: Sequence[int], reason: str = "", *, claim: int | None = None) -> None:
        """These rows are to be sent (again). Raises as :meth:`sent`."""
        self._move(ids, "new", claim, reason=clean(reason), claim_id=None)

    def note(self, ids: Sequence[int], text: str) -> None:
        """Write down what is odd about these rows, in whatever state they are."""
        with self._writing() as connection:
            for page in pages(_PAGE, ids):
                values = {"reason": clean(text), "updated_at": time.time()}
                connection.execute(sa.update(objects).where(objects.c.id.in_(page)).values(values))

    def imported(
        self, row_id: int, *, file_id: int, input_id: int | None, note: str = "", claim: int | None = None
    ) -> None:
        """The file exists. Raises as :meth:`sent`."""
        self._move([row_id], "imported", claim, file_id=file_id, input_id=input_id, reason=clean(note), claim_id=None)

    def failed(
        self,
        row_id: int,
        reason: str,
        *,
        state: str = "failed",
        input_id: int | None = None,
        claim: int | None = None,
    ) -> None:
        """Give the object up: ``failed`` where the server said no, ``refused`` where we did. Raises as :meth:`sent`."""
        self._move([row_id], state, claim, reason=clean(reason), input_id=input_id, claim_id=None)

    def archiving(self, ids: Sequence[int]) -> None:
        """The files of these ``superseded`` or ``gone`` rows are about to be archived. Raises as :meth:`sent`."""
        self._move(ids, "archiving", None)

    def archived(self, ids: Sequence[int]) -> None:
        """The files of these rows have left the dataset. Raises as :meth:`sent`."""
        self._move(ids, "archived", None, reason="")

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

    def by_file_id(self, file_ids: Sequence[int] | None = None) -> dict[int, ObjectRow]:
        """Imported objects by Diffgram's file id, all of them or those of ``file_ids``.

        What is gone from the bucket is here as long as its file is there.
        """
        if file_ids is None:
            return {row.file_id: row for row in self.rows("imported", "gone") if row.file_id is not None}
        found: dict[int, ObjectRow] = {}
        with self._reading() as connection:
            for page in pages(_PAGE, file_ids):
                # The state is looked at here: SQLite would go through all rows of a state instead of these few.
                query = self._select(objects, ()).where(objects.c.file_id.in_(page))
                for row in map(object_row, connection.execute(query)):
                    if row.file_id is not None and row.state in ("imported", "gone"):
                        found[row.file_id] = row
        return found

    def _select(self, column: sa.Column[Any] | sa.Table, states: Sequence[str]) -> sa.Select[Any]:
        query = sa.select(column).where(objects.c.target == self._target)
        return query.where(objects.c.state.in_(states)) if states else query

    def _ordered(self, states: Sequence[str], between: tuple[int, int] | None) -> sa.Select[Any]:
        query = self._select(objects, states).order_by(objects.c.id)
        return query.where(objects.c.id.between(*between)) if between else query

    def _move(self, ids: Sequence[int], state: str, claim: int | None, **values: Any) -> None:
        """Bring rows into a state, all or none, if :data:`TRANSITIONS` allows it."""
        if not ids:
            return
        # What is replaced by a newer version is not sent or imported for its own sake any more.
        allowed = before(state)
        after = sa.case((_REPLACED, "superseded"), else_=state) if state in {"new", "imported"} else state
        with self._writing() as connection:
            for page in pages(_PAGE, ids):
                statement = sa.update(objects).where(objects.c.id.in_(page), objects.c.state.in_(allowed))
                statement = statement.where(objects.c.claim_id == claim) if claim is not None else statement
                statement = statement.values(state=after, updated_at=time.time(), **values)
                if connection.execute(statement).rowcount != len(set(page)):
                    raise self._unfit(connection, page, state, allowed, claim)

    def _unfit(
        self, connection: Connection, ids: Sequence[int], state: str, earlier: tuple[str, ...], claim: int | None
    ) -> LedgerError:
        """Why not all of these rows could come into a state; the transaction is rolled back."""
        found = connection.execute(sa.select(objects).where(objects.c.id.in_(ids)).order_by(objects.c.id)).all()
        if claim is not None and any(row.claim_id != claim for row in found):
            return lost(claim)
        unfit = [row for row in found if row.state not in earlier]
        what = (
            f"{unfit[0].bucket}/{unfit[0].key} is {unfit[0].state!r}" if unfit else "a row is missing from the ledger"
        )
        return LedgerError(
            f"Objects cannot become {state!r}: {what}.",
            cure="Another worker settled it meanwhile; read its row again. Nothing was written.",
        )
