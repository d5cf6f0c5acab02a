"""One worker at a time: a named lock in the ledger that survives neither its holder nor its time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

from diffgram_flows.errors import Busy, LedgerError
from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.schema import locks
from diffgram_flows.ledger.workers import certainly_dead, new_worker, place_of


class Locks(Book):
    """Locks of one target. Time is the database's."""

    @contextmanager
    def hold(self, name: str, *, seconds: float = 60.0) -> Iterator[None]:
        """Hold a lock while the block runs; it is renewed every third of ``seconds`` by a thread.

        A holder that died on this machine loses the lock at once, one on another machine when its time is over.

        Raises:
            Busy: Somebody else holds it.
        """
        full_name, holder = f"{self._target}#{name}", new_worker()
        self._take(full_name, holder, seconds)
        done = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(full_name, holder, seconds, done), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            with suppress(LedgerError), self._writing() as connection:  # the lock would expire by itself
                connection.execute(sa.delete(locks).where(locks.c.name == full_name, locks.c.holder == holder))

    def held(self, name: str) -> bool:
        """Whether somebody holds a lock right now."""
        with self._reading() as connection:
            row = connection.execute(sa.select(locks).where(locks.c.name == f"{self._target}#{name}")).one_or_none()
            return row is not None and row.expires_at > self._now(connection) and not certainly_dead(row.holder)

    def _take(self, name: str, holder: str, seconds: float) -> None:
        with self._writing() as connection:
            # The row is made first, free: two who come at the same moment wait for each other on it.
            free = self._insert(locks).values(name=name, holder=holder, expires_at=0.0).on_conflict_do_nothing()
            connection.execute(free)
            row = connection.execute(sa.select(locks).where(locks.c.name == name).with_for_update()).one()
            now = self._now(connection)
            if row.expires_at > now and not certainly_dead(row.holder):
                host, process = place_of(row.holder)
                raise Busy(
                    f"The {name.rpartition('#')[2]} lock is held by process {process} on {host}.",
                    cure="Nothing is wrong: that run does the work. Wait for it, or stop it first.",
                )
            taken = sa.update(locks).where(locks.c.name == name).values(holder=holder, expires_at=now + seconds)
            connection.execute(taken)

    def _renew(self, name: str, holder: str, seconds: float, done: threading.Event) -> None:
        while not done.wait(seconds / 3):
            # A database that restarts is asked again; whoever needs it more will hear of the trouble.
            with suppress(LedgerError), self._writing() as connection:
                expires_at = self._now(connection) + seconds
                mine = sa.update(locks).where(locks.c.name == name, locks.c.holder == holder)
                connection.execute(mine.values(expires_at=expires_at))
