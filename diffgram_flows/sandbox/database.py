"""SQLite in WAL mode: one writer at a time, readers that never wait for it."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.schema import SCHEMA


class Database:
    """The sandbox's state on disk.

    ``synchronous = NORMAL`` in WAL mode survives the death of the process at any moment (what was committed is in the
    operating system's cache); only a power cut can lose the last commits.

    Args:
        path: The file; made if it is missing, completed if an older sandbox made it.

    Raises:
        ConfigurationError: It cannot be completed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._idle: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._writer = self._connect()
        try:
            _bring_up_to_date(self._writer, path)
        except BaseException:
            self._writer.close()
            raise
        _add_missing_columns(self._writer)

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that may write: committed at the end of the block, rolled back on any exception."""
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One consistent snapshot for reading."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = self._connect()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")
            self._idle.put(connection)

    def close(self) -> None:
        """Close every connection that is not in use."""
        with self._lock:
            self._writer.close()
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


def _add_missing_columns(cx: sqlite3.Connection) -> None:
    """Give the tables of an older sandbox's folder the columns that were added since, with their default values."""
    with closing(sqlite3.connect(":memory:")) as new:
        new.executescript(SCHEMA)
        for (table,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            known = {row["name"] for row in cx.execute("SELECT name FROM pragma_table_info(?)", (table,))}
            wanted = new.execute(
                'SELECT name, type, "notnull", dflt_value FROM pragma_table_info(?)', (table,)
            ).fetchall()
            for name, kind, required, default in wanted:
                if name not in known:
                    rule = f"{'NOT NULL' if required else ''} {f'DEFAULT {default}' if default is not None else ''}"
                    cx.execute(f"ALTER TABLE {table} ADD COLUMN {name} {kind} {rule}")


def _bring_up_to_date(cx: sqlite3.Connection, path: Path) -> None:
    cx.executescript("BEGIN IMMEDIATE;" + SCHEMA + "COMMIT;")
    model = sqlite3.connect(":memory:")
    try:
        model.executescript(SCHEMA)
        for (table,) in model.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            present = {row["name"] for row in cx.execute(f"PRAGMA table_info({table})")}
            for _, column, kind, required, default, _ in model.execute(f"PRAGMA table_info({table})"):
                if column not in present:
                    _add_column(cx, path, (table, column, kind, required, default))
    finally:
        model.close()


def _add_column(cx: sqlite3.Connection, path: Path, wanted: tuple[str, str, str, int, str | None]) -> None:
    table, column, kind, required, default = wanted
    if required and default is None:  # no value would suit the rows that are there
        raise ConfigurationError(
            f"{path} was made by another version of the sandbox: {table}.{column} is missing.",
            cure="Start with another data folder, or delete this one.",
        )
    rule = (" NOT NULL" if required else "") + ("" if default is None else f" DEFAULT {default}")
    cx.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}{rule}")
