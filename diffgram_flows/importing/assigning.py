"""Imported files become tasks of an annotation job."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from diffgram_flows.diffgram import DiffgramClient, JobStat, maybe_delivered
from diffgram_flows.diffgram import TaskRow as ServerTask
from diffgram_flows.errors import ConfigurationError, DiffgramError
from diffgram_flows.importing.jobs import batches, launch, prepare_job, unlaunched
from diffgram_flows.ledger import JobRow, Ledger, ObjectRow, TaskRow
from diffgram_flows.ledger.work import COMPLETE

_ASKED = "A task was asked for in job"
_ASK_AGAIN = 3600.0  # seconds after which a task that never appeared is asked for once more
_POLL = 0.5  # seconds between two looks
_NOTES = 1000  # rows a statement


@dataclass(frozen=True, slots=True)
class AssignReport:
    """Who works on what.

    Attributes:
        job_ids: Our jobs, and the one that was given.
        tasked: Imported files that have a task.
        waiting: Imported files whose task is not there yet; they come by themselves, and the next run looks again.
    """

    job_ids: tuple[int, ...]
    tasked: int
    waiting: int


def assign(
    client: DiffgramClient,
    ledger: Ledger,
    *,
    directory_id: int,
    job_name: str,
    schema_id: int,
    job_id: int | None = None,
    timeout: float = 60.0,
    batch: int = 500,
) -> AssignReport:
    """Give every imported file a task: in the job that is active, else in a new one.

    Args:
        client: The server.
        ledger: Knows the imported files, our jobs and their tasks.
        directory_id: The dataset of the files.
        job_name: Jobs are called ``<job_name> 1``, ``<job_name> 2``, ...
        schema_id: The labels of a new job.
        job_id: A job of the user's, taken as long as it is active.
        timeout: Seconds to wait for a launch and for the tasks to appear.
        batch: Files a call.

    Raises:
        ConfigurationError: The job does not exist, or the project has no people who could work.
        DiffgramError: The server does not answer, or refuses.
    """
    ends_at = time.monotonic() + timeout
    own = job_id if job_id is not None and _status(client, job_id) == "active" else None
    _resume(client, ledger)
    refresh_tasks(client, ledger, job_id=job_id)
    todo = _untasked(ledger)
    if todo:
        status, current = ("active", own) if own is not None else _newest_job(client, ledger, ends_at)
        if status == "active":
            _add(client, ledger, current, todo, batch)
        elif status != "launching":
            _open(client, ledger, todo, job_name, schema_id, batch)
    return _wait(client, ledger, job_id, ends_at)


def refresh_tasks(client: DiffgramClient, ledger: Ledger, *, job_id: int | None = None) -> None:
    """Take over the state of the tasks of our jobs, and of ``job_id``.

    Asks each job for its counts, which is cheap, and lists the tasks of those whose counts differ from the ledger's.

    Raises:
        DiffgramError: The server does not answer.
    """
    refresh_jobs(client, ledger, _job_ids(ledger, job_id))


def refresh_jobs(client: DiffgramClient, ledger: Ledger, job_ids: Collection[int]) -> None:
    """Take over the state of the tasks of these jobs, whoever opened them.

    Raises:
        DiffgramError: The server does not answer.
    """
    known = ledger.work.tasks()
    for job_id in job_ids:
        counts = Counter(task.status for task in known if task.job_id == job_id)
        if not _agrees(client.job_stat(job_id), counts):
            ledger.work.save_tasks([_row(task, job_id) for task in client.tasks(job_id) if task.file_id is not None])


def _agrees(stat: JobStat, counts: Counter[str]) -> bool:
    return (stat.total, stat.completed, stat.in_progress, stat.in_review, stat.requires_changes) == (
        counts.total(),
        counts[COMPLETE],
        counts["in_progress"],
        counts["in_review"],
        counts["requires_changes"],
    )


def _row(task: ServerTask, job_id: int) -> TaskRow:
    moment = task.time_completed or task.time_updated if task.status == COMPLETE else None
    return TaskRow(task.id, job_id, task.file_id or 0, task.status, moment.isoformat() if moment else "")


def _job_ids(ledger: Ledger, job_id: int | None) -> tuple[int, ...]:
    """Oldest first; the user's job first of all."""
    ours = (job.job_id for job in ledger.work.jobs() if job.job_id is not None)
    return tuple(dict.fromkeys(number for number in (job_id, *ours) if number is not None))


