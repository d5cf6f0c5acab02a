"""Everything that is known of one object of a bucket."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from diffgram_flows.ledger.book import Book, clean
from diffgram_flows.ledger.pushes import PushRow, push_row
from diffgram_flows.ledger.rows import ObjectRow, object_row
from diffgram_flows.ledger.schema import events, jobs, objects, pushes, tasks
from diffgram_flows.ledger.work import JobRow, TaskRow


@dataclass(frozen=True, slots=True)
class Event:
    """A change of state.

    Attributes:
        at: Seconds since the epoch.
        what: The state that began.
        detail: Why, if a reason was given.
    """

    at: float
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class VersionTrace:
    """One version of an object, and what became of it.

    Attributes:
        row: As it is now: its file, its import, the version that took its place.
        events: Its states in order of time, from ``new`` on. Rows of an old version of the package lack their past.
        pushes: Predictions that were sent for its file.
        tasks: What people were asked to do with its file.
        jobs: The jobs of these tasks.
    """

    row: ObjectRow
    events: tuple[Event, ...]
    pushes: tuple[PushRow, ...]
    tasks: tuple[TaskRow, ...]
    jobs: tuple[JobRow, ...]


class Tracer(Book):
    """Looks up the past of single objects of one target."""

    def trace(self, uri: str) -> list[VersionTrace]:
        """All versions of an object, oldest first; empty if the ledger does not know it.

        Args:
            uri: As in :attr:`StoredObject.uri`. Bucket and key are not told apart in it, so every slash is tried.
        """
        if clean(uri) != uri:
            return []  # nothing of that name can be kept
        slashes = [position for position, character in enumerate(uri) if character == "/"]
        places = [(uri[:position], uri[position + 1 :]) for position in slashes]
        here = [sa.and_(objects.c.bucket == bucket, objects.c.key == key) for bucket, key in places]
        if not here:
            return []
        query = sa.select(objects).where(objects.c.target == self._target, sa.or_(*here)).order_by(objects.c.id)
        with self._reading() as connection:
            rows = [object_row(row) for row in connection.execute(query)]
            return [self._version(connection, row) for row in rows]

    def _version(self, connection: Connection, row: ObjectRow) -> VersionTrace:
        sent = sa.select(pushes).where(pushes.c.target == self._target, pushes.c.file_name == row.file_name)
        asked = sa.select(tasks).where(tasks.c.target == self._target, tasks.c.file_id == row.file_id)
        found = [
            TaskRow(task.task_id, task.job_id, task.file_id, task.status, task.completed_at)
            for task in (connection.execute(asked.order_by(tasks.c.task_id)) if row.file_id is not None else ())
        ]
        return VersionTrace(
            row,
            tuple(self._events(connection, row)),
            tuple(push_row(push) for push in connection.execute(sent.order_by(pushes.c.updated_at))),
            tuple(found),
            tuple(self._jobs(connection, {task.job_id for task in found})),
        )

    def _events(self, connection: Connection, row: ObjectRow) -> Iterable[Event]:
        """The first event is in the object's own row: a million new objects need no million events."""
        if row.created_at is not None:
            yield Event(row.created_at, "new")
        query = sa.select(events).where(events.c.object_id == row.id).order_by(events.c.id)
        yield from (Event(event.at, event.what, event.detail) for event in connection.execute(query))

    def _jobs(self, connection: Connection, ids: set[int]) -> Iterable[JobRow]:
        query = sa.select(jobs).where(jobs.c.target == self._target, jobs.c.job_id.in_(ids)).order_by(jobs.c.number)
        for job in connection.execute(query) if ids else ():
            yield JobRow(job.number, job.name, job.directory_id, job.job_id, job.launched)
