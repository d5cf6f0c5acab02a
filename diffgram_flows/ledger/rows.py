"""What the ledger knows of one object, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import Row

from diffgram_flows.ledger.schema import objects
from diffgram_flows.models import StoredObject

_WIDTH = len(objects.c)


@dataclass(frozen=True, slots=True)
class ObjectRow:
    """What the ledger knows of one object.

    Attributes:
        id: Position in the ledger; chunks of work are ranges of it.
        file_name: The unique name under which Diffgram knows the file.
        state: See :mod:`diffgram_flows.ledger.states`.
        file_id: Diffgram's id once it is imported.
        attempts: How often a packet was sent.
        reason: Why it failed, or what was odd; empty if nothing was.
        updated_at: Seconds since the epoch of the last change.
        created_at: Seconds since the epoch when it was found; ``None`` if an old version of the package found it.
        claim_id: The claim that holds it while it is on its way.
        successor: The row of the version that took its place, if the object has changed since.
    """

    id: int
    object: StoredObject
    file_name: str
    state: str
    file_id: int | None
    input_id: int | None
    attempts: int
    reason: str
    updated_at: float
    created_at: float | None = None
    claim_id: int | None = None
    successor: int | None = None


def object_row(row: Row[Any]) -> ObjectRow:
    """The value of a whole row of the table, which may go on with other columns."""
    # By place: names cost as much as all the rest, and snapshots read millions of rows.
    number, _, bucket, key, version, size, modified, *others = row[:_WIDTH]
    return ObjectRow(number, StoredObject(bucket, key, size, version, _moment(modified)), *others)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
