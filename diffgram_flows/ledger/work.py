"""What people were asked to do: our jobs, and the state of every task as last seen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from diffgram_flows.ledger.book import Book
from diffgram_flows.ledger.schema import jobs, tasks

COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class JobRow:
    """One annotation job that we opened.

    Attributes:
        number: 1 for the first job of the target, counting up.
        name: Unique in the project, chosen before the job is created so that it can be found again.
        directory_id: The dataset that was attached to it, once it exists.
        job_id: Diffgram's id, once it exists.
        launched: Whether the launch was asked for.
    """

    number: int
    name: str
    directory_id: int | None = None
    job_id: int | None = None
    launched: bool = False


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One task as last seen on the server."""

    task_id: int
    job_id: int
    file_id: int
    status: str
    completed_at: str = ""


class Work(Book):
    """Jobs and tasks of one target."""

    def jobs(self) -> list[JobRow]:
        """Our jobs, oldest first."""
        query = sa.select(jobs).where(jobs.c.target == self._target).order_by(jobs.c.number)
        with self._reading() as connection:
            return [
                JobRow(row.number, row.name, row.directory_id, row.job_id, row.launched)
                for row in connection.execute(query)
            ]

    def save_job(self, job: JobRow) -> None:
        row = {"target": self._target, **asdict(job)}
        self._upsert(jobs, [row], update=("name", "directory_id", "job_id", "launched"))

    def save_tasks(self, seen: Iterable[TaskRow]) -> None:
        """Write the state of tasks as the server listed them."""
        rows = [{"target": self._target, **asdict(task)} for task in seen]
        self._upsert(tasks, rows, update=("job_id", "file_id", "status", "completed_at"))

    def tasks(self, *, status: str | None = None) -> list[TaskRow]:
        query = sa.select(tasks).where(tasks.c.target == self._target).order_by(tasks.c.task_id)
        if status is not None:
            query = query.where(tasks.c.status == status)
        with self._reading() as connection:
            return [
                TaskRow(row.task_id, row.job_id, row.file_id, row.status, row.completed_at)
                for row in connection.execute(query)
            ]

    def finished_at(self) -> dict[int, float]:
        """The files that a person has finished, which means that every task of theirs is complete, and when.

        Seconds since the epoch by the server's clock; minus infinity where the server did not tell.
        """
        query = sa.select(tasks.c.file_id, tasks.c.status, tasks.c.completed_at).where(tasks.c.target == self._target)
        ends: dict[int, float] = {}
        with self._reading() as connection:
            for file_id, status, moment in connection.execute(query):
                end = _seconds(moment) if status == COMPLETE else math.inf
                ends[file_id] = max(end, ends.get(file_id, -math.inf))
        return {file_id: end for file_id, end in ends.items() if end != math.inf}

    def finished_files(self) -> set[int]:
        """Ids of the files that a person has finished."""
        return set(self.finished_at())

    def tasked_files(self) -> set[int]:
        """Ids of the files that have a task, finished or not."""
        return {task.file_id for task in self.tasks()}


def _seconds(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:
        return -math.inf
