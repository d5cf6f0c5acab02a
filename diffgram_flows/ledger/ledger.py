"""The ledger as one object."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.claims import Claims
from diffgram_flows.ledger.history import History
from diffgram_flows.ledger.locks import Locks
from diffgram_flows.ledger.objects import Objects
from diffgram_flows.ledger.pacing import SERVER_LIMITS, Limit, SharedPacer
from diffgram_flows.ledger.plans import Plans
from diffgram_flows.ledger.promotions import Promotions
from diffgram_flows.ledger.pushes import Pushes
from diffgram_flows.ledger.schema import positions
from diffgram_flows.ledger.work import Work


class Ledger(Book):
    """Everything that is recorded of one target.

    Attributes:
        target: Server, project and dataset id in one string.
        objects: The life of every object.
        claims: Which worker holds which objects.
        plans: What was planned, and whether it was carried out.
        work: Jobs and tasks.
        pushes: Predictions that were sent.
        history: Label map, snapshots, trainings.
        promotions: Which brain took which one's place.
        locks: Who works right now.
    """

    def __init__(self, engine: Engine, target: str) -> None:
        super().__init__(engine, target)
        self.target = target
        self._pacers: dict[tuple[object, ...], SharedPacer] = {}
        self.objects = Objects(engine, target)
        self.claims = Claims(engine, target)
        self.plans = Plans(engine, target)
        self.work = Work(engine, target)
        self.pushes = Pushes(engine, target)
        self.history = History(engine, target)
        self.promotions = Promotions(engine, target)
        self.locks = Locks(engine, target)

    def position(self) -> int:
        """How many changes the objects of this target have seen: rows that were added, and states that changed.

        It moves in the transaction of the change, so two equal positions mean that nothing has happened in between.
        """
        query = sa.select(positions.c.position).where(positions.c.target == self._target)
        with self._reading() as connection:
            return connection.execute(query).scalar() or 0

    def pacer(self, server: str, limits: Mapping[str, Limit] = SERVER_LIMITS) -> SharedPacer:
        """The pacer that everybody on this database shares for one server; the same one for the same arguments."""
        key = (server, tuple(sorted(limits.items(), key=lambda item: item[0])))
        return self._pacers.setdefault(key, SharedPacer(self._engine, server, limits))

    def for_target(self, target: str) -> Ledger:
        """The ledger of another target in the same database."""
        return Ledger(self._engine, target)

    def close(self) -> None:
        self._engine.dispose()

    def __repr__(self) -> str:
        return f"Ledger({self._engine.url.render_as_string(hide_password=True)!r}, target={self.target!r})"
