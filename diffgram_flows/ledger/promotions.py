"""Promotions and roll-backs: announced before the registry is changed, and written down as done afterwards.

The registry's log says who is the champion. A row here is an intent (``intended``) until that log was looked at again:
then it is ``done`` with the number of its entry, or ``dropped`` because there is none. Entries that somebody made
without this ledger are copied into it, so that the rows that are done tell the same story as the log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.ledger.schema import promotions, trainings


@dataclass(frozen=True, slots=True)
class PromotionRow:
    """One change of a champion, or the wish for one.

    Attributes:
        id: Of the intent; it stands in the registry's log too.
        brain: The brain's name, without a version.
        action: ``promote`` or ``rollback``.
        from_version, to_version: The champion before (``None``: there was none) and after.
        state: ``intended``, ``done`` or ``dropped``.
        number: Of the entry in the registry's log; ``None`` while it is not done, and where nothing had to change.
        training: What the judgement said, to be written down together with the promotion.
        created_at, updated_at: Seconds since the epoch.
    """

    id: str
    brain: str
    action: str
    from_version: int | None
    to_version: int
    state: str = "intended"
    number: int | None = None
    training: TrainingRow | None = None
    created_at: float = 0.0
    updated_at: float = 0.0


class Promotions(Book):
    """Promotions of one target."""

    def rows(self, brain: str | None = None, *states: str) -> list[PromotionRow]:
        """Rows of one brain or of all, in these states (all if none is given), in the order in which they were made."""
        query = sa.select(promotions).where(promotions.c.target == self._target)
        if brain is not None:
            query = query.where(promotions.c.brain == brain)
        if states:
            query = query.where(promotions.c.state.in_(states))
        query = query.order_by(promotions.c.brain, promotions.c.number, promotions.c.created_at)
        with self._reading() as connection:
            return [_row(row) for row in connection.execute(query)]

    def champion(self, brain: str) -> int | None:
        """The version that is in use as far as this ledger knows."""
        done = [row for row in self.rows(brain, "done") if row.number is not None]
        return done[-1].to_version if done else None

    def intend(self, row: PromotionRow) -> None:
        """Announce a change, before anything is changed."""
        self._upsert(promotions, [self._values(row)])

    def fulfil(self, rows: Iterable[PromotionRow]) -> None:
        """Write down that changes were made, and what was judged, in one transaction."""
        with self._writing() as connection:
            for row in rows:
                self._put(connection, promotions, self._values(replace(row, state="done")), "state", "number")
                if row.training is not None:
                    self._put(connection, trainings, self._training(row.training), *_JUDGED)

    def drop(self, row_id: str) -> bool:
        """Give an intent up that was not carried out; ``False`` if it is no intent any more."""
        statement = sa.update(promotions).where(
            promotions.c.target == self._target, promotions.c.id == row_id, promotions.c.state == "intended"
        )
        with self._writing() as connection:
            return connection.execute(statement.values(state="dropped", updated_at=time.time())).rowcount > 0

    def _put(self, connection: Connection, table: sa.Table, values: dict[str, Any], *update: str) -> None:
        insert = self._insert(table)
        changed = {name: insert.excluded[name] for name in update if name in values}
        changed |= {"updated_at": insert.excluded["updated_at"]} if "updated_at" in values else {}
        connection.execute(insert.on_conflict_do_update(table.primary_key, set_=changed), [values])

    def _training(self, row: TrainingRow) -> dict[str, Any]:
        return {**asdict(row), "target": self._target, "created_at": row.created_at or time.time()}

    def _values(self, row: PromotionRow) -> dict[str, Any]:
        now = time.time()
        return {
            **{name: getattr(row, name) for name in _PLAIN},
            "target": self._target,
            "training": json.dumps(asdict(row.training)) if row.training else "",
            "created_at": row.created_at or now,
            "updated_at": now,
        }


_JUDGED = ("promoted", "map", "map50", "verdict")
_PLAIN = ("id", "brain", "action", "from_version", "to_version", "state", "number")


def _row(row: Row[Any]) -> PromotionRow:
    return PromotionRow(
        **{name: getattr(row, name) for name in (*_PLAIN, "created_at", "updated_at")},
        training=TrainingRow(**json.loads(row.training)) if row.training else None,
    )
