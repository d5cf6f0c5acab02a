"""Tasks, for people in a browser session only (recording ``07_jobs_tasks``)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import person
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.replies import JsonReply, fault, good, log, one_of
from diffgram_flows.sandbox.routes.instances import listing, saved_reply
from diffgram_flows.sandbox.store import accounts, files, jobs, tasks
from diffgram_flows.sandbox.store.instances import Author
from diffgram_flows.sandbox.store.saving import save

router = APIRouter()


@dataclass(frozen=True, slots=True)
class AtTask:
    """A person who sits at a task."""

    task: sqlite3.Row
    project: sqlite3.Row
    user: sqlite3.Row


@router.post("/api/v1/task")
def task_view(request: Request, body: Body, server: Server) -> Response:
    """One task with the labels of its job."""
    with server.database.read() as cx:
        seat = _sit_down(cx, request, body.get("task_id"))
        return good(task=tasks.reply(cx, seat.task, server.links(request)))


@router.post("/api/v1/task/update")
def task_update(request: Request, body: Body, server: Server) -> Response:
    """Defer a task (or take that back), or make it available again."""
    with server.database.write() as cx:
        seat = _sit_down(cx, request, body.get("task_id"))
        one_of(body.get("mode"), ["toggle_deferred", "incomplete"])
        defer = body["mode"] == "toggle_deferred" and seat.task["status"] != "deferred"
        tasks.set_status(cx, seat.task, "deferred" if defer else "available")
    return JsonReply({"log": log()})


@router.post("/api/v1/task/{task_id:int}/annotation/list")
def annotation_list(request: Request, task_id: int, server: Server) -> Response:
    """The file of a task with what is drawn on it."""
    with server.database.read() as cx:
        seat = _sit_down(cx, request, task_id)
        row = files.get(cx, seat.task["project_id"], seat.task["file_id"])
        if row is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        return JsonReply(listing(cx, row, server.links(request)))


@router.post("/api/v1/task/{task_id:int}/annotation/update")
def annotation_update(request: Request, task_id: int, body: Body, server: Server) -> Response:
    """Save what a person drew; ``and_complete`` also completes the task."""
    with server.database.write() as cx:
        seat = _sit_down(cx, request, task_id)
        sent = body.get("instance_list") or []
        author = Author(seat.user["member_id"], task_id)
        saved = save(cx, seat.project, seat.task["file_id"], sent, author, by_person=True)
        if body.get("and_complete"):
            tasks.finish(cx, seat.task, seat.user)
        reply = saved_reply(cx, seat.project["id"], seat.task["file_id"], saved, server.links(request))
    return JsonReply(reply)


@router.post("/api/v1/task/{task_id:int}/complete")
def task_complete(request: Request, task_id: int, server: Server) -> Response:
    """Complete a task, or send it to review if its job has reviews."""
    with server.database.write() as cx:
        seat = _sit_down(cx, request, task_id)
        tasks.finish(cx, seat.task, seat.user)
        return _reply(cx, task_id, server.links(request))


@router.post("/api/v1/task/{task_id:int}/review")
def task_review(request: Request, task_id: int, body: Body, server: Server) -> Response:
    """Approve a task, even one that was never in review (recorded), or ask for changes."""
    with server.database.write() as cx:
        seat = _sit_down(cx, request, task_id)
        if body.get("action") == "approve":
            tasks.complete(cx, seat.task, seat.user, "task_review_complete")
        else:
            tasks.request_changes(cx, seat.task, seat.user)
        return _reply(cx, task_id, server.links(request))


def _reply(cx: sqlite3.Connection, task_id: int, links: Links) -> Response:
    task = tasks.get(cx, task_id)
    return good(task=task and tasks.reply(cx, task, links))


def _sit_down(cx: sqlite3.Connection, request: Request, task_id: object) -> AtTask:
    # Recorded order: an unknown task is a 403 for anybody, a known one a 401 for an API credential.
    task = tasks.get(cx, task_id)
    if task is None:
        raise fault(403, "403 Forbidden: No access to this task.")
    user = person(cx, request)
    job = jobs.get(cx, task["job_id"])
    if job is None or accounts.level_of(cx, task["project_id"], user["member_id"]) is None:
        raise fault(403, "403 Forbidden: No access to this task.")
    project = cx.execute("SELECT * FROM project WHERE id = ?", (task["project_id"],)).fetchone()
    return AtTask(task, project, user)
