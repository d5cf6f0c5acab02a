"""Opening a ledger: engine, pragmas, migrations."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from diffgram_flows.errors import LedgerError
from diffgram_flows.ledger.ledger import Ledger

HEAD = "0001"
_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60


def open_ledger(url: str, target: str) -> Ledger:
    """Open the ledger at ``url`` for one target, creating or migrating its tables first.

    Args:
        url: An SQLAlchemy URL (``sqlite:////data/ledger.db``, ``postgresql+psycopg://...``) or the path of a file.
        target: The dataset that rows are written for: server, project and dataset id in one string.

    Raises:
        LedgerError: The database cannot be opened or belongs to a newer version of this package.
    """
    parsed = make_url(url if "://" in url else f"sqlite:///{Path(url).expanduser().resolve()}")
    try:
        engine = _engine(parsed)
        _migrate(engine)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        raise LedgerError(
            f"The ledger {parsed.render_as_string(hide_password=True)} cannot be opened: {error.__cause__ or error}.",
            cure="Check the path or URL, that its folder exists and is writable, and that the disk is not full.",
        ) from error
    return Ledger(engine, target)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True)
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _configure_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not guessed by the driver
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_SECONDS * 1000}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a transaction that reads first and writes later could not be upgraded under load."""
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _migrate(engine: Engine) -> None:
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(712025)")  # one migration at a time
        revision = _revision(connection)
        if revision == HEAD:
            return
        if revision is not None and revision > HEAD:
            raise LedgerError(
                f"The ledger is at schema {revision}, this package knows only {HEAD}.",
                cure="Update diffgram-flows to at least the version that wrote this ledger.",
            )
        _upgrade(connection)


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
