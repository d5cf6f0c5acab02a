"""Projects and their API credentials (recordings ``01_auth`` and ``02_project_schema``)."""

from __future__ import annotations

import sqlite3

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.auth import Viewer, authorize, person
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import JsonReply, fault, good, log, plain, refused
from diffgram_flows.sandbox.store import accounts, directories, labels

router = APIRouter()


@router.post("/api/project/new")
def project_new(request: Request, body: Body, server: Server) -> Response:
    """Make a project with its default dataset and schema."""
    string_id = str(body.get("project_string_id") or "")
    if not string_id:
        raise refused({"project_string_id": "Missing project_string_id"})
    with server.database.write() as cx:
        user = person(cx, request)
        try:
            project_id = accounts.new_project(cx, user["id"], string_id, str(body.get("project_name") or string_id))
        except sqlite3.IntegrityError:
            raise refused({"project_string_id": "Existing project."}) from None
        project = cx.execute("SELECT * FROM project WHERE id = ?", (project_id,)).fetchone()
        schema = labels.schemas(cx, project_id)[0]
        return good(
            project=accounts.project_reply(cx, project, cached=False),
            schema=labels.schema_reply(schema),
        )


@router.post("/api/v1/project/{project}/auth/api/new")
def credential_new(request: Request, project: str, body: Body, server: Server) -> Response:
    """Issue an API credential; the secret is told once."""
    with server.database.write() as cx:
        caller = authorize(cx, request, project, ("admin",))
        level = body.get("permission_level")
        if level not in accounts.LEVELS:
            raise fault(500, "'errors'")  # recorded: another spelling crashes the server
        credential, created = accounts.new_credential(cx, caller.project_id, str(level))
    auth = {
        "client_id": credential.client_id,
        "client_secret": credential.client_secret,
        "created_time": clock.http_date(created),
        "is_valid": True,
    }
    return JsonReply({"auth": auth, "log": log()})


@router.get("/api/project/{project}/view")
def project_view(caller: Viewer, server: Server) -> Response:
    """The project with its members and datasets."""
    with server.database.read() as cx:
        reply = accounts.project_reply(cx, caller.project)
    if not caller.project["directories_cached"]:
        with server.database.write() as cx:
            cx.execute("UPDATE project SET directories_cached = 1 WHERE id = ?", (caller.project_id,))
    return JsonReply({"project": reply, "user_permission_level": None})


@router.get("/api/project/{project}/user/legacy/working_dir/view")
def working_dir_view(caller: Viewer, server: Server, name: str | None = None) -> Response:
    """The default dataset, or the one of a name."""
    with server.database.read() as cx:
        if name is None:
            row = directories.get(cx, caller.project_id, caller.project["directory_id"])
        else:
            row = directories.named(cx, caller.project_id, name)
    if row is None:
        raise plain("Dataset not found")
    return JsonReply({"success": True, "working_dir": directories.reply(row)})
