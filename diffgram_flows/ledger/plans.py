"""What an import is going to do, written down before it does it.

A plan is made of the changes between a bucket and the ledger, and knows the ledger's position when it was made. It can
be carried out once, and only while the ledger has not moved. States::

    making ──> ready ──> applying ──> applied          a plan that was interrupted while it was made stays ``making``

Its changes lie in a table of their own and are read and written by the page, so a plan of any size costs no memory.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row

from diffgram_flows.errors import LedgerError, PlanOutdated
from diffgram_flows.ledger.book import Book, recordable
from diffgram_flows.ledger.diffing import Change, Diff
from diffgram_flows.ledger.recording import Naming, Recorded, Recorder, batches
from diffgram_flows.ledger.schema import objects, plan_rows, plans, positions
from diffgram_flows.models import StoredObject

_PAGE = 5000  # changes


@dataclass(frozen=True, slots=True)
class Plan:
    """The head of a plan.

    Attributes:
        id: Short enough to type.
        created_at: Seconds since the epoch.
        position: The ledger's when the plan was begun.
        parameters: What it was made with, as its maker wants to remember it.
        counts: Objects by kind of change, and what else was counted.
        state: See the module's docstring.
        applied: How many of its changes are carried out.
    """

    id: str
    created_at: float
    position: int
    parameters: Mapping[str, Any]
    counts: Mapping[str, int]
    state: str
    applied: int = 0


class Plans(Book):
    """Plans of one target."""

    def __init__(self, engine: Engine, target: str) -> None:
        super().__init__(engine, target)
        self._recorder = Recorder(engine, target)

    def make(
        self, parameters: Mapping[str, Any], changes: Iterable[Change], *, also: Mapping[str, int] | None = None
    ) -> Plan:
        """Write a plan while its changes are found.

        Args:
            parameters: Anything that JSON can hold.
            changes: From :meth:`Objects.diff`; if it is a :class:`Diff` itself, all its counts are kept.
            also: More counts to keep, read when the changes are at their end.

        Raises:
            LedgerError: An object cannot be kept, see :func:`recordable`.
        """
        plan = self._begin(parameters)
        counts: dict[str, int] = {}
        number = 0
        for batch in batches(changes, _PAGE):
            self._write(plan.id, number, batch)
            number += len(batch)
            for change in batch:
                counts[change.kind] = counts.get(change.kind, 0) + 1
        counts.update(changes.counts if isinstance(changes, Diff) else {})
        counts.update(also or {})
        with self._writing() as connection:
            self._set(connection, plan.id, state="ready", counts=json.dumps(counts))
        return self.find(plan.id)

    def find(self, plan_id: str) -> Plan:
        """The plan of this id.

        Raises:
            LedgerError: There is none.
        """
        with self._reading() as connection:
            return self._find(connection, plan_id)

    def every(self) -> list[Plan]:
        """All plans, oldest first."""
        query = sa.select(plans).where(plans.c.target == self._target).order_by(plans.c.created_at)
        with self._reading() as connection:
            return [_plan(row) for row in connection.execute(query)]

    def changes(self, plan_id: str, *, after: int = 0) -> Iterator[Change]:
        """The changes of a plan in their order, without the first ``after``."""
        while page := self._page(plan_id, after):
            yield from page
            after += len(page)

    def apply(self, plan_id: str, name: Naming) -> Recorded:
        """Write the changes of a plan into the ledger: what the import then has to send is ``new``.

        An interrupted call is carried on by the next one.

        Raises:
            PlanOutdated: The ledger has moved since it was planned, or the plan was carried out before.
        """
        applied, total = self._start(plan_id), Recorded()
        while page := self._page(plan_id, applied):
            total += self._recorder.record(page, name)
            applied += len(page)
            with self._writing() as connection:
                self._set(connection, plan_id, applied=applied)
        with self._writing() as connection:
            self._set(connection, plan_id, state="applied")
        return total

    def duplicates(self, plan_id: str) -> int:
        """How many objects of a plan are to be imported although another object has the same version and size.

        The other one is earlier in the plan, or in the ledger. It says something where versions are content hashes.
        """
        mine = plan_rows.alias("mine")
        unknown = (mine.c.kind == "changed") | ((mine.c.kind == "new") & mine.c.object_id.is_(None))
        added = (mine.c.plan_id == plan_id) & unknown
        first = sa.select(sa.func.count()).select_from(mine).where(added).scalar_subquery()
        contents = sa.select(mine.c.version, mine.c.size).where(added).distinct().subquery()
        distinct = sa.select(sa.func.count()).select_from(contents).scalar_subquery()
        known = (
            sa.select(objects.c.version, objects.c.size)
            .where(objects.c.target == self._target, objects.c.state.not_in(("failed", "refused", "archived")))
            .distinct()
            .subquery()
        )
        same = (contents.c.version == known.c.version) & (contents.c.size == known.c.size)
        twice = sa.select(sa.func.count()).select_from(contents.join(known, same)).scalar_subquery()
        with self._reading() as connection:
            return int(connection.execute(sa.select(first - distinct + twice)).scalar_one())

    def drop(self, plan_id: str) -> None:
        """Forget a plan and its changes; what was carried out of it stays."""
        with self._writing() as connection:
            plan = self._find(connection, plan_id)
            connection.execute(sa.delete(plan_rows).where(plan_rows.c.plan_id == plan.id))
            connection.execute(sa.delete(plans).where(plans.c.id == plan.id))

    def _begin(self, parameters: Mapping[str, Any]) -> Plan:
        created = time.time()
        plan = Plan(uuid.uuid4().hex[:12], created, 0, parameters, {}, "making")
        with self._writing() as connection:
            values = {
                "id": plan.id,
                "target": self._target,
                "created_at": created,
                "position": self._position(connection),
                "parameters": json.dumps(dict(parameters)),
                "counts": "{}",
                "state": plan.state,
                "applied": 0,
            }
            connection.execute(sa.insert(plans).values(values))
        return plan

    def _start(self, plan_id: str) -> int:
        """Begin or carry on; how many changes are carried out already. The ledger's position is held meanwhile."""
        with self._writing() as connection:
            plan = self._find(connection, plan_id, lock=True)
            if plan.state == "ready" and self._position(connection, lock=True) != plan.position:
                raise _outdated(plan, "the ledger has changed since it was made")
            if plan.state not in {"ready", "applying"}:
                done = "it was carried out already" if plan.state == "applied" else "it was never finished"
                raise _outdated(plan, done)
            self._set(connection, plan_id, state="applying")
        return plan.applied

    def _position(self, connection: Connection, *, lock: bool = False) -> int:
        query = sa.select(positions.c.position).where(positions.c.target == self._target)
        return connection.execute(query.with_for_update() if lock else query).scalar() or 0

    def _find(self, connection: Connection, plan_id: str, *, lock: bool = False) -> Plan:
        query = sa.select(plans).where(plans.c.target == self._target, plans.c.id == plan_id)
        row = connection.execute(query.with_for_update() if lock else query).one_or_none()
        if row is None:
            raise LedgerError(f"The ledger has no plan {plan_id!r}.", cure="Make a plan first, or look for its id.")
        return _plan(row)

    def _set(self, connection: Connection, plan_id: str, **values: Any) -> None:
        connection.execute(sa.update(plans).where(plans.c.id == plan_id).values(values))

    def _write(self, plan_id: str, start: int, batch: list[Change]) -> None:
        rows = [_values(plan_id, start + offset, change) for offset, change in enumerate(batch, 1)]
        with self._writing() as connection:
            connection.execute(sa.insert(plan_rows), rows)

    def _page(self, plan_id: str, after: int) -> list[Change]:
        query = sa.select(plan_rows).where(plan_rows.c.plan_id == plan_id, plan_rows.c.number > after)
        with self._reading() as connection:
            return [_change(row) for row in connection.execute(query.order_by(plan_rows.c.number).limit(_PAGE))]


