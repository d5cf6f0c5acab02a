"""What became of many objects, written in one transaction: each with its own file, import and reason."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy.engine import Connection

from diffgram_flows.errors import LedgerError
from diffgram_flows.ledger.book import Book, clean
from diffgram_flows.ledger.states import before

_PAGE = 2000  # outcomes in one transaction
# What is replaced by a newer version is not imported or sent again for its own sake.
_SQLITE = """
    UPDATE objects
    SET state = CASE WHEN successor IS NOT NULL AND ?2 IN ('new', 'imported') THEN 'superseded' ELSE ?2 END,
    file_id = coalesce(?3, file_id),
    input_id = coalesce(?4, input_id), reason = ?5, claim_id = NULL, updated_at = ?6
    WHERE id = ?1 AND state IN (SELECT value FROM json_each(?7)) AND (?8 IS NULL OR claim_id = ?8)
"""
_POSTGRES = """
    UPDATE objects
    SET state = CASE
        WHEN successor IS NOT NULL AND %(state)s::text IN ('new', 'imported') THEN 'superseded' ELSE %(state)s END,
    file_id = coalesce(found.file_id, objects.file_id),
    input_id = coalesce(found.input_id, objects.input_id), reason = found.reason, claim_id = NULL, updated_at = %(at)s
    FROM unnest(%(ids)s::bigint[], %(files)s::bigint[], %(inputs)s::bigint[], %(reasons)s::text[])
        AS found(id, file_id, input_id, reason)
    WHERE objects.id = found.id AND objects.state = ANY(%(earlier)s)
        AND (%(claim)s::bigint IS NULL OR objects.claim_id = %(claim)s)
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an object that was on its way has come to.

    Attributes:
        row_id: The object.
        state: ``imported``, ``failed``, ``refused``, or ``new`` for what is to be sent again.
        reason: Why, or what is odd about it.
        file_id, input_id: Diffgram's, where they are known now; what is known already stays.
    """

    row_id: int
    state: str
    reason: str = ""
    file_id: int | None = None
    input_id: int | None = None


class Settler(Book):
    """Writes outcomes of one target."""

    def settle(self, outcomes: Iterable[Outcome], *, claim: int | None = None) -> None:
        """Write outcomes; those of one state in one transaction, all or none of each 2,000.

        Raises:
            ClaimLost: Another worker has taken over.
            LedgerError: A row is in a state in which this cannot be.
        """
        for state, some in groupby(sorted(outcomes, key=lambda outcome: outcome.state), lambda outcome: outcome.state):
            every = list(some)
            for start in range(0, len(every), _PAGE):
                self._settle_page(state, every[start : start + _PAGE], claim)

    def _settle_page(self, state: str, page: Sequence[Outcome], claim: int | None) -> None:
        earlier = before(state)
        ids = [outcome.row_id for outcome in page]
        with self._writing() as connection:
            write = self._write_postgres if self._postgres else self._write_sqlite
            if write(connection, state, page, earlier, claim) != len(set(ids)):
                raise self._unfit(connection, ids, state, earlier, claim)

    def _write_sqlite(
        self, connection: Connection, state: str, page: Sequence[Outcome], earlier: tuple[str, ...], claim: int | None
    ) -> int:
        at, allowed = time.time(), "[" + ", ".join(f'"{name}"' for name in earlier) + "]"
        rows = [
            (each.row_id, state, each.file_id, each.input_id, clean(each.reason), at, allowed, claim) for each in page
        ]
        return connection.exec_driver_sql(_SQLITE, rows).rowcount

    def _write_postgres(
        self, connection: Connection, state: str, page: Sequence[Outcome], earlier: tuple[str, ...], claim: int | None
    ) -> int:
        values: dict[str, Any] = {
            "state": state,
            "at": time.time(),
            "ids": [each.row_id for each in page],
            "files": [each.file_id for each in page],
            "inputs": [each.input_id for each in page],
            "reasons": [clean(each.reason) for each in page],
            "earlier": list(earlier),
            "claim": claim,
        }
        return connection.exec_driver_sql(_POSTGRES, values).rowcount

    def _unfit(
        self, connection: Connection, ids: Sequence[int], state: str, earlier: tuple[str, ...], claim: int | None
    ) -> LedgerError:
        raise NotImplementedError
