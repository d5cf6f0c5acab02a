"""Imports of bytes in one request (recording ``05_upload``)."""

from __future__ import annotations

import sqlite3
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from diffgram_flows.sandbox import ingest
from diffgram_flows.sandbox.auth import Caller, Writer
from diffgram_flows.sandbox.core import Sandbox, Server
from diffgram_flows.sandbox.ingest import IngestError, Target
from diffgram_flows.sandbox.replies import JsonReply, fault, log, refused
from diffgram_flows.sandbox.store import directories, inputs
from diffgram_flows.sandbox.store.files import Picture
from diffgram_flows.sandbox.store.inputs import NO_ROW, Outcome, Wanted

router = APIRouter()


@router.post("/api/walrus/v1/project/{project}/input/from_local")
async def from_local(request: Request, caller: Writer, server: Server) -> Response:
    """Import the part ``file`` as the part ``json`` says. Synchronous: the reply has the file's id."""
    async with request.form() as form:
        try:
            wanted = orjson.loads(str(form.get("json")))
        except orjson.JSONDecodeError:
            raise refused({"input": "Expecting a key 'json' in form request."}) from None
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise refused("No files")
        data, name = await upload.read(), str(upload.filename or "")
    return await run_in_threadpool(_import, caller, server, wanted, data, name)


def _import(caller: Caller, server: Sandbox, wanted: dict[str, Any], data: bytes, name: str) -> Response:
    directory_id = _directory(caller, server, wanted)
    extension = PurePosixPath(name).suffix
    if extension.lower() not in ingest.EXTENSIONS:
        nothing = {**NO_ROW, "original_filename": name, "status": "failed", "total_time": "None"}
        text = f"Invalid file type: {extension}"
        return JsonReply({"input": {**nothing, "status_text": text}, "log": log(success=False)}, 400)
    try:
        picture = ingest.measure(data, name, server.settings)
    except IngestError:
        raise fault(500, "'NoneType' object has no attribute 'parent_id'") from None
    sent = wanted.get("instance_list") or None
    row = Wanted(caller.project_id, directory_id, media_type="image", original_filename=name, instance_list=sent)
    received = server.media.receive(data)
    try:
        return _stored(caller, server, row, picture, received)
    except IngestError as end:
        return _twin(caller, server, row, str(end))
    finally:
        received.unlink(missing_ok=True)


def _stored(caller: Caller, server: Sandbox, wanted: Wanted, picture: Picture, received: Path) -> Response:
    target = Target(caller.project, wanted.directory_id or caller.project["directory_id"])
    with server.database.write() as cx:
        input_id = inputs.begin_local(cx, wanted)
        file_id = ingest.store(cx, server.media, target, picture, received, server.settings.task_delay)
        outcome = ingest.draw_outcome(cx, caller.project, file_id, wanted.instance_list)
        reply = _finished(cx, caller, input_id, outcome, wanted.instance_list)
        digest = cx.execute("SELECT hash FROM file WHERE id = ?", (file_id,)).fetchone()["hash"]
    server.clerk.wake()
    return JsonReply({"file": {"hash": digest, "id": file_id}, "input": reply, "log": log()})


def _twin(caller: Caller, server: Sandbox, wanted: Wanted, text: str) -> Response:
    existing = int(text.rpartition(":")[2])
    outcome = Outcome("failed", text, update_log={"error": {"existing_file_id": existing}})
    with server.database.write() as cx:
        reply = _finished(cx, caller, inputs.begin_local(cx, wanted), outcome, wanted.instance_list)
    return JsonReply({"input": reply, "log": log(success=False)}, 400)


def _finished(
    cx: sqlite3.Connection, caller: Caller, input_id: int, outcome: Outcome, sent: list[Any] | None
) -> dict[str, Any]:
    row = inputs.existing(cx, caller.project_id, input_id)
    inputs.finish(cx, row, outcome, sent)
    reply = inputs.reply(cx, inputs.existing(cx, caller.project_id, input_id))
    # Direct uploads do not carry the server's version as their status text.
    return reply if outcome.status == "failed" else {**reply, "status_text": None}


def _directory(caller: Caller, server: Sandbox, wanted: dict[str, Any]) -> int:
    if wanted.get("directory_id") is None:
        return int(caller.project["directory_id"])  # silently
    with server.database.read() as cx:
        row = directories.get(cx, caller.project_id, wanted["directory_id"])
    if row is None:
        raise refused(f"Bad directory_id: {wanted['directory_id']}")
    return int(row["id"])
