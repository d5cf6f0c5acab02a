"""Several workers on one ledger: each takes objects that nobody else has, for as long as it shows that it lives.

A claim is a number with an expiry; the rows that it holds carry the number. Taking a chunk makes the number, marks
``new`` rows with it and turns them into ``sending``, in one transaction: workers that take at the same time get
different rows (``SKIP LOCKED`` on PostgreSQL, one writer at a time on SQLite). Time is the database's.

A worker may die, or come back late, at any point:

==============================================  =======================================================================
a worker stops                                  what the others find, and do
==============================================  =======================================================================
before the claim is committed                   ``new`` rows: they take them
after it, before any packet left                ``sending`` rows of an expired claim: they adopt them, ask the server,
                                                which does not have them, and release them: ``new``
while packets leave, or before it wrote that    the same, but the server has some: these become ``sent``
one did
after ``sent``, before the file was there       ``sent`` rows of an expired claim: they adopt and follow them
while it was only slow, and its claim expired   as long as nobody has adopted it, it renews it and goes on
... and was adopted                             its next renewal and its next outcome find another number in the rows:
                                                :class:`ClaimLost`, and nothing is written
between its last look at the claim and a        the packet arrives although the adopter saw that it was not there, and
packet's departure                              may send it again: the server refuses the second by its name
while it adopts                                 the old claim or the new one, both whole; the new one expires, too
==============================================  =======================================================================

Rows of an expired claim are never ``new`` by themselves: they are maybe at the server, and only asking it can tell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from diffgram_flows.errors import ClaimLost, LedgerError
from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.rows import ObjectRow, object_row
from diffgram_flows.ledger.schema import claims, objects
from diffgram_flows.ledger.states import ON_THEIR_WAY
from diffgram_flows.ledger.workers import certainly_dead, new_worker


@dataclass(frozen=True, slots=True)
class Claim:
    """Objects that one worker holds.

    Attributes:
        id: What the rows carry; give it to every method of ``ledger.objects`` that writes an outcome.
        worker: Who holds it.
        rows: The objects, in order of id: ``sending``, and in an adopted claim ``sent`` as well.
        seconds: How long it holds without being renewed.
    """

    id: int
    worker: str
    rows: tuple[ObjectRow, ...]
    seconds: float


class Claims(Book):
    """Claims on the objects of one target."""

    def claim_chunk(
        self, size: int, *, worker: str = "", seconds: float = 120.0, bucket: str | None = None
    ) -> Claim | None:
        """Take the next ``new`` objects; they are ``sending`` from now on. ``None`` if there are none.

        Args:
            size: How many objects at most.
            worker: Who takes them, see :func:`new_worker`; made up if it is empty.
            seconds: How long the claim holds without being renewed.
            bucket: Only objects of this bucket.
        """
        worker = worker or new_worker()
        wanted = sa.select(objects.c.id).where(objects.c.target == self._target, objects.c.state == "new")
        if bucket is not None:
            wanted = wanted.where(objects.c.bucket == bucket)
        chosen = wanted.order_by(objects.c.id).limit(size).with_for_update(skip_locked=True)
        with self._writing() as connection:
            ids = connection.execute(chosen).scalars().all()
            if not ids:
                return None
            claim_id = self._open(connection, worker, seconds)
            held = objects.c.id.in_(ids)
            return self._take(
                connection, Claim(claim_id, worker, (), seconds), held, state="sending", updated_at=time.time()
            )

    def adopt_expired(
        self, *, worker: str = "", seconds: float = 120.0, unclaimed: bool = False, size: int = 1000
    ) -> Claim | None:
        """Take over one claim whose time is over, or whose worker is a process of this machine that is gone.

        The rows keep their states, and the times of their last change: a packet is no younger for being followed by
        another worker. Those in ``sending`` are maybe at the server and must be reconciled, those in
        ``sent`` are to be followed.

        Args:
            worker: As in :meth:`claim_chunk`.
            seconds: As there.
            unclaimed: Whether to take, when no claim has expired, rows that are on their way and in no claim: what
                :meth:`Objects.claim` left. Only while nobody uses that.
            size: How many unclaimed rows at most.
        """
        worker = worker or new_worker()
        with self._writing() as connection:
            for old in self._expired(connection):
                if not self._lock_expired(connection, old):
                    continue  # it was renewed, or somebody adopts it at this moment
                claim = Claim(self._open(connection, worker, seconds), worker, (), seconds)
                claim = self._take(connection, claim, objects.c.claim_id == old)
                connection.execute(sa.delete(claims).where(claims.c.id == old))
                if claim.rows:
                    return claim
                connection.execute(sa.delete(claims).where(claims.c.id == claim.id))
            return self._adopt_unclaimed(connection, worker, seconds, size) if unclaimed else None

    def renew(self, claim: Claim) -> None:
        """Hold a claim for ``claim.seconds`` from now on.

        Raises:
            ClaimLost: Another worker has adopted it.
        """
        with self._writing() as connection:
            expires_at = self._now(connection) + claim.seconds
            statement = sa.update(claims).where(claims.c.id == claim.id).values(expires_at=expires_at)
            if not connection.execute(statement).rowcount:
                raise lost(claim.id)

    def give_up(self, claim: Claim) -> None:
        """End a claim: what is still on its way in it may be adopted at once."""
        with self._writing() as connection:
            left = connection.execute(sa.select(objects.c.id).where(objects.c.claim_id == claim.id).limit(1)).scalar()
            mine = claims.c.id == claim.id
            ended = (
                sa.delete(claims).where(mine) if left is None else sa.update(claims).where(mine).values(expires_at=0)
            )
            connection.execute(ended)

    @contextmanager
    def kept(self, claim: Claim) -> Iterator[Heartbeat]:
        """Renew a claim every third of its time while the block runs, and end it afterwards."""
        heartbeat = Heartbeat(self, claim)
        try:
            yield heartbeat
        finally:
            heartbeat.stop()
            with suppress(LedgerError):  # it would expire by itself
                self.give_up(claim)

    def _open(self, connection: Connection, worker: str, seconds: float) -> int:
        values = {"target": self._target, "worker": worker, "expires_at": self._now(connection) + seconds}
        return int(connection.execute(sa.insert(claims).values(values).returning(claims.c.id)).scalar_one())

    def _take(self, connection: Connection, claim: Claim, which: sa.ColumnElement[bool], **values: Any) -> Claim:
        statement = sa.update(objects).where(which).values(claim_id=claim.id, **values)
        rows = [object_row(row) for row in connection.execute(statement.returning(objects))]
        return Claim(claim.id, claim.worker, tuple(sorted(rows, key=lambda row: row.id)), claim.seconds)

    def _expired(self, connection: Connection) -> list[int]:
        """Claims that may be adopted, oldest first."""
        query = sa.select(claims).where(claims.c.target == self._target).order_by(claims.c.id)
        now = self._now(connection)
        return [row.id for row in connection.execute(query).all() if _is_over(row, now)]

    def _lock_expired(self, connection: Connection, claim_id: int) -> bool:
        query = sa.select(claims).where(claims.c.id == claim_id).with_for_update(skip_locked=True)
        row = connection.execute(query).one_or_none()
        return row is not None and _is_over(row, self._now(connection))

    def _adopt_unclaimed(self, connection: Connection, worker: str, seconds: float, size: int) -> Claim | None:
        free = sa.select(objects.c.id).where(
            objects.c.target == self._target, objects.c.state.in_(ON_THEIR_WAY), objects.c.claim_id.is_(None)
        )
        locked = free.order_by(objects.c.id).limit(size).with_for_update(skip_locked=True)
        ids = connection.execute(locked).scalars().all()
        if not ids:
            return None
        claim = Claim(self._open(connection, worker, seconds), worker, (), seconds)
        return self._take(connection, claim, objects.c.id.in_(ids))


def _is_over(row: sa.Row[Any], now: float) -> bool:
    return bool(row.expires_at <= now) or certainly_dead(row.worker)


class Heartbeat:
    """Renews a claim from a thread. An unreachable database is asked again until the claim's time is over.

    Args:
        book: The ledger's claims.
        claim: What is renewed.
    """

    def __init__(self, book: Claims, claim: Claim) -> None:
        self._book, self._claim = book, claim
        self._good_until = time.monotonic() + claim.seconds
        self._done, self._lost = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Call it before something leaves that nobody but the holder may send.

        Raises:
            ClaimLost: The claim was adopted, or could not be renewed in time, so that it may have been.
        """
        if self._lost.is_set() or time.monotonic() > self._good_until:
            raise lost(self._claim.id)

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._done.wait(self._claim.seconds / 3):
            begun = time.monotonic()
            try:
                self._book.renew(self._claim)
                self._good_until = begun + self._claim.seconds
            except ClaimLost:
                self._lost.set()
                return
            except LedgerError:
                continue  # until check() says that it is too late


def lost(claim_id: int) -> ClaimLost:
    """The error of a worker that came too late."""
    return ClaimLost(
        f"Claim {claim_id} was taken over by another worker, because it was not renewed in time.",
        cure="Nothing is lost: that worker goes on with its objects. Take the next chunk.",
    )
