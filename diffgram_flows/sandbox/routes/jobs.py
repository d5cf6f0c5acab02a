"""Jobs and the lists of their tasks (recording ``07_jobs_tasks``)."""

from __future__ import annotations

import json
import math
import sqlite3
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import READ, WRITE, Caller, Reader, Writer, authorize
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.replies import FORBIDDEN, JsonReply, broken, fault, good, log, one_of, refused
from diffgram_flows.sandbox.store import accounts, directories, files, job_replies, jobs, labels, tasks

router = APIRouter()
PAGE = 50


@router.post("/api/v1/project/{project}/job/new")
def job_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a draft. Members that do not exist are a 400, but the draft stays (recorded)."""
    with server.database.write() as cx:
        known, unknown = _members(cx, caller, body)
        job_id = jobs.new(cx, caller.project_id, body, known)
        _attach(cx, caller, job_id, body)
        job = jobs.get(cx, job_id)
    return _made(job, body, known, unknown)


@router.post("/api/v1/project/{project}/job/update")
def job_update(caller: Writer, body: Body, server: Server) -> Response:
    """Change a draft and what is attached to it. Not recorded; as the official SDK sends it."""
    with server.database.write() as cx:
        job = _own_job(cx, caller, body.get("job_id"))
        known, unknown = _members(cx, caller, body)
        jobs.update(cx, job["id"], body, known if body.get("member_list_ids") else None)
        _attach(cx, caller, job["id"], body)
        return _made(jobs.get(cx, job["id"]), body, known, unknown)


@router.post("/api/v1/project/{project}/job/dir/attach")
def dir_attach(caller: Writer, body: Body, server: Server) -> Response:
    """Attach datasets to a job. Not recorded."""
    with server.database.write() as cx:
        job = _own_job(cx, caller, body.get("job_id"))
        sent = body.get("directory_list") or body.get("attached_directories_list") or []
        _attach(cx, caller, job["id"], {"attached_directories_dict": {"attached_directories_list": sent}})
        return _made(jobs.get(cx, job["id"]), {}, [], [])


@router.post("/api/v1/project/{project}/job/set-output-dir")
def set_output_dir(caller: Writer, body: Body, server: Server) -> Response:
    """Say what becomes of the file of a completed task."""
    action = body.get("output_dir_action")
    if action not in jobs.OUTPUT_ACTIONS:
        raise refused({"output_dir": 'output_dir  must be "copy", "move" or "nothing".'})
    with server.database.write() as cx:
        job = _own_job(cx, caller, body.get("job_id"))
        target = directories.get(cx, caller.project_id, body.get("output_dir"))
        if target is None and action != "nothing":
            raise broken()  # not recorded; an unknown dataset in job/new does this
        jobs.set_output(cx, job["id"], action, None if target is None else int(target["id"]))
        return _made(jobs.get(cx, job["id"]), {}, [], [])


@router.post("/api/v1/job/cancel")
def job_cancel(request: Request, body: Body, server: Server) -> Response:
    """Archive jobs; other modes are not recorded and refused here."""
    if body.get("mode") is None:
        raise refused({"mode": "Missing mode"})
    one_of(body["mode"], ["archive"])
    with server.database.write() as cx:
        for each in body.get("job_list") or []:
            job = _job(cx, request, each.get("id"), WRITE)
            jobs.archive(cx, job["id"])
    return JsonReply({"log": log()})


@router.get("/api/v1/job/{job_id:int}/members-list")
def members_list(request: Request, job_id: int, server: Server) -> Response:
    """The people of a job, each as the server shows a user."""
    with server.database.read() as cx:
        job = _job(cx, request, job_id, READ)
        return JsonReply(
            {
                "assignees": _people(cx, json.loads(job["member_ids"])),
                "reviewers": _people(cx, json.loads(job["reviewer_ids"])),
            }
        )


@router.post("/api/v1/job/launch")
def job_launch(request: Request, body: Body, server: Server) -> Response:
    """Launch a draft; its tasks appear later."""
    with server.database.write() as cx:
        job = jobs.get(cx, body.get("job_id"))
        if job is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        caller = _let_in(cx, request, job, WRITE)
        if job["launched"] is not None:
            raise refused({"job_status": "Job already launched."})
        if labels.schema(cx, caller.project_id, job["schema_id"] or 0) is None:
            raise refused({"job_status": "Job must have a label schema"})
        jobs.launch(cx, job["id"], server.settings.task_delay, caller.member_id)
    server.clerk.wake()
    return JsonReply({"log": log(info={"launch_flow": "soon"})})


@router.post("/api/v1/job/list")
def job_list(request: Request, body: Body, server: Server) -> Response:
    """Jobs of a project, newest first."""
    wanted = body.get("metadata")
    if not isinstance(wanted, dict):
        raise refused({"metadata": "Missing metadata"})
    limit = min(int(wanted.get("limit") or PAGE), PAGE)
    page = max(1, int(wanted.get("page_number") or 1))
    with server.database.write() as cx:  # it fills the jobs' caches
        caller = authorize(cx, request, wanted.get("project_string_id"), READ)
        found = jobs.listed(cx, caller.project_id, wanted)
        shown = found[(page - 1) * limit : page * limit]
        with_tags = wanted.get("data_mode") == "with_tags"
        replies = [job_replies.list_reply(cx, row, with_tags=with_tags) for row in shown]
    metadata = _list_metadata(wanted, page, math.ceil(len(found) / limit), len(found), len(shown))
    return good(Job_list=replies, metadata=metadata | {"start_index": (page - 1) * limit})


@router.post("/api/v1/job/{job_id:int}/builder/info")
def job_info(request: Request, job_id: int, server: Server) -> Response:
    """Everything about a job."""
    with server.database.write() as cx:  # it fills the job's caches
        job = _job(cx, request, job_id, READ)
        return good(job=job_replies.info_reply(cx, job))


@router.get("/api/job/{job_id:int}/stat")
def job_stat(request: Request, job_id: int, server: Server) -> Response:
    """How far a job is, cheaply."""
    with server.database.read() as cx:
        job = _job(cx, request, job_id, READ)
        return JsonReply(job_replies.stat_reply(cx, job["id"]))


@router.post("/api/v1/job/{job_id:int}/add-files")
def add_files(request: Request, job_id: int, body: Body, server: Server) -> Response:
    """Add files to a job; the reply is the list of their ids, the tasks are made later."""
    ids = body.get("file_id_list") or []
    with server.database.write() as cx:
        job = jobs.get(cx, job_id)
        if job is None:
            raise fault(403, FORBIDDEN)
        caller = _let_in(cx, request, job, WRITE)
        known = [each for each in ids if files.get(cx, job["project_id"], each) is not None]
        jobs.add_files(cx, job, known, server.settings.task_delay, caller.member_id)
    server.clerk.wake()
    return JsonReply(ids)


@router.post("/api/v1/job/{job_id:int}/task/list")
def job_task_list(request: Request, job_id: int, body: Body, server: Server) -> Response:
    """Tasks of the job whose id is in the *body*; without it the tasks of the whole project (recorded)."""
    with server.database.read() as cx:
        job = _job(cx, request, job_id, READ)
        return _task_list(cx, job["project_id"], body, server.links(request))


@router.post("/api/v1/project/{project}/task/list")
def project_task_list(request: Request, caller: Reader, body: Body, server: Server) -> Response:
    """Tasks of a project."""
    with server.database.read() as cx:
        return _task_list(cx, caller.project_id, body, server.links(request))


def _task_list(cx: sqlite3.Connection, project_id: int, body: dict[str, Any], links: Links) -> Response:
    if "mode_data" not in body:
        raise refused({"mode_data": "Missing mode_data"})
    limit, page = int(body.get("limit_count") or 10), int(body.get("page_number") or 0)
    rows, total = tasks.listed(cx, project_id, body, limit, page)
    listed = {"task_list": [tasks.list_reply(cx, row, links) for row in rows]}
    job = jobs.get(cx, body.get("job_id"))
    if job is None:
        return JsonReply({**listed, "log": log(success=False), "pending_initial_dir_sync": None, "total_count": total})
    return good(**listed, allow_reviews=bool(job["allow_reviews"]), pending_initial_dir_sync=False)


def _members(cx: sqlite3.Connection, caller: Caller, body: dict[str, Any]) -> tuple[list[int], list[Any]]:
    wanted = body.get("member_list_ids") or []
    unknown = [each for each in wanted if not accounts.is_member(cx, caller.project_id, each)]
    return [each for each in wanted if each not in unknown], unknown


def _attach(cx: sqlite3.Connection, caller: Caller, job_id: int, body: dict[str, Any]) -> None:
    for each in (body.get("attached_directories_dict") or {}).get("attached_directories_list") or []:
        if directories.get(cx, caller.project_id, each.get("directory_id")) is None:
            raise broken()
        jobs.attach(cx, job_id, each["directory_id"], each.get("selected") or "sync")


def _made(job: sqlite3.Row | None, body: dict[str, Any], known: list[int], unknown: list[Any]) -> Response:
    info: dict[str, Any] = {}
    if known or unknown:
        info = {"update_member_list": dict.fromkeys(map(str, known), "Added"), "update_user_list": {}}
    if unknown:
        raise refused({"update_member_list": {str(each): f"Invalid member_id {each}" for each in unknown}}, info)
    if body.get("reviewer_list_ids"):
        info["reviewer_list"] = dict.fromkeys(map(str, body["reviewer_list_ids"]), "Added")
    return JsonReply({"job": job and job_replies.short_reply(job), "log": log(info=info)})


def _people(cx: sqlite3.Connection, member_ids: list[int]) -> list[dict[str, Any]]:
    rows = [
        cx.execute("SELECT user.* FROM user JOIN member ON user_id = user.id WHERE member.id = ?", (each,)).fetchone()
        for each in member_ids
    ]
    return [accounts.user_reply(cx, row) for row in rows if row is not None]


def _own_job(cx: sqlite3.Connection, caller: Caller, job_id: object) -> sqlite3.Row:
    job = jobs.get(cx, job_id)
    if job is None or job["project_id"] != caller.project_id:
        raise fault(403, FORBIDDEN)
    return job


def _job(cx: sqlite3.Connection, request: Request, job_id: object, roles: tuple[str, ...]) -> sqlite3.Row:
    job = jobs.get(cx, job_id)
    if job is None:
        raise fault(403, FORBIDDEN)
    _let_in(cx, request, job, roles)
    return job


def _let_in(cx: sqlite3.Connection, request: Request, job: sqlite3.Row, roles: tuple[str, ...]) -> Caller:
    project = cx.execute("SELECT string_id FROM project WHERE id = ?", (job["project_id"],)).fetchone()
    return authorize(cx, request, project["string_id"], roles)


def _list_metadata(wanted: dict[str, Any], page: int, pages: int, total: int, shown: int) -> dict[str, Any]:
    unused = ("builder_or_trainer", "category", "field", "instance_type", "job_ids", "members", "my_jobs_only",
              "parent_id", "type")  # fmt: skip
    return {
        **dict.fromkeys(unused),
        "data_mode": wanted.get("data_mode"),
        "end_index": shown,
        "length_current_page": shown,
        "limit": wanted.get("limit"),
        "number_of_pages": pages,
        "org": "None",
        "page_number": page,
        "page_size": PAGE,
        "project_string_id": wanted.get("project_string_id"),
        "search": wanted.get("search"),
        "share_type": "project",
        "status": wanted.get("status"),
        "tag_list": wanted.get("tag_list"),
        "total_job_number": total,
    }
