"""The tasks of jobs (contract section 9).

Below ``/api/v1/task`` the server wants a browser session: an API credential can list tasks and neither read one nor
save its annotations, complete it or review it. There are no methods for what can never work. Instances can be saved on
the *file* of a task with :meth:`save_annotations`; completing and reviewing is done by people in the web page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from diffgram_flows.diffgram.records import TaskRow, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.errors import UnexpectedReply


class TaskCalls(Resource):
    """Calls about tasks."""

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
        path = f"/api/v1/job/{job_id}/task/list"
        return self._task_pages(path, about, body, lambda new: _refuse_other_jobs(new, job_id))

    def tasks_of_file(self, file_id: int, *, page_size: int = 200) -> Iterator[TaskRow]:
        """The tasks of a file in all jobs of the project, read page by page while they are consumed."""
        about = f"the tasks of file {file_id}"
        body = {"mode_data": "direct_route", "file_id": file_id, "limit_count": page_size}
        return self._task_pages(self._path("task/list"), about, body, lambda new: _refuse_other_files(new, file_id))

    def _task_pages(
        self, path: str, about: str, body: dict[str, Any], refuse: Callable[[list[TaskRow]], None]
    ) -> Iterator[TaskRow]:
        """The tasks of all pages, each once; ``refuse`` sees every page."""
        seen: set[int] = set()
        page = 0
        while True:
            reply = self._ask(path, about, body | {"page_number": page})
            rows = parse_all(TaskRow, part(reply, "task_list", about=about), about)
            new = [row for row in rows if row.id not in seen]
            if not new:  # not "a page that is not full": the server may allow fewer than we ask for
                return
            refuse(new)
            seen |= {row.id for row in new}
            yield from new
            page += 1

    def task(self, task_id: int) -> TaskRow:
        """One task. A server of the recorded version gives it to a browser login only; take it from :meth:`tasks`.

        Raises:
            SessionRequired: Always, as recorded, for a task that exists.
            AuthenticationError: There is no such task.
        """
        about = f"task {task_id}"
        body = {"task_id": task_id, "builder_or_trainer_mode": "builder"}
        return parse(TaskRow, part(self._ask("/api/v1/task", about, body, endpoint="task"), "task", about=about), about)


def _refuse_other_jobs(rows: list[TaskRow], job_id: int) -> None:
    """The server forgets the filter under conditions that it does not report (contract section 9)."""
    others = {row.job_id for row in rows} - {job_id, None}
    if others:
        raise UnexpectedReply(
            f"The server sent tasks of the jobs {sorted(map(str, others))} for job {job_id}.",
            cure="Check that the job exists and belongs to this project.",
        )


def _refuse_other_files(rows: list[TaskRow], file_id: int) -> None:
    others = {row.file_id for row in rows} - {file_id, None}
    if others:
        raise UnexpectedReply(
            f"The server sent tasks of the files {sorted(map(str, others))} for file {file_id}.",
            cure="Check that the file exists in this project.",
        )
