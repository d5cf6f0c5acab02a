"""Jobs and the guides of their annotators (contract section 9)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from diffgram_flows.diffgram.records import JobRow, JobStat, parse, parse_all
from diffgram_flows.diffgram.resource import Resource, part
from diffgram_flows.diffgram.setup_records import Guide, JobInfo, JobMembers
from diffgram_flows.errors import DiffgramError, InvalidRequest

_JOBS_A_PAGE = 50  # the page size that the server names in its replies
_FILES_A_CALL = 1000
OutputAction: TypeAlias = Literal["copy", "move", "nothing"]
DirectoryMode: TypeAlias = Literal["sync", "copy_once"]


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
        reviewer_ids: Sequence[int] = (),
        review_chance: int = 100,
        output_directory_id: int | None = None,
        output_action: OutputAction = "copy",
    ) -> int:
        """Make a draft job and give its id. Names are not unique: look with :meth:`find_job` first.

        Args:
            name: Its name.
            schema_id: The label schema, without which a job cannot be launched.
            member_ids: Who may work on it: ``Member.member_id``, not user ids.
            directory_ids: Datasets whose files become tasks, also those imported later.
            instance_type: What people draw by default.
            tags: Free words.
            reviewer_ids: Who reviews; without anybody a task is complete when its annotator says so.
            review_chance: How many of 100 tasks go to review, where there are reviewers.
            output_directory_id: Where the files of complete tasks go; this takes a second call.
            output_action: As for :meth:`set_output_directory`.

        Raises:
            BrokenReply: A dataset does not exist.
            InvalidRequest: A member does not exist. ``fields["job_id"]`` is there where the job was made, and only its
                output dataset could not be set.
        """
        if not 0 <= review_chance <= 100:
            raise InvalidRequest(f"{review_chance} of 100 tasks cannot go to review.", cure="Give 0 to 100.")
        body: dict[str, Any] = {
            "name": name,
            "instance_type": instance_type,
            "share": "project",
            "type": "Normal",
            "permission": "all_secure_users",
            "label_mode": "closed_all_available",
            "passes_per_file": 1,
            "label_schema_id": schema_id,
            "member_list_ids": list(member_ids),
            "attached_directories_dict": _attached(directory_ids, "sync"),
            "tag_list": list(tags),
        }
        if reviewer_ids:
            body |= {
                "allow_reviews": True,
                "review_chance": review_chance,
                "reviewer_list_ids": list(reviewer_ids),
            }
        about = f"the new job {name!r} (schema {schema_id}, members {list(member_ids)}, datasets {list(directory_ids)})"
        reply = self._change(self._path("job/new"), about, body)
        job_id = parse(JobRow, part(reply, "job", about=about), about).id
        if output_directory_id is not None:
            try:
                self.set_output_directory(job_id, output_directory_id, output_action)
            except DiffgramError as error:
                error.fields["job_id"] = str(job_id)
                raise
        return job_id

    def update_job(
        self,
        job_id: int,
        *,
        name: str | None = None,
        member_ids: Sequence[int] | None = None,
        directory_ids: Sequence[int] | None = None,
        directory_mode: DirectoryMode = "sync",
        tags: Sequence[str] | None = None,
    ) -> None:
        """Change a draft job. As the official SDK sends it, the whole job with the changes; not recorded.

        The job is read first (300 times a day), and what is not given stays as it is.

        Args:
            job_id: The job.
            name: Its new name.
            member_ids: All who may work on it.
            directory_ids: All datasets whose files become tasks.
            directory_mode: ``sync`` takes later files, too; ``copy_once`` those that are there at the launch.
            tags: Free words.

        Raises:
            InvalidRequest: The job is no draft any more, or the server refused the change.
        """
        changes = {
            "name": name,
            "member_list_ids": None if member_ids is None else list(member_ids),
            "tag_list": None if tags is None else list(tags),
            "attached_directories_dict": None if directory_ids is None else _attached(directory_ids, directory_mode),
        }
        self._update_draft(self.job_info(job_id), {key: value for key, value in changes.items() if value is not None})

    def attach_directories(self, job_id: int, directory_ids: Sequence[int], mode: DirectoryMode = "sync") -> None:
        """Let the files of more datasets become tasks of a draft job. As the official SDK does it; not recorded.

        Raises:
            InvalidRequest: The job is no draft any more, or the server refused it.
        """
        job = self.job_info(job_id)
        there = {old.directory_id for old in job.directories}
        attached = _attached_before(job)
        new = [directory_id for directory_id in dict.fromkeys(directory_ids) if directory_id not in there]
        attached["attached_directories_list"] += _attached(new, mode)["attached_directories_list"]
        self._update_draft(job, {"attached_directories_dict": attached})

    def _update_draft(self, job: JobInfo, changes: dict[str, Any]) -> None:
        """Send the whole job with the changes, as the official SDK does."""
        if job.status != "draft":
            raise InvalidRequest(
                f"The job {job.id} is {job.status}; only a draft can be changed.", cure="Make a new job, or add files."
            )
        body: dict[str, Any] = {
            "id": job.id,
            "job_id": job.id,
            "name": job.name,
            "status": job.status,
            "label_schema_id": job.label_schema_id,
            "share": job.share,
            "type": job.type,
            "member_list_ids": job.member_ids,
            "attached_directories_dict": _attached_before(job),
        }
        self._change(self._path("job/update"), f"the change of job {job.id}", body | changes)

    def set_output_directory(self, job_id: int, directory_id: int, action: OutputAction = "copy") -> None:
        """Say where the file of a task goes when the task is complete.

        Args:
            job_id: The job.
            directory_id: The dataset.
            action: ``copy`` (the copy is a file of its own), ``move``, or ``nothing``.

        Raises:
            InvalidRequest: The action is none of the three.
        """
        if action not in ("copy", "move", "nothing"):
            raise InvalidRequest(f"{action!r} is nothing to do with an output.", cure="Use copy, move or nothing.")
        about = f"the output dataset {directory_id} of job {job_id}"
        body = {"job_id": job_id, "output_dir": directory_id, "output_dir_action": action}
        self._change(self._path("job/set-output-dir"), about, body)

    def job_info(self, job_id: int) -> JobInfo:
        """All about a job. 300 calls a day: poll with :meth:`job_stat`.

        Raises:
            AuthenticationError: There is no such job in this project.
        """
        about = f"the job {job_id}"
        path = f"/api/v1/job/{job_id}/builder/info"
        reply = self._ask(path, about, {"mode_data": None}, endpoint="job/builder/info")
        return parse(JobInfo, part(reply, "job", about=about), about)

    def job_members(self, job_id: int) -> JobMembers:
        """Who annotates and who reviews a job."""
        about = f"the members of job {job_id}"
        return parse(JobMembers, self._get(f"/api/v1/job/{job_id}/members-list", about), about)

    def archive_jobs(self, ids: Sequence[int]) -> None:
        """Put jobs aside; their tasks are archived, their files stay. One call of 10 a day, however many jobs."""
        if ids:
            about = f"the archiving of {len(ids)} jobs, {min(ids)} to {max(ids)}"
            body = {"job_list": [{"id": job_id} for job_id in ids], "mode": "archive"}
            self._change("/api/v1/job/cancel", about, body, endpoint="job/cancel")

    def new_guide(self, name: str, markdown: str) -> Guide:
        """Make a guide for annotators. As the official SDK sends it; not recorded."""
        about = f"the guide {name!r}"
        body = {"name": name, "description_markdown": markdown}
        return parse(Guide, part(self._change(self._path("guide/new"), about, body), "guide", about=about), about)

    def attach_guide(self, job_id: int, guide_id: int, kind: Literal["default", "review"] = "default") -> None:
        """Show a guide to the annotators (``default``) or the reviewers of a job. As the official SDK sends it."""
        about = f"guide {guide_id} for job {job_id}"
        body = {"guide_id": guide_id, "job_id": job_id, "kind": kind, "update_or_remove": "update"}
        self._change("/api/v1/guide/attach/job", about, body)

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


def _attached(directory_ids: Sequence[int], mode: str) -> dict[str, list[dict[str, Any]]]:
    """Datasets in the form in which jobs name them."""
    rows = [{"directory_id": directory_id, "selected": mode} for directory_id in directory_ids]
    return {"attached_directories_list": rows}


def _attached_before(job: JobInfo) -> dict[str, list[dict[str, Any]]]:
    rows = [{"directory_id": old.directory_id, "selected": old.mode} for old in job.directories]
    return {"attached_directories_list": rows}
