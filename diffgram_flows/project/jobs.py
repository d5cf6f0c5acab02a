"""``project.job`` and ``project.task``: work for people."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from diffgram_flows.diffgram import Guide, JobInfo, JobMembers, JobRow, JobStat, TaskRow
from diffgram_flows.diffgram.jobs import DirectoryMode, OutputAction
from diffgram_flows.errors import ConfigurationError, InvalidRequest
from diffgram_flows.project.context import Context, DirectoryLike, Ref, id_of
from diffgram_flows.project.exports import Export

_POLL = 0.5  # seconds
_LAUNCH = 60.0  # seconds; 4 to 18 were seen (contract section 9)


@dataclass(frozen=True, slots=True)
class Job:
    """One job."""

    _context: Context = field(repr=False, compare=False)
    id: int
    name: str

    def launch(self, *, wait: bool = True, timeout: float = _LAUNCH) -> Job:
        """Start it; that it is started already is no error.

        Args:
            wait: Whether to wait until it is active. What is imported into it before that gets no task.
            timeout: Seconds to wait.

        Raises:
            InvalidRequest: It does not exist, has no label schema, or was not active in time.
        """
        self._context.client.launch_job(self.id)
        ends_at = time.monotonic() + timeout
        while wait and self._status() == "draft":
            if time.monotonic() > ends_at:
                raise InvalidRequest(
                    f"The job {self.id} ({self.name!r}) is not active {timeout:g} s after its launch.",
                    cure="Look at job.info().launch_log, and whether the server's event service runs.",
                )
            time.sleep(_POLL)
        return self

    def attach_directories(self, directories: Iterable[DirectoryLike], mode: DirectoryMode = "sync") -> Job:
        """Let the files of datasets become tasks: ``sync`` takes later ones, too. For drafts only.

        Raises:
            InvalidRequest: It is no draft any more.
        """
        ids = [self._context.directory_id(directory) for directory in directories]
        self._context.client.attach_directories(self.id, ids, mode)
        return self

    def set_output_directory(self, directory: DirectoryLike, action: OutputAction = "copy") -> Job:
        """Say where the file of a task goes when the task is complete: ``copy``, ``move`` or ``nothing``."""
        self._context.client.set_output_directory(self.id, self._context.directory_id(directory), action)
        return self

    def attach_guide(self, guide: Guide | int) -> Job:
        """Show a guide to its annotators."""
        self._context.client.attach_guide(self.id, id_of(guide))
        return self

    def add_files(self, files: Iterable[Ref]) -> Job:
        """Make tasks of files that are there; the tasks come seconds later."""
        self._context.client.add_files(self.id, [id_of(file) for file in files])
        return self

    def stat(self) -> JobStat:
        """The counts of its tasks; the call for polling."""
        return self._context.client.job_stat(self.id)

    def info(self) -> JobInfo:
        """All about it; 300 calls a day."""
        return self._context.client.job_info(self.id)

    def members(self) -> JobMembers:
        """Who annotates and who reviews."""
        return self._context.client.job_members(self.id)

    def tasks(self, status: str | None = None) -> Iterator[TaskRow]:
        """Its tasks, read page by page while they are consumed.

        Args:
            status: Only tasks of this status: ``available``, ``complete``, ...
        """
        return self._context.client.tasks(self.id, status=status)

    def generate_export(self, *, only_complete: bool = False) -> Export:
        """Start an export of it; ``wait`` for it before reading.

        Args:
            only_complete: Only files whose tasks are complete.
        """
        return Export(self._context, self._context.client.start_export(job_id=self.id, only_complete=only_complete).id)

    def archive(self) -> None:
        """Put it aside; its tasks are archived, its files stay. 10 calls a day."""
        self._context.client.archive_jobs([self.id])

    def _status(self) -> str:
        """Its status, from the list of jobs, which has no daily limit."""
        found = [job for job in self._context.client.jobs(self.name) if job.id == self.id]
        return found[0].status if found else self.info().status


class Jobs:
    """Jobs."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def new(
        self,
        name: str | None = None,
        *,
        sync_directories: Sequence[DirectoryLike] = (),
        members: Sequence[int] | None = None,
        reviewers: Sequence[int] = (),
        schema: Ref | str | None = None,
        instance_type: str = "box",
        tags: Sequence[str] = (),
        guide: Guide | int | None = None,
        output_directory: DirectoryLike | None = None,
        output_action: OutputAction = "copy",
        auto_launch: bool = True,
    ) -> Job:
        """Make a job.

        Args:
            name: Its name; by default one with the time.
            sync_directories: Datasets whose files become tasks, also those imported later.
            members: Member ids of who may work on it; by default all people of the project.
            reviewers: Member ids of who reviews; without anybody a task is complete when its annotator says so.
            schema: Its label schema; by default the project's.
            instance_type: What people draw by default.
            tags: Free words.
            guide: What its annotators can read.
            output_directory: Where the files of complete tasks go.
            output_action: ``copy``, ``move`` or ``nothing``.
            auto_launch: Whether to launch it, and to wait until it is active: what is imported into a draft gets no
                task.

        Raises:
            ConfigurationError: The project has no people.
            BrokenReply: A dataset does not exist.
            InvalidRequest: A member does not exist.
        """
        client = self._context.client
        label = name or f"job of {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
        output = None if output_directory is None else self._context.directory_id(output_directory)
        job_id = client.new_job(
            label,
            schema_id=self._context.schema_id(schema),
            member_ids=self._people() if members is None else members,
            directory_ids=[self._context.directory_id(directory) for directory in sync_directories],
            instance_type=instance_type,
            tags=tags,
            reviewer_ids=reviewers,
            output_directory_id=output,
            output_action=output_action,
        )
        job = Job(self._context, job_id, label)
        if guide is not None:
            job.attach_guide(guide)
        return job.launch() if auto_launch else job

    def list(self, search: str | None = None) -> Sequence[JobRow]:
        """The jobs of the project, newest first; with ``search`` only those that have it in their name."""
        return self._context.client.jobs(search)

    def get(self, name: str) -> Job | None:
        """The job of exactly this name that is not archived, the newest if there are several."""
        found = self._context.client.find_job(name)
        return None if found is None else Job(self._context, found.id, found.name)

    def get_by_id(self, job_id: int) -> Job:
        """One job.

        Raises:
            InvalidRequest: There is no such job in this project.
        """
        for row in self._context.client.jobs():
            if row.id == job_id:
                return Job(self._context, row.id, row.name)
        raise InvalidRequest(
            f"The project {self._context.client.project!r} has no job {job_id}.", cure="Take its id from its URL."
        )

    def archive(self, jobs: Iterable[Ref]) -> None:
        """Put jobs aside, all in one call: the server allows 10 a day."""
        self._context.client.archive_jobs([id_of(job) for job in jobs])

    def _people(self) -> Sequence[int]:
        people = [member.member_id for member in self._context.client.members() if member.kind == "human"]
        if not people:
            raise ConfigurationError(
                f"The project {self._context.client.project!r} has no people, so nobody could work on a job.",
                cure="Invite somebody to the project in Diffgram.",
            )
        return people


class Tasks:
    """Tasks. An API credential may list them; the rest is for people who are logged in."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def list(self, *, job: Ref | None = None, file: Ref | None = None, status: str | None = None) -> Iterator[TaskRow]:
        """The tasks of a job, or those of a file in all jobs, read page by page while they are consumed.

        Raises:
            InvalidRequest: Not exactly one of the two was given.
        """
        if (job is None) == (file is None):
            raise InvalidRequest("The list of tasks needs a job or a file.", cure="Give job=... or file=...")
        client = self._context.client
        if job is not None:
            return client.tasks(id_of(job), status=status)
        rows = client.tasks_of_file(id_of(file)) if file is not None else iter(())
        return (row for row in rows if status is None or row.status == status)

    def get_by_id(self, task_id: int) -> TaskRow:
        """One task, which the server shows to people who are logged in, and not to an API credential.

        Raises:
            SessionRequired: Always, on a server of the recorded version.
        """
        return self._context.client.task(task_id)
