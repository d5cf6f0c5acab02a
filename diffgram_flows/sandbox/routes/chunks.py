"""Imports of bytes in chunks, one request each (recordings ``05_upload``, and ``06_batch`` for pre-labels)."""

from __future__ import annotations

import json
import re
import sqlite3
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from diffgram_flows.sandbox import ingest
from diffgram_flows.sandbox.auth import Caller, Writer
from diffgram_flows.sandbox.core import Sandbox, Server
from diffgram_flows.sandbox.ingest import IngestError, Target
from diffgram_flows.sandbox.replies import JsonReply, broken, existing_id, fault, refused
from diffgram_flows.sandbox.store import batches, directories, files, inputs, jobs
from diffgram_flows.sandbox.store.batches import PreLabels
from diffgram_flows.sandbox.store.inputs import Wanted

router = APIRouter()
#: Bytes. S3 takes no smaller part of a file but the last one.
SMALLEST_PART = 5 * 1024 * 1024
NUMBERS = ("dzchunkindex", "dztotalfilesize", "dzchunksize", "dztotalchunkcount", "dzchunkbyteoffset")
NO_CONTENT_TYPE = (
    "Parameter validation failed:\nInvalid type for parameter ContentType, value: None, "
    "type: <class 'NoneType'>, valid types: <class 'str'>"
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk as it was announced.

    Attributes:
        uuid: The upload that it belongs to, chosen by the client.
        name: The file's name, made safe.
        sent_name: The file's name.
        index: From 0.
        count: Chunks in all.
        form: All fields of the form.
    """

    uuid: str
    name: str
    sent_name: str
    index: int
    count: int
    form: dict[str, str]

    @property
    def is_last(self) -> bool:
        return self.index + 1 == self.count


@dataclass(frozen=True, slots=True)
class _Goal:
    """Where an upload goes, and what its batch says about it."""

    directory_id: int
    job_id: int | None
    batch_id: int | None
    pre_labels: PreLabels


@router.post("/api/walrus/project/{project}/upload/large")
async def upload_large(request: Request, caller: Writer, server: Server) -> Response:
    """Receive one chunk. After the last one the file is put together and imported at once, without the queue."""
    async with request.form() as form:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise refused({"binary_file": "No file provided"})
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        chunk = _announced(fields, str(upload.filename or ""))
        data = await upload.read()
    return await run_in_threadpool(_receive, caller, server, chunk, data)


def safe_name(name: str) -> str:
    """A file name of letters, digits, ``_``, ``.`` and ``-`` alone (recorded as ``unsafe_filename_chunk0``)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().replace("/", " ")
    return re.sub(r"[^A-Za-z0-9_.-]", "", "_".join(plain.split())).strip("._")


def _announced(form: dict[str, str], name: str) -> Chunk:
    for field in (*NUMBERS, "dzuuid"):
        if field not in form:
            raise fault(500, f"'Upload' object has no attribute '{field}'")
    try:
        numbers = {field: int(form[field]) for field in NUMBERS}
    except ValueError as error:
        raise fault(500, str(error)) from error
    return Chunk(
        form["dzuuid"], safe_name(name), name, abs(numbers["dzchunkindex"]), numbers["dztotalchunkcount"], form
    )


def _receive(caller: Caller, server: Sandbox, chunk: Chunk, data: bytes) -> Response:
    if PurePosixPath(chunk.name).suffix.lower() not in ingest.EXTENSIONS:
        raise fault(500, NO_CONTENT_TYPE)
    with server.database.write() as cx:
        goal = _goal(cx, caller, chunk)
        upload_id, is_new = _upload(cx, caller.project_id, chunk)
    folder = f"upload-{upload_id}"
    if is_new:
        server.media.forget_chunks(folder)
    server.media.keep_chunk(folder, chunk.index, data)
    task = None
    if chunk.is_last:
        row = _begin(caller, server, chunk, goal)
        sizes = server.media.chunk_sizes(folder)
        if len(sizes) < chunk.count or any(size < SMALLEST_PART for size in sizes[:-1]):
            raise fault(500, "")  # the row stays in "init" for ever (recorded)
        received = server.media.joined(folder)
        with server.database.write() as cx:
            cx.execute("DELETE FROM upload WHERE id = ?", (upload_id,))
        task = BackgroundTask(_import, server, caller.project, row, received, goal.pre_labels)
    return JsonReply({"success": True}, background=task)


def _upload(cx: sqlite3.Connection, project_id: int, chunk: Chunk) -> tuple[int, bool]:
    """The id of the upload that a chunk belongs to, and whether the chunk begins it."""
    begun = 0
    if chunk.index == 0:
        insert = "INSERT OR IGNORE INTO upload (project_id, uuid) VALUES (?, ?)"
        begun = cx.execute(insert, (project_id, chunk.uuid)).rowcount
    row = cx.execute("SELECT id FROM upload WHERE project_id = ? AND uuid = ?", (project_id, chunk.uuid)).fetchone()
    if row is None:  # a later chunk of an upload that nobody began, or that is complete: not recorded
        raise fault(500, "")
    return int(row["id"]), bool(begun)


def _goal(cx: sqlite3.Connection, caller: Caller, chunk: Chunk) -> _Goal:
    form = chunk.form
    directory_id = existing_id(form.get("directory_id") or caller.project["directory_id"])
    if directories.get(cx, caller.project_id, directory_id) is None:
        raise broken()
    job_id = existing_id(form["job_id"]) if form.get("job_id") else None
    job = jobs.get(cx, job_id)
    if job_id is not None and (job is None or job["project_id"] != caller.project_id):
        raise broken()
    if not form.get("input_batch_id"):
        return _Goal(directory_id, job_id, None, PreLabels())
    batch = batches.existing(cx, caller.project_id, existing_id(form["input_batch_id"]))
    said = batches.pre_labels(cx, batch, chunk.sent_name, chunk.uuid)
    return _Goal(directory_id, job_id, batch["id"], said)


def _begin(caller: Caller, server: Sandbox, chunk: Chunk, goal: _Goal) -> sqlite3.Row:
    wanted = Wanted(
        caller.project_id,
        goal.directory_id,
        job_id=goal.job_id,
        batch_id=goal.batch_id,
        media_type="image",
        original_filename=chunk.name,
        instance_list=goal.pre_labels.instance_list,
    )
    with server.database.write() as cx:
        return inputs.existing(cx, caller.project_id, inputs.begin_upload(cx, wanted))


class _AbandonedError(Exception):
    """The import was archived meanwhile."""


def _import(server: Sandbox, project: sqlite3.Row, row: sqlite3.Row, received: Path, said: PreLabels) -> None:
    try:
        with server.database.write() as cx:
            if not inputs.advance(cx, row, "processing"):
                return
        _store(server, project, row, received, said)
    except IngestError as end:
        with server.database.write() as cx:
            inputs.finish(cx, row, end.outcome, said.instance_list)
    except _AbandonedError:
        return
    finally:
        received.unlink(missing_ok=True)
    server.clerk.wake()


def _store(server: Sandbox, project: sqlite3.Row, row: sqlite3.Row, received: Path, said: PreLabels) -> None:
    name, target = row["original_filename"], Target(project, row["directory_id"], row["job_id"])
    with server.database.read() as cx:
        ingest.refuse_twin(cx, target.directory_id, name)
    picture = ingest.measure(received.read_bytes(), name, server.settings)
    with server.database.write() as cx:
        file_id = ingest.store(cx, server.media, target, picture, received, server.settings.task_delay)
        if said.file_metadata is not None:
            files.describe(cx, file_id, json.dumps(said.file_metadata))
        outcome = ingest.draw_outcome(cx, project, file_id, said.instance_list)
        if not inputs.finish(cx, row, outcome, said.instance_list):
            raise _AbandonedError  # rolls back the file as well