def _untasked(ledger: Ledger) -> list[ObjectRow]:
    """Imported files without a task, except those for which one was asked a short time ago."""
    tasked = ledger.work.tasked_files()
    too_early = time.time() - _ASK_AGAIN
    return [
        row
        for file_id, row in ledger.objects.by_file_id().items()
        if file_id not in tasked and not (row.reason.startswith(_ASKED) and row.updated_at > too_early)
    ]


def _resume(client: DiffgramClient, ledger: Ledger) -> None:
    """Launch the job that was ready for it when a run ended; the launch may have been asked for already.

    Its files are those of its dataset. Later ones must not join them: the launch may have counted them out.
    """
    job = unlaunched(ledger)
    if job is None or job.job_id is None or job.directory_id is None:
        return
    ready = set(client.file_ids(job.directory_id))
    rows = [row.id for file_id, row in ledger.objects.by_file_id().items() if file_id in ready]
    _ask_and_launch(client, ledger, job, rows)


def _newest_job(client: DiffgramClient, ledger: Ledger, ends_at: float) -> tuple[str, int]:
    """Our newest job: ("active", id), ("launching", id) if its launch takes longer, or ("none", 0)."""
    jobs = ledger.work.jobs()
    if not jobs or jobs[-1].job_id is None:
        return "none", 0
    newest = jobs[-1].job_id
    while (status := _status(client, newest, search=jobs[-1].name)) == "draft" and time.monotonic() < ends_at:
        time.sleep(_POLL)
    return {"active": "active", "draft": "launching"}.get(status, "none"), newest


def _status(client: DiffgramClient, job_id: int, *, search: str | None = None) -> str:
    for job in client.jobs(search=search):
        if job.id == job_id:
            return job.status
    if search is None:
        raise ConfigurationError(
            f"The project {client.project} has no job {job_id}.", cure="Leave the job out, or take its id from its URL."
        )
    return _status(client, job_id)  # it was renamed


def _add(client: DiffgramClient, ledger: Ledger, job_id: int, todo: Sequence[ObjectRow], batch: int) -> None:
    """Ask for tasks in an active job. Asked twice, the server might make two: what was asked is written down first."""
    row_of = {row.file_id: row.id for row in todo if row.file_id is not None}
    for part in batches(list(row_of), batch):
        ids = [row_of[file_id] for file_id in part]
        ledger.objects.note(ids, f"{_ASKED} {job_id}.")
        try:
            client.add_files(job_id, part)
        except DiffgramError as error:
            if not maybe_delivered(error):
                ledger.objects.note(ids, "")
            raise


def _open(
    client: DiffgramClient, ledger: Ledger, todo: Sequence[ObjectRow], name: str, schema_id: int, batch: int
) -> None:
    file_ids = [row.file_id for row in todo if row.file_id is not None]
    job = prepare_job(client, ledger, file_ids, name=name, schema_id=schema_id, batch=batch)
    _ask_and_launch(client, ledger, job, [row.id for row in todo])


def _ask_and_launch(client: DiffgramClient, ledger: Ledger, job: JobRow, row_ids: Sequence[int]) -> None:
    for ids in batches(row_ids, _NOTES):
        ledger.objects.note(ids, f"{_ASKED} {job.job_id}.")
    launch(client, ledger, job)


def _wait(client: DiffgramClient, ledger: Ledger, job_id: int | None, ends_at: float) -> AssignReport:
    """Look until every imported file has a task, or the time is over; only at the jobs that can still get some."""
    job_ids = _job_ids(ledger, job_id)
    imported = set(ledger.objects.by_file_id())
    while True:
        tasked = imported & ledger.work.tasked_files()
        if tasked == imported or time.monotonic() >= ends_at:
            return AssignReport(job_ids, len(tasked), len(imported) - len(tasked))
        time.sleep(_POLL)
        refresh_jobs(client, ledger, {job_ids[0], job_ids[-1]} if job_ids else ())