def _plan(row: Row[Any]) -> Plan:
    return Plan(
        row.id,
        row.created_at,
        row.position,
        json.loads(row.parameters),
        json.loads(row.counts),
        row.state,
        row.applied,
    )


def _values(plan_id: str, number: int, change: Change) -> dict[str, Any]:
    stored = change.object
    if not recordable(stored.bucket, stored.key, stored.version):
        raise LedgerError(
            f"The object {stored.uri!r} cannot be kept in the ledger, see recordable().", cure="Leave it out."
        )
    return {
        "plan_id": plan_id,
        "number": number,
        "kind": change.kind,
        "bucket": stored.bucket,
        "key": stored.key,
        "version": stored.version,
        "size": stored.size,
        "modified": stored.modified.timestamp() if stored.modified else None,
        "object_id": change.row_id,
        "known_version": change.known_version,
        "known_state": change.known_state,
    }


def _change(row: Row[Any]) -> Change:
    modified = datetime.fromtimestamp(row.modified, UTC) if row.modified is not None else None
    stored = StoredObject(row.bucket, row.key, row.size, row.version, modified)
    return Change(row.kind, stored, row.object_id, row.known_version, row.known_state)


def _outdated(plan: Plan, why: str) -> PlanOutdated:
    return PlanOutdated(f"Plan {plan.id} cannot be carried out: {why}.", cure="Make a new plan and look at it.")
