"""Input batches (recording ``06_batch``)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Reader, Writer
from diffgram_flows.sandbox.core import Body, Sandbox, Server
from diffgram_flows.sandbox.media import BUCKET
from diffgram_flows.sandbox.replies import JsonReply, fault, refused
from diffgram_flows.sandbox.store import batches

router = APIRouter()
BATCH = "/api/v1/project/{project}/input-batch"
NO_HEADER = "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"


@router.post(f"{BATCH}/new")
def batch_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a batch, with its pre-labels or without any."""
    with server.database.write() as cx:
        batch_id = batches.new(cx, caller.project_id, caller.member_id, body.get("pre_labeled_data"))
        row = batches.existing(cx, caller.project_id, batch_id)
    return JsonReply({"input_batch": batches.reply(row)})


@router.post(f"{BATCH}/{{batch_id:int}}")
def batch_view(caller: Reader, batch_id: int, server: Server) -> Response:
    """One batch, without its pre-labels."""
    with server.database.read() as cx:
        return JsonReply({"input_batch": batches.reply(batches.existing(cx, caller.project_id, batch_id))})


@router.post(f"{BATCH}/{{batch_id:int}}/append-data")
async def append_data(request: Request, caller: Writer, batch_id: int, server: Server) -> Response:
    """Receive one piece of a batch's pre-labels as JSON; after the last one they are loaded, in the background."""
    index = _header(request, "Content-Range-Index")
    total = _header(request, "Content-Range-Total-Chunks")
    async with request.form() as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):  # not recorded
            raise refused({"binary_file": "No file provided"})
        data = await upload.read()
    await run_in_threadpool(_keep, server, caller.project_id, batch_id, index, data)
    place = f"{str(request.base_url).rstrip('/')}/storage/{BUCKET}/input_batch/{batch_id}"
    task = BackgroundTask(_load, server, batch_id) if index + 1 == total else None
    return JsonReply({"input_batch": place}, background=task)


def _keep(server: Sandbox, project_id: int, batch_id: int, index: int, data: bytes) -> None:
    with server.database.read() as cx:
        batches.existing(cx, project_id, batch_id)
    server.media.keep_chunk(f"batch-{batch_id}", index, data)


def _load(server: Sandbox, batch_id: int) -> None:
    content = server.media.joined(f"batch-{batch_id}")
    try:
        with server.database.write() as cx:
            batches.load(cx, batch_id, content.read_bytes())
    finally:
        content.unlink()


def _header(request: Request, name: str) -> int:
    value = request.headers.get(name)
    if value is None:
        raise fault(500, NO_HEADER)
    try:
        return int(value)
    except ValueError as error:
        raise fault(500, str(error)) from error
