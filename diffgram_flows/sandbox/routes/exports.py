"""Exports (recording ``08_export``)."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Caller, Reader, Writer
from diffgram_flows.sandbox.core import Body, Sandbox, Server
from diffgram_flows.sandbox.export_faults import fault_of
from diffgram_flows.sandbox.faults import SERVER_ERROR
from diffgram_flows.sandbox.replies import JsonReply, fault, log, one_of, refused
from diffgram_flows.sandbox.store import directories, exports, jobs

router = APIRouter()
EXPORT = "/api/walrus/project/{project}/export"
REQUIRED = ("kind", "source", "file_comparison_mode", "masks")
LINK_LIFETIME = 300.0
NOT_READY = {"export": "Export not ready yet."}


@router.post(f"{EXPORT}/to_file")
def to_file(request: Request, caller: Writer, body: Body, server: Server) -> Response:
    """Begin an export; with ``wait_for_export_generation`` the reply is the export itself, or the link to it."""
    wait = bool(body.get("wait_for_export_generation"))
    links = server.links(request)
    with server.database.write() as cx:
        wanted = _checked(cx, caller, body)
        known = wanted["source"] in exports.SOURCES and wanted["kind"] == "Annotations"
        due = time.time() + server.settings.export_delay if known and not wait else None
        export_id = exports.new(cx, caller.project_id, wanted, links.base_url, due)
        row = _get(cx, caller, export_id)
        reply = exports.reply(cx, row)
    if wanted["kind"] != "Annotations":
        raise refused({"kind": "Invalid kind"})  # recorded: a row stays behind, in init for ever
    server.clerk.wake()
    if not wait:
        return JsonReply({"export": reply, "success": True})
    if not known:
        return JsonReply({"log": {**log(NOT_READY, success=False), "export": reply}}, 400)
    server.clerk.export_now(row)
    return _delivered(server, caller, export_id, body.get("return_type"))


@router.get(f"{EXPORT}/{{export_id:int}}/status")
def status(caller: Reader, export_id: int, server: Server) -> Response:
    """How far an export is."""
    with server.database.read() as cx:
        reply = {"export": exports.reply(cx, _get(cx, caller, export_id)), "success": True}
    _stumble(server, export_id, "status_500")
    return JsonReply(reply)


@router.post(f"{EXPORT}/link")
def link(caller: Reader, body: Body, server: Server) -> Response:
    """The link to a complete export (a bare JSON string), or its data."""
    file_format = body.get("format") or "JSON"
    one_of(file_format, ["JSON", "YAML"])
    with server.database.read() as cx:
        row = _get(cx, caller, body.get("id"))
        if row["status"] != "complete":
            return JsonReply({**log(NOT_READY, success=False), "export": exports.reply(cx, row)}, 400)
    _stumble(server, row["id"], "link_500")
    if file_format == "YAML":
        return JsonReply(None)  # never produced
    return _delivered(server, caller, row["id"], body.get("return_type"))


@router.get(f"{EXPORT}/working_dir/list")
def export_list(caller: Reader, server: Server) -> Response:
    """All exports of the project, newest first."""
    with server.database.read() as cx:
        rows = exports.listed(cx, caller.project_id)
        return JsonReply({"export_list": [exports.reply(cx, row) for row in rows], "success": True})


@router.post(f"{EXPORT}/update")
def update(caller: Writer, body: Body, server: Server) -> Response:
    """Archive an export; other modes are not recorded and refused here."""
    one_of(body.get("mode"), ["ARCHIVE"])
    with server.database.write() as cx:
        exports.archive(cx, _get(cx, caller, body.get("id"))["id"])
    return JsonReply(log())


def _checked(cx: sqlite3.Connection, caller: Caller, body: dict[str, Any]) -> dict[str, Any]:
    missing = {name: f"Missing {name}" for name in REQUIRED if body.get(name) is None}
    if missing:
        raise refused(missing)
    if body["kind"] == "TF Records":
        raise fault(500, "")
    job = jobs.get(cx, body.get("job_id"))
    if body["source"] == "job" and (job is None or job["project_id"] != caller.project_id):
        raise fault(403, "403 Forbidden: No job")
    output_id = job["completion_directory_id"] if job is not None else None
    return {**body, "directory_id": output_id if body["source"] == "job" else _directory_id(cx, caller, body)}


def _directory_id(cx: sqlite3.Connection, caller: Caller, body: dict[str, Any]) -> int:
    if body.get("directory_id") is None:
        return int(caller.project["directory_id"])  # silently
    if directories.get(cx, caller.project_id, body["directory_id"]) is None:
        raise fault(500, "'bool' object has no attribute 'id'")
    return int(body["directory_id"])


def _get(cx: sqlite3.Connection, caller: Caller, export_id: object) -> sqlite3.Row:
    row = exports.get(cx, caller.project_id, export_id)
    if row is None:
        raise fault(500, "'NoneType' object has no attribute 'project_id'")
    return row


def _stumble(server: Sandbox, export_id: int, where: str) -> None:
    """Fail where the settings say that this export does."""
    if fault_of(server.settings.export_fault, export_id) == where:
        raise fault(500, SERVER_ERROR)


def _delivered(server: Sandbox, caller: Caller, export_id: int, return_type: object) -> Response:
    if return_type == "url":
        with server.database.read() as cx:
            row = _get(cx, caller, export_id)
            blob = exports.blob(cx, row)
        expired = fault_of(server.settings.export_fault, export_id) == "expired_link"
        lifetime = -1 if expired else LINK_LIFETIME
        return JsonReply(server.media.link(row["base_url"], blob, time.time() + lifetime))
    data = server.media.export_path(export_id).read_bytes()
    return Response(data, media_type="application/json")
