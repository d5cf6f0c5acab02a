"""Jobs and their tasks (contract section 9). Reading or completing a single task needs a browser login."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from diffgram_flows.diffgram.records import JobRow, JobStat, TaskRow, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.errors import InvalidRequest, UnexpectedReply

_JOBS_A_PAGE = 50  # the page size that the server names in its replies
_FILES_A_CALL = 1000


class JobCalls(Resource):
    """Calls about jobs."""

    def new_job(
        self,
        name: str,
        *,
        schema_id: int,
        member_ids: Sequence[int],
        directory_ids: Sequence[int] = (),
        instance_type: str = "box",
        tags: Sequence[str] = (),
    ) -> int:
        """Make a draft job and give its id. Names are not unique: look with :meth:`find_job` first.

        Args:
            name: Its name.
            schema_id: The label schema, without which a job cannot be launched.
            member_ids: Who may work on it: ``Member.member_id``, not user ids.
            directory_ids: Datasets whose files become tasks, also those imported later.
            instance_type: What people draw by default.
            tags: Free words.

        Raises:
            BrokenReply: A dataset does not exist.
            InvalidRequest: A member does not exist.
        """
        attached = [{"directory_id": directory_id, "selected": "sync"} for directory_id in directory_ids]
        body = {
            "name": name,
            "instance_type": instance_type,
            "share": "project",
            "type": "Normal",
            "permission": "all_secure_users",
            "label_mode": "closed_all_available",
            "passes_per_file": 1,
            "label_schema_id": schema_id,
            "member_list_ids": list(member_ids),
            "attached_directories_dict": {"attached_directories_list": attached},
            "tag_list": list(tags),
        }
        about = f"the new job {name!r} (schema {schema_id}, members {list(member_ids)}, datasets {list(directory_ids)})"
        reply = self._change(self._path("job/new"), about, body)
        return parse(JobRow, part(reply, "job", about=about), about).id

    def launch_job(self, job_id: int) -> None:
        """Start a job; its tasks come seconds later. That it is launched already is no error.

        Raises:
            InvalidRequest: There is no such job, or it has no label schema.
        """
        try:
            self._change("/api/v1/job/launch", f"the launch of job {job_id}", {"job_id": job_id})
        except InvalidRequest as error:
            if "already launched" not in error.fields.get("job_status", ""):
                raise

    def add_files(self, job_id: int, file_ids: Sequence[int]) -> None:
        """Make tasks of existing files; they come seconds later."""
        for start in range(0, len(file_ids), _FILES_A_CALL):
            some = list(file_ids[start : start + _FILES_A_CALL])
            about = f"{len(some)} files for job {job_id}, {min(some)} to {max(some)}"
            self._change(f"/api/v1/job/{job_id}/add-files", about, {"file_id_list": some})

    def job_stat(self, job_id: int) -> JobStat:
        """The counts of a job's tasks; the call for polling, because it has no daily limit."""
        about = f"the counts of job {job_id}"
        return parse(JobStat, self._get(f"/api/job/{job_id}/stat", about), about)

    def jobs(self, search: str | None = None) -> list[JobRow]:
        """The jobs of the project, newest first; with ``search`` only those that have it in their name."""
        about = "the list of jobs"
        found: dict[int, JobRow] = {}
        page = pages = 1
        while page <= pages:
            metadata: dict[str, Any] = {
                "project_string_id": self.project,
                "limit": _JOBS_A_PAGE,
                "status": ["All"],
                "search": search,
                "page_number": page,
            }
            reply = self._ask("/api/v1/job/list", about, {"metadata": metadata})
            rows = parse_all(JobRow, part(reply, "Job_list", about=about), about)
            if all(row.id in found for row in rows):  # also when there are none
                break
            found |= {row.id: row for row in rows}
            pages = part(reply, "metadata", about=about).get("number_of_pages") or page
            page += 1
        return list(found.values())

    def find_job(self, name: str) -> JobRow | None:
        """The job of exactly this name that is not archived, the newest if there are several."""
        same = [job for job in self.jobs(name) if job.name == name and job.status != "archived"]
        return max(same, key=lambda job: job.id, default=None)

    def tasks(self, job_id: int, *, status: str | None = None, page_size: int = 200) -> Iterator[TaskRow]:
        """The tasks of a job, read page by page while they are consumed.

        A task that changes its status meanwhile may be missed when ``status`` is given: the pages shift.

        Args:
            job_id: The job.
            status: Only tasks of this status.
            page_size: Tasks a call.

        Raises:
            UnexpectedReply: The server sent tasks of another job.
        """
        about = f"the tasks of job {job_id}"
        body: dict[str, Any] = {"mode_data": "direct_route", "job_id": job_id, "limit_count": page_size}
        if status is not None:
            body["status"] = status
        seen: set[int] = set()
        page = 0
        while True:
            reply = self._ask(f"/api/v1/job/{job_id}/task/list", about, body | {"page_number": page})
            rows = parse_all(TaskRow, part(reply, "task_list", about=about), about)
            new = [row for row in rows if row.id not in seen]
            if not new:  # not "a page that is not full": the server may allow fewer than we ask for
                return
            _refuse_others(new, job_id)
            seen |= {row.id for row in new}
            yield from new
            page += 1


def _refuse_others(rows: list[TaskRow], job_id: int) -> None:
    """The server forgets the filter under conditions that it does not report (contract section 9)."""
    others = {row.job_id for row in rows} - {job_id, None}
    if others:
        raise UnexpectedReply(
            f"The server sent tasks of the jobs {sorted(map(str, others))} for job {job_id}.",
            cure="Check that the job exists and belongs to this project.",
        )
