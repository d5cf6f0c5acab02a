"""Opening a ledger: engine, pragmas, migrations."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url

from diffgram_flows.errors import ConfigurationError, LedgerError
from diffgram_flows.ledger.ledger import Ledger
from diffgram_flows.ledger.troubles import Troubles, trouble

HEAD = "0003"
_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 60


def open_ledger(url: str, target: str) -> Ledger:
    """Open the ledger at ``url`` for one target, creating or migrating its tables first.

    Args:
        url: The path of a file, or an SQLAlchemy URL: ``sqlite:////data/ledger.db``, ``postgresql://user@host/name``.
        target: The dataset that rows are written for: server, project and dataset id in one string.

    Raises:
        ConfigurationError: The URL is none, or of a database that the ledger does not know or has no driver for.
        LedgerUnavailable: The database does not answer.
        LedgerError: The database cannot be opened or belongs to a newer version of this package.
    """
    parsed = _parsed(url)
    engine = _engine(parsed)
    try:
        _migrate(engine)
    except (*Troubles, OSError) as error:
        engine.dispose()
        raise _unopened(parsed, error) from error
    except BaseException:
        engine.dispose()
        raise
    return Ledger(engine, target)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{Path(url).expanduser().resolve()}")
    except (sa.exc.ArgumentError, ValueError):
        raise ConfigurationError(
            "The URL of the ledger is none.",
            cure="Give a file's path or postgresql://user:password@host:port/database.",
        ) from None
    backend = parsed.get_backend_name()
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        return parsed.set(drivername="sqlite")
    raise ConfigurationError(
        f"A ledger cannot be kept in {backend!r}.",
        cure="Use SQLite (the path of a file) or PostgreSQL (postgresql://).",
    )


def _unopened(url: URL, error: Exception) -> LedgerError:
    what = f"The ledger {url.render_as_string(hide_password=True)} cannot be opened"
    found = trouble(what, error)
    if url.get_backend_name() == "sqlite" and not found.retryable:
        found.cure = "Check the path, that its folder exists and is writable, and that the disk is not full."
    return found


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        try:
            return sa.create_engine(
                url, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args={"client_encoding": "utf8"}
            )
        except ImportError as error:
            raise ConfigurationError(
                f"The driver for PostgreSQL is missing: {error}.", cure="pip install 'diffgram-flows[postgres]'"
            ) from error
    if url.database:
        _make_folder(url)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_folder(url: URL) -> None:
    try:
        Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unopened(url, error) from error


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
            _check_encoding(connection)
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


def _check_encoding(connection: Connection) -> None:
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
    if encoding != "UTF8":
        raise LedgerError(
            f"The database of the ledger keeps its text as {encoding}, which does not hold every key.",
            cure="CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0.",
        )


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
