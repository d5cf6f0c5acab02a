"""The server's quotas, shared by everything that uses this ledger's database: threads, processes and machines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from diffgram_flows.errors import BudgetExhausted
from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.schema import budgets, paces

_SAFETY = 0.99  # windows are the server's, delays the network's: a little slower than allowed draws no 429


@dataclass(frozen=True, slots=True)
class Limit:
    """How often an endpoint may be called, from one address: per second, per day (UTC), or both."""

    per_second: float | None = None
    per_day: int | None = None


SERVER_LIMITS: Mapping[str, Limit] = {
    "input/packet": Limit(per_second=20),
    "upload/large": Limit(per_second=4),
    "input/update": Limit(per_day=300),
    "job/builder/info": Limit(per_day=300),
    "job/dir/attach": Limit(per_day=20),
    "job/cancel": Limit(per_day=10),
    "attribute/group/new": Limit(per_day=10),
    "task": Limit(per_second=50 / 60, per_day=500),
}
"""What a Diffgram under gunicorn allows one address (contract section 3)."""


class SharedPacer(Book):
    """Hands out the moments at which calls may leave.

    A moment is reserved by moving a row of the database forward, so any number of processes together keep the limit.
    The daily budgets are counted before the call, never discovered by a 429.

    Args:
        engine: The ledger's engine.
        server: The base URL whose quota is shared.
        limits: By endpoint; an endpoint that is not named is not limited.
    """

    def __init__(self, engine: Engine, server: str, limits: Mapping[str, Limit] = SERVER_LIMITS) -> None:
        super().__init__(engine, server)
        self._limits = limits

    def wait(self, endpoint: str) -> None:
        """Return when a call to ``endpoint`` may leave.

        Raises:
            BudgetExhausted: Its daily quota is used up.
        """
        limit = self._limits.get(endpoint)
        if limit is None:
            return
        if limit.per_day is not None:
            self._spend(endpoint, limit.per_day)
        if limit.per_second is not None:
            time.sleep(max(0.0, self._reserve(endpoint, 1 / (limit.per_second * _SAFETY)) - time.time()))

    def _reserve(self, endpoint: str, interval: float) -> float:
        """The next free moment (seconds since the epoch), moved on by ``interval`` for the one who comes after."""
        here = (paces.c.server == self._target) & (paces.c.endpoint == endpoint)
        self._upsert(paces, [{"server": self._target, "endpoint": endpoint, "next_at": 0.0}])
        with self._writing() as connection:
            free: float = connection.execute(sa.select(paces.c.next_at).where(here).with_for_update()).scalar_one()
            moment = max(time.time(), free)
            connection.execute(sa.update(paces).where(here).values(next_at=moment + interval))
        return moment

    def _spend(self, endpoint: str, per_day: int) -> None:
        day = datetime.now(UTC).date().isoformat()
        self._upsert(budgets, [{"server": self._target, "endpoint": endpoint, "day": day, "used": 0}])
        statement = (
            sa.update(budgets)
            .where(budgets.c.server == self._target, budgets.c.endpoint == endpoint, budgets.c.day == day)
            .where(budgets.c.used < per_day)
            .values(used=budgets.c.used + 1)
        )
        with self._writing() as connection:
            if connection.execute(statement).rowcount:
                return
        raise BudgetExhausted(
            f"The server allows {per_day} calls a day to {endpoint}, and they are used up for {day} (UTC).",
            cure="The work goes on by itself with the first run after midnight UTC.",
        )
