"""The ledger as one object."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.engine import Engine

from diffgram_flows.ledger.history import History
from diffgram_flows.ledger.locks import Locks
from diffgram_flows.ledger.objects import Objects
from diffgram_flows.ledger.pacing import SERVER_LIMITS, Limit, SharedPacer
from diffgram_flows.ledger.pushes import Pushes
from diffgram_flows.ledger.work import Work


class Ledger:
    """Everything that is recorded of one target.

    Attributes:
        target: Server, project and dataset id in one string.
        objects: The life of every object.
        work: Jobs and tasks.
        pushes: Predictions that were sent.
        history: Label map, snapshots, trainings.
        locks: Who works right now.
    """

    def __init__(self, engine: Engine, target: str) -> None:
        self._engine = engine
        self.target = target
        self.objects = Objects(engine, target)
        self.work = Work(engine, target)
        self.pushes = Pushes(engine, target)
        self.history = History(engine, target)
        self.locks = Locks(engine, target)

    def pacer(self, server: str, limits: Mapping[str, Limit] = SERVER_LIMITS) -> SharedPacer:
        """The pacer that everybody on this database shares for one server."""
        return SharedPacer(self._engine, server, limits)

    def for_target(self, target: str) -> Ledger:
        """The ledger of another target in the same database."""
        return Ledger(self._engine, target)

    def close(self) -> None:
        self._engine.dispose()

    def __repr__(self) -> str:
        return f"Ledger({self._engine.url.render_as_string(hide_password=True)!r}, target={self.target!r})"
