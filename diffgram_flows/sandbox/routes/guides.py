"""Guides of jobs. Not recorded; as the official SDK 0.15.0 sends them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import WRITE, Writer, authorize
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import FORBIDDEN, fault, good, one_of, refused
from diffgram_flows.sandbox.store import guides, jobs

router = APIRouter()


@router.post("/api/v1/project/{project}/guide/new")
def guide_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a guide."""
    missing = {name: f"Missing {name}" for name in ("name", "description_markdown") if body.get(name) is None}
    if missing:
        raise refused(missing)
    with server.database.write() as cx:
        row = guides.new(cx, caller.project_id, body["name"], body["description_markdown"])
        return good(guide=guides.reply(row))


@router.post("/api/v1/guide/attach/job")
def guide_attach(request: Request, body: Body, server: Server) -> Response:
    """Give a job its guide, or take it away."""
    one_of(body.get("kind"), ["default", "review"])
    one_of(body.get("update_or_remove"), ["update", "remove"])
    with server.database.write() as cx:
        job = jobs.get(cx, body.get("job_id"))
        if job is None:
            raise fault(403, FORBIDDEN)
        project = cx.execute("SELECT string_id FROM project WHERE id = ?", (job["project_id"],)).fetchone()
        authorize(cx, request, project["string_id"], WRITE)
        guide = guides.get(cx, job["project_id"], body.get("guide_id"))
        if guide is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        guides.attach(cx, job, body["kind"], guide["id"] if body["update_or_remove"] == "update" else None)
    return good()
