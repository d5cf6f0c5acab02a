"""What the ledger's parts share: an engine, a target, short transactions, one clock and errors of our tree."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from diffgram_flows.ledger.troubles import Troubles, trouble

_NO_TEXT = str.maketrans({0: "\ufffd", **dict.fromkeys(range(0xD800, 0xE000), "\ufffd")})


class Book:
    """One part of the ledger of one target.

    Who changes several rows of ``objects`` in one transaction locks them first: on PostgreSQL every change ends with
    the target's position (a trigger), and whoever waits for a row while holding that would stop all others.
    """

    def __init__(self, engine: Engine, target: str) -> None:
        self._engine = engine
        self._target = target

    @property
    def _postgres(self) -> bool:
        return self._engine.dialect.name == "postgresql"

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that, on SQLite, holds the write lock from its start.

        Raises:
            LedgerUnavailable: The database does not answer; nothing of the block was written.
            LedgerError: It does not do what it should.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except Troubles as error:
            raise trouble("The ledger cannot be written", error) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(reading=True)
        except Troubles as error:
            raise trouble("The ledger cannot be read", error) from error

    def _insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        """An insert that can say what happens where a key exists already."""
        return postgresql.insert(table) if self._postgres else sqlite.insert(table)

    def _upsert(self, table: sa.Table, rows: list[dict[str, Any]], *, update: tuple[str, ...] = ()) -> int:
        """Insert rows; where a key exists already, set ``update`` or leave the row as it is. How many were written."""
        if not rows:
            return 0
        insert = self._insert(table)
        if update:
            statement = insert.on_conflict_do_update(
                table.primary_key, set_={name: insert.excluded[name] for name in update}
            )
        else:
            statement = insert.on_conflict_do_nothing()
        with self._writing() as connection:
            return connection.execute(statement, rows).rowcount

    def _now(self, connection: Connection) -> float:
        """Seconds since the epoch by the database's clock: the one that all machines share.

        SQLite has none of its own, and all its users are on one machine.
        """
        if not self._postgres:
            return time.time()
        return float(connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one())


def clean(text: str) -> str:
    """Text that every database takes: without NUL and lone surrogates, as replies and file names may hold them."""
    return text.translate(_NO_TEXT) if "\0" in text or not _encodable(text) else text


def recordable(*texts: str) -> bool:
    """Whether texts can be kept byte for byte: no NUL, no lone surrogate, not longer than an index of PostgreSQL takes.

    Keys are not escaped: an escaped key would sort elsewhere than the bucket lists it.
    """
    joined = "".join(texts)
    return "\0" not in joined and _encodable(joined) and (len(joined) <= 600 or len(joined.encode()) <= MAX_BYTES)


MAX_BYTES = 2400
"""Of bucket, key and version together. Keys of S3 and GCS have 1,024 at most; a path on a disk can have more."""


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def pages(size: int, rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Slices of at most ``size``."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
