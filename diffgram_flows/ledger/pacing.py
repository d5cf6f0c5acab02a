"""The server's quotas, shared by everything that uses this ledger's database: threads, processes and machines.

Rates. The server counts calls in windows of one second that begin with the first call after the last window. If calls
leave evenly, 1.4 % slower than allowed, then of 21 calls in a row the last one leaves 1.014 seconds after the first: no
window can hold both, unless the first is delayed on its way by 14 milliseconds more than the last. So the moments at
which calls leave are slots on one time line, a row of the database. A process takes the slots of a quarter of a second
at once, if as many threads of it wait, which asks the database a few times a second. A thread that wakes late uses its
slot all the same (and others catch up, by a quarter of a second at most), but the time line moves back by as much, so
that the 20th call after it still leaves a second later. The time is the database's.

Daily quotas. They are counted before the call, over the last 25 hours: whenever the server's day began, it never
sees more than it allows.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from diffgram_flows.errors import BudgetExhausted, LedgerError
from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.schema import budgets, paces

_SHARE = 0.986  # of the allowed rate, see above
_LATE = 0.006  # seconds by which a thread may wake too late without moving the time line
_BATCH = 0.25  # seconds whose slots are taken at once; older slots than this are not used any more
_LONGEST_BLOCK = 60.0  # seconds; who would have to wait longer for the server's forgiveness is told so
_HOURS = 25  # that a daily quota looks back, the running hour included


@dataclass(frozen=True, slots=True)
class Limit:
    """How often an endpoint may be called, from one address: per second, per day, or both."""

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
    "action/new": Limit(per_day=20),
    "action/update": Limit(per_day=20),
}
"""What a Diffgram under gunicorn allows one address (contract section 3)."""


@dataclass(slots=True)
class _Lane:
    """The slots of one endpoint that this process has taken and not used yet, as moments of ``time.monotonic``.

    Attributes:
        turn: Held by the thread whose turn is next, until it leaves.
        counting: Guards ``waiting``.
        waiting: Threads that want to leave, the one whose turn it is included.
        behind: Seconds by which the time line has to move back.
    """

    turn: threading.Lock = field(default_factory=threading.Lock)
    counting: threading.Lock = field(default_factory=threading.Lock)
    waiting: int = 0
    slots: deque[float] = field(default_factory=deque)
    behind: float = 0.0


class SharedPacer(Book):
    """Hands out the moments at which calls may leave. Safe to use from many threads; see the module's docstring.

    Args:
        engine: The ledger's engine.
        server: The base URL whose quota is shared.
        limits: By endpoint; an endpoint that is not named is not limited.
    """

    def __init__(self, engine: Engine, server: str, limits: Mapping[str, Limit] = SERVER_LIMITS) -> None:
        super().__init__(engine, server)
        self._limits = limits
        self._ensured: set[str] = set()
        self._lanes = {name: _Lane() for name, limit in limits.items() if limit.per_second is not None}

    def wait(self, endpoint: str) -> None:
        """Return when a call to ``endpoint`` may leave.

        Raises:
            BudgetExhausted: Its daily quota is used up, or the server refuses it for longer than a minute.
            LedgerUnavailable: The database does not answer; the call must not leave.
        """
        limit = self._limits.get(endpoint)
        if limit is None:
            return
        if limit.per_day is not None:
            time.sleep(self._spend(endpoint, limit.per_day))
        if limit.per_second is not None:
            self._await_slot(endpoint, 1 / (limit.per_second * _SHARE))

    def penalise(self, endpoint: str, seconds: float) -> None:
        """Keep everybody from calling ``endpoint`` for a while, because the server answered 429 all the same.

        Calls of other processes whose slots were taken before, of a quarter of a second, still leave.
        """
        if endpoint not in self._limits:
            return
        self._ensure(endpoint)
        with self._writing() as connection:
            until = self._now(connection) + seconds
            here = self._here(paces, endpoint) & (paces.c.blocked_until < until)
            connection.execute(sa.update(paces).where(here).values(blocked_until=until))
        lane = self._lanes.get(endpoint)
        if lane is not None:
            with lane.turn:
                lane.slots.clear()

    def _await_slot(self, endpoint: str, interval: float) -> None:
        lane = self._lanes[endpoint]
        with lane.counting:
            lane.waiting += 1
        try:
            with lane.turn:
                while not self._used(lane, endpoint, interval):
                    pass
        finally:
            with lane.counting:
                lane.waiting -= 1

    def _used(self, lane: _Lane, endpoint: str, interval: float) -> bool:
        """Sleep until the next slot. Whether this thread can still use it."""
        if not lane.slots:
            self._fill(lane, endpoint, interval)
        slot = lane.slots.popleft()
        if not lane.slots and lane.waiting > 1:
            with suppress(LedgerError):  # before it is needed, because the database may take its time
                self._fill(lane, endpoint, interval)
        time.sleep(max(0.0, slot - time.monotonic()))
        late = time.monotonic() - slot
        if late > _BATCH:
            return False
        lane.behind = max(lane.behind, late - _LATE)
        return True

    def _fill(self, lane: _Lane, endpoint: str, interval: float) -> None:
        with lane.counting:
            wanted = max(1, min(lane.waiting, int(_BATCH / interval + 1)))
        first = self._reserve(endpoint, interval, wanted, lane.behind)
        lane.behind = 0.0
        lane.slots.extend(first + interval * number for number in range(wanted))

    def _reserve(self, endpoint: str, interval: float, number: int, behind: float) -> float:
        """Take the next ``number`` slots; the moment of the first one by this process's monotonic clock.

        Raises:
            BudgetExhausted: The endpoint is blocked for longer than a minute.
        """
        self._ensure(endpoint)
        here = self._here(paces, endpoint)
        with self._writing() as connection:
            row = connection.execute(sa.select(paces).where(here).with_for_update()).one()
            asked = time.monotonic()
            now = self._now(connection)
            if row.blocked_until - now > _LONGEST_BLOCK:
                raise _blocked(endpoint, row.blocked_until)
            first = max(now, float(row.next_at) + behind, float(row.blocked_until))
            connection.execute(sa.update(paces).where(here).values(next_at=first + interval * number))
        return asked + first - now

    def _ensure(self, endpoint: str) -> None:
        """Make the endpoint's row, if this process has not done it before."""
        if endpoint not in self._ensured:
            values = {"server": self._target, "endpoint": endpoint, "next_at": 0.0, "blocked_until": 0.0}
            self._upsert(paces, [values])
            self._ensured.add(endpoint)

    def _spend(self, endpoint: str, per_day: int) -> float:
        """Count a call. How many seconds it has to wait.

        Raises:
            BudgetExhausted: There is none left, or the endpoint is blocked for longer than a minute.
        """
        self._ensure(endpoint)
        used = sa.select(sa.func.coalesce(sa.func.sum(budgets.c.used), 0)).where(self._here(budgets, endpoint))
        with self._writing() as connection:
            # The row of the pace is the lock of the budget.
            pace = connection.execute(sa.select(paces).where(self._here(paces, endpoint)).with_for_update()).one()
            now = self._now(connection)
            if pace.blocked_until - now > _LONGEST_BLOCK:
                raise _blocked(endpoint, pace.blocked_until)
            if connection.execute(used.where(budgets.c.day > _hour(now, -_HOURS))).scalar_one() >= per_day:
                raise self._used_up(connection, endpoint, per_day, now)
            self._count(connection, endpoint, _hour(now))
        return max(0.0, float(pace.blocked_until) - now)

    def _count(self, connection: Connection, endpoint: str, hour: str) -> None:
        insert = self._insert(budgets).values(server=self._target, endpoint=endpoint, day=hour, used=1)
        more = budgets.c.used + insert.excluded.used
        connection.execute(insert.on_conflict_do_update(budgets.primary_key, set_={"used": more}))

    def _used_up(self, connection: Connection, endpoint: str, per_day: int, now: float) -> BudgetExhausted:
        oldest = sa.select(sa.func.min(budgets.c.day)).where(
            self._here(budgets, endpoint), budgets.c.day > _hour(now, -_HOURS)
        )
        begun = datetime.fromisoformat(connection.execute(oldest).scalar_one()).replace(tzinfo=UTC)
        free = begun + timedelta(hours=_HOURS)
        return BudgetExhausted(
            f"The server allows {per_day} calls a day to {endpoint}, and they are used up.",
            cure=f"The work goes on by itself with the first run after {free:%Y-%m-%d %H:%M} UTC.",
        )

    def _here(self, table: sa.Table, endpoint: str) -> sa.ColumnElement[bool]:
        return sa.and_(table.c.server == self._target, table.c.endpoint == endpoint)


def _hour(moment: float, offset: int = 0) -> str:
    """The hour of a moment in UTC, ``offset`` hours away; sorts as time does. Older ledgers counted whole days."""
    return (datetime.fromtimestamp(moment, UTC) + timedelta(hours=offset)).strftime("%Y-%m-%dT%H")


def _blocked(endpoint: str, until: float) -> BudgetExhausted:
    return BudgetExhausted(
        f"The server refuses calls to {endpoint} for now: it counts more of them than this ledger.",
        cure=f"The work goes on by itself with the first run after {datetime.fromtimestamp(until, UTC):%H:%M} UTC.",
    )
