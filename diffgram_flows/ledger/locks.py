"""One worker at a time: a named lock in the ledger that survives neither its holder nor its time."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from diffgram_flows.errors import Busy
from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.schema import locks


class Locks(Book):
    """Locks of one target."""

    @contextmanager
    def hold(self, name: str, *, seconds: float = 60.0) -> Iterator[None]:
        """Hold a lock while the block runs; it is renewed every third of ``seconds`` by a thread.

        A holder that died on this machine loses the lock at once, one on another machine when its time is over.

        Raises:
            Busy: Somebody else holds it.
        """
        full_name = f"{self._target}#{name}"
        holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex}"
        self._take(full_name, holder, seconds)
        done = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(full_name, holder, seconds, done), daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
            with self._writing() as connection:
                connection.execute(sa.delete(locks).where(locks.c.name == full_name, locks.c.holder == holder))

    def _take(self, name: str, holder: str, seconds: float) -> None:
        with self._writing() as connection:
            row = connection.execute(sa.select(locks).where(locks.c.name == name).with_for_update()).one_or_none()
            if row is not None and row.expires_at > time.time() and _alive(row.holder):
                host, pid, _ = row.holder.split(":")
                raise Busy(
                    f"The {name.rpartition('#')[2]} lock is held by process {pid} on {host}.",
                    cure="Nothing is wrong: that run does the work. Wait for it, or stop it first.",
                )
            connection.execute(sa.delete(locks).where(locks.c.name == name))
            connection.execute(sa.insert(locks).values(name=name, holder=holder, expires_at=time.time() + seconds))

    def _renew(self, name: str, holder: str, seconds: float, done: threading.Event) -> None:
        while not done.wait(seconds / 3):
            with self._writing() as connection:
                connection.execute(
                    sa.update(locks)
                    .where(locks.c.name == name, locks.c.holder == holder)
                    .values(expires_at=time.time() + seconds)
                )


def _alive(holder: str) -> bool:
    """Whether the holder may still run: certainly not if it was a process of this machine that is gone."""
    host, pid, _ = holder.split(":")
    if host != socket.gethostname():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
