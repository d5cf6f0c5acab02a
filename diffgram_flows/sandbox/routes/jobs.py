"""Jobs and the lists of their tasks (recording ``07_jobs_tasks``)."""

from __future__ import annotations

import math
import sqlite3
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import READ, WRITE, Caller, Reader, Writer, authorize
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.replies import FORBIDDEN, JsonReply, broken, fault, good, log, refused
from diffgram_flows.sandbox.store import accounts, directories, files, jobs, labels, tasks

router = APIRouter()
PAGE = 50


@router.post("/api/v1/project/{project}/job/new")
def job_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a draft. Members that do not exist are a 400, but the draft stays (recorded)."""
    wanted = body.get("member_list_ids") or []
    info: dict[str, Any] = {}
    with server.database.write() as cx:
        unknown = [each for each in wanted if not accounts.is_member(cx, caller.project_id, each)]
        known = [each for each in wanted if each not in unknown]
        job_id = jobs.new(cx, caller.project_id, body, known)
        attached = (body.get("attached_directories_dict") or {}).get("attached_directories_list") or []
        for each in attached:
            if directories.get(cx, caller.project_id, each.get("directory_id")) is None:
                raise broken()
            jobs.attach(cx, job_id, each["directory_id"], each.get("selected") or "sync")
        job = jobs.get(cx, job_id)
    if wanted:
        info = {"update_member_list": dict.fromkeys(map(str, known), "Added"), "update_user_list": {}}
    if unknown:
        raise refused({"update_member_list": {str(each): f"Invalid member_id {each}" for each in unknown}}, info)
    if body.get("reviewer_list_ids"):
        info["reviewer_list"] = dict.fromkeys(map(str, body["reviewer_list_ids"]), "Added")
    return JsonReply({"job": job and jobs.short_reply(job), "log": log(info=info)})


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
        jobs.launch(cx, job["id"], server.settings.task_delay)
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
    with server.database.read() as cx:
        caller = authorize(cx, request, wanted.get("project_string_id"), READ)
        found = jobs.listed(cx, caller.project_id, wanted)
        shown = found[(page - 1) * limit : page * limit]
        with_tags = wanted.get("data_mode") == "with_tags"
        replies = [jobs.list_reply(cx, row, with_tags=with_tags) for row in shown]
    metadata = _list_metadata(wanted, page, math.ceil(len(found) / limit), len(found), len(shown))
    return good(Job_list=replies, metadata=metadata | {"start_index": (page - 1) * limit})


@router.post("/api/v1/job/{job_id:int}/builder/info")
def job_info(request: Request, job_id: int, server: Server) -> Response:
    """Everything about a job."""
    with server.database.read() as cx:
        job = _job(cx, request, job_id, READ)
        return good(job=jobs.info_reply(cx, job))


@router.get("/api/job/{job_id:int}/stat")
def job_stat(request: Request, job_id: int, server: Server) -> Response:
    """How far a job is, cheaply."""
    with server.database.read() as cx:
        job = _job(cx, request, job_id, READ)
        return JsonReply(jobs.stat_reply(cx, job["id"]))


@router.post("/api/v1/job/{job_id:int}/add-files")
def add_files(request: Request, job_id: int, body: Body, server: Server) -> Response:
    """Add files to a job; the reply is the list of their ids, the tasks are made later."""
    ids = body.get("file_id_list") or []
    with server.database.write() as cx:
        job = _job(cx, request, job_id, WRITE)
        known = [each for each in ids if files.get(cx, job["project_id"], each) is not None]
        jobs.add_files(cx, job, known, server.settings.task_delay)
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


def _job(cx: sqlite3.Connection, request: Request, job_id: int, roles: tuple[str, ...]) -> sqlite3.Row:
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
