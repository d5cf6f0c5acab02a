"""Opening the next annotation job, step by step, so that a crash after any step is continued and not repeated."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.ledger import JobRow, Ledger


def unlaunched(ledger: Ledger) -> JobRow | None:
    """The job that was being opened when a run ended, if there is one."""
    jobs = ledger.work.jobs()
    return jobs[-1] if jobs and not jobs[-1].launched else None


def prepare_job(
    client: DiffgramClient,
    ledger: Ledger,
    file_ids: Collection[int],
    *,
    name: str,
    schema_id: int,
    batch: int,
) -> JobRow:
    """Bring the next job to the point where only its launch is missing.

    Its files are mirrored into a dataset of its own, which is attached to it in sync mode: the recorded way in which
    a launch makes a task of every file (contract section 9).

    Raises:
        ConfigurationError: The project has no people who could work.
        DiffgramError: The server does not answer, or refuses.
    """
    job = unlaunched(ledger) or _intent(client, ledger, name)
    if job.directory_id is None:
        job = _saved(ledger, replace(job, directory_id=client.ensure_directory(job.name).id))
    _mirror(client, file_ids, _id(job.directory_id), batch)
    if job.job_id is None:
        found = client.find_job(job.name)
        job_id = found.id if found else _new_job(client, job, schema_id)
        job = _saved(ledger, replace(job, job_id=job_id))
    return job


def launch(client: DiffgramClient, ledger: Ledger, job: JobRow) -> None:
    """Ask for the tasks; the server makes them in its own time.

    Raises:
        DiffgramError: The server does not answer, or refuses.
    """
    client.launch_job(_id(job.job_id))
    _saved(ledger, replace(job, launched=True))


def batches(items: Collection[int], size: int) -> Iterator[list[int]]:
    """``items`` in parts of at most ``size``."""
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part


def _intent(client: DiffgramClient, ledger: Ledger, name: str) -> JobRow:
    """Commit to a name that nobody has: what bears it after a crash is ours."""
    number = max((job.number for job in ledger.work.jobs()), default=0) + 1
    while client.find_job(f"{name} {number}") or client.find_directory(f"{name} {number}"):
        number += 1
    return _saved(ledger, JobRow(number, f"{name} {number}"))


def _saved(ledger: Ledger, job: JobRow) -> JobRow:
    ledger.work.save_job(job)
    return job


def _mirror(client: DiffgramClient, file_ids: Collection[int], directory_id: int, batch: int) -> None:
    """Link the files into the dataset, without those that are there already."""
    there = set(client.file_ids(directory_id)) if file_ids else set()
    for part in batches([file_id for file_id in file_ids if file_id not in there], batch):
        client.mirror_files(part, directory_id)


def _new_job(client: DiffgramClient, job: JobRow, schema_id: int) -> int:
    people = [member.member_id for member in client.view_project().members if member.kind == "human"]
    if not people:
        raise ConfigurationError(
            f"The project {client.project} has no people, so nobody could work on the job {job.name!r}.",
            cure="Invite somebody to the project in Diffgram.",
        )
    return client.new_job(job.name, schema_id=schema_id, member_ids=people, directory_ids=[_id(job.directory_id)])


def _id(value: int | None) -> int:
    """An id that an earlier step has set."""
    if value is None:
        raise ValueError("The step that sets this id did not run.")
    return value
