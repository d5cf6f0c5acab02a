"""What the database's errors mean: our own errors, on one line, that say whether trying again can help."""

from __future__ import annotations

import sqlite3

import sqlalchemy as sa

from diffgram_flows.errors import LedgerError, LedgerUnavailable

_PASSING_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
# Connection trouble, serialisation and deadlock, out of connections, shut down or starting, a lock not had in time.
_PASSING_SQLSTATES = ("08", "40", "53300", "57P", "55P03")

Troubles = (sa.exc.DBAPIError, sa.exc.TimeoutError)
"""What SQLAlchemy raises when the database does not do what it should."""


def trouble(what: str, error: Exception) -> LedgerError:
    """The error to raise for one of :data:`Troubles`.

    Args:
        what: What could not be done: "The ledger cannot be read".
        error: The trouble.
    """
    cause = getattr(error, "orig", None) or error
    text = " ".join(str(cause).split()).rstrip(".")
    if _passing(error, cause):
        return LedgerUnavailable(
            f"{what}: {text}.",
            cure="Check that the database is up and not overloaded; what was not written will be done again.",
        )
    return LedgerError(
        f"{what}: {text}.",
        cure="Check free disk space, the rights of the user and the database's log; nothing half-done was kept.",
    )


def _passing(error: Exception, cause: BaseException) -> bool:
    if isinstance(error, sa.exc.TimeoutError) or getattr(error, "connection_invalidated", False):
        return True
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _PASSING_SQLITE
    state = getattr(cause, "sqlstate", None)
    if state is None:  # psycopg has none where there was no connection to get it from
        return isinstance(error, sa.exc.OperationalError)
    return str(state).startswith(_PASSING_SQLSTATES)
