"""What the ledger's parts share: an engine, a target, short transactions and errors of our tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from diffgram_flows.errors import LedgerError


class Book:
    """One part of the ledger of one target."""

    def __init__(self, engine: Engine, target: str) -> None:
        self._engine = engine
        self._target = target

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction that holds the write lock from its start."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            raise LedgerError(
                f"The ledger cannot be written: {error.orig}.",
                cure="Check free disk space and that the database is up; what was not written will be done again.",
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engine.connect() as connection:
                yield connection.execution_options(reading=True)
        except sa.exc.OperationalError as error:
            raise LedgerError(
                f"The ledger cannot be read: {error.orig}.", cure="Check that the database is up."
            ) from error

    def _upsert(self, table: sa.Table, rows: list[dict[str, Any]], *, update: tuple[str, ...] = ()) -> int:
        """Insert rows; where a key exists already, set ``update`` or leave the row as it is. How many were written."""
        if not rows:
            return 0
        insert = (postgresql if self._engine.dialect.name == "postgresql" else sqlite).insert(table)
        if update:
            key = [column.name for column in table.primary_key.columns]
            statement = insert.on_conflict_do_update(key, set_={name: insert.excluded[name] for name in update})
        else:
            statement = insert.on_conflict_do_nothing()
        with self._writing() as connection:
            return connection.execute(statement, rows).rowcount
