"""Imports from URLs and following them (recordings ``03_import_packet``, ``04_input_status``, ``10_predictions``)."""

from __future__ import annotations

import sqlite3
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.auth import Caller, Reader, Writer
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import JsonReply, broken, existing_id, fault, good, log, one_of, refused
from diffgram_flows.sandbox.store import directories, files, inputs, jobs
from diffgram_flows.sandbox.store.inputs import Wanted

router = APIRouter()
INPUT = "/api/walrus/v1/project/{project}/input"


@router.post(f"{INPUT}/packet")
def packet(request: Request, caller: Writer, body: Body, server: Server) -> Response:
    """Queue an import. The reply does not say which: ``input_id`` is always null."""
    if server.settings.underscore_headers and "directory_id" in request.headers:
        body = {**body, "directory_id": request.headers["directory_id"]}
    with server.database.write() as cx:
        inputs.queue(cx, _wanted(cx, caller, body))
    server.workers.wake()
    return good(input_id=None)


@router.post(f"{INPUT}/view/list")
def view_list(caller: Reader, body: Body, server: Server) -> Response:
    """Imports, newest first, at most 1000 and no further page."""
    status_filter = body.get("status_filter") or "All"
    one_of(status_filter, list(inputs.STATUS_FILTERS))
    limit = min(int(body.get("limit") or 10), 1000)
    wanted = {**body, **{name: _day(body[name]) for name in ("date_from", "date_to") if body.get(name)}}
    with server.database.read() as cx:
        rows = inputs.listed(cx, caller.project_id, status_filter=status_filter, limit=limit, wanted=wanted)
        return JsonReply({"input_list": [inputs.reply(cx, row) for row in rows], "success": True})


@router.post(f"{INPUT}/view/{{input_id:int}}")
def view_one(caller: Reader, input_id: int, server: Server) -> Response:
    """One import."""
    with server.database.read() as cx:
        row = inputs.existing(cx, caller.project_id, input_id)
        return JsonReply({"input": {**inputs.reply(cx, row), "frame_packet_map": None}, "success": True})


@router.post(f"{INPUT}/update")
def update(caller: Writer, body: Body, server: Server) -> Response:
    """RETRY (whose ``log.success`` is false although it works) or ARCHIVE imports."""
    mode = body.get("mode")
    one_of(mode, ["ARCHIVE", "RETRY"])
    ids = body.get("id_list") or []
    with server.database.write() as cx:
        rows = [row for row in (inputs.get(cx, caller.project_id, each) for each in ids) if row is not None]
        if not rows:
            raise refused({"id_list": "None found."})
        change = inputs.archive if mode == "ARCHIVE" else inputs.retry
        for row in rows:
            change(cx, row)
    if mode == "RETRY":
        server.workers.wake()
    return JsonReply({"log": log(success=mode == "ARCHIVE")})


def _wanted(cx: sqlite3.Connection, caller: Caller, body: dict[str, Any]) -> Wanted:
    media = body.get("media") or {}
    if not isinstance(media, dict):
        raise fault(500, f"'{type(media).__name__}' object has no attribute 'get'")
    mode, updates = body.get("mode"), body.get("mode") in inputs.UPDATES
    instance_list = instances_of(body)
    directory_id = _directory(cx, caller, body)
    file_id = _file(cx, caller, body, media, directory_id)
    return Wanted(
        project_id=caller.project_id,
        directory_id=directory_id,
        file_id=file_id,
        job_id=_job(cx, caller, body),
        batch_id=body.get("batch_id"),
        url=media.get("url"),
        media_type="image" if updates else media.get("type"),
        mode=mode,
        original_filename=body.get("original_filename"),
        instance_list=instance_list,
    )


def instances_of(body: dict[str, Any]) -> list[Any] | None:
    """The instances of a packet.

    Raises:
        ReplyError: They are no list, or an empty one.
    """
    sent = body.get("instance_list")
    if sent is None:
        return None
    if not isinstance(sent, list):
        raise refused({"instance_list": "Must be a list"})
    if not sent:
        raise refused({"instance_list": "List must not be empty"})
    return sent


def _directory(cx: sqlite3.Connection, caller: Caller, body: dict[str, Any]) -> int | None:
    if body.get("directory_id") is None:
        if body.get("mode") == "update" and body.get("file_id") is not None:
            return None
        raise refused({"directory": "'directory_id' not supplied"})
    directory_id = existing_id(body["directory_id"])
    if directories.get(cx, caller.project_id, directory_id) is None:
        raise broken()
    return directory_id


def _file(
    cx: sqlite3.Connection, caller: Caller, body: dict[str, Any], media: dict[str, Any], directory_id: int | None
) -> int | None:
    if body.get("file_id") is not None:
        file_id = existing_id(body["file_id"])
        if files.get(cx, caller.project_id, file_id) is None:
            raise broken()
        return file_id
    if media.get("url") and media.get("type"):
        return None
    name = body.get("file_name")
    if not name or directory_id is None:
        raise refused({"file_name": "Provide file_name along with directory_id"}, "Started processing")
    found = files.named(cx, directory_id, str(name))
    if found is None:  # not recorded
        raise refused({"file_name": f"File {name} does not exist in directory {directory_id}"}, "Started processing")
    return found


def _job(cx: sqlite3.Connection, caller: Caller, body: dict[str, Any]) -> int | None:
    if body.get("job_id") is None:
        return None
    job = jobs.get(cx, existing_id(body["job_id"]))
    if job is None or job["project_id"] != caller.project_id:
        raise broken()
    return int(job["id"])


def _day(text: object) -> float:
    try:
        return clock.start_of_day(str(text))
    except ValueError as error:
        raise fault(500, str(error)) from error
