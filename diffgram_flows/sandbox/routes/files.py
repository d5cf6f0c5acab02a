"""Files: listing, existence, signed links, moving between datasets (recording ``09_files``)."""

from __future__ import annotations

import math
import sqlite3
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import READ, Reader, Writer, authorize
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.replies import JsonReply, bare, fault, good, log, refused
from diffgram_flows.sandbox.store import directories, files

router = APIRouter()
MODES = {"base": 1000, "annotation": 1000, "ids_only": 25_000}
STATUSES = {"All": "1", "Completed": "ann_is_complete", "Incomplete": "NOT coalesce(ann_is_complete, 0)"}
MACHINE_MADE = {
    "All": "1",
    "Predictions only": "EXISTS (SELECT 1 FROM instance WHERE file_id = file.id AND machine_made AND NOT soft_delete)",
    "Human only": "EXISTS (SELECT 1 FROM instance WHERE file_id = file.id AND NOT machine_made AND NOT soft_delete)",
}


async def list_metadata(request: Request) -> dict[str, Any]:
    """What a list of files was asked for; this endpoint refuses bodies in words of its own.

    Raises:
        ReplyError: The body is no JSON, has no metadata, or asks for an unknown mode.
    """
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        text = "400 Bad Request: The browser (or proxy) sent a request that this server could not understand."
        raise fault(400, text) from None
    wanted: dict[str, Any] = (body.get("metadata") if isinstance(body, dict) else None) or {}
    if not wanted:
        raise bare("Error no metadata")
    mode = wanted.get("file_view_mode")
    if mode not in MODES:
        raise refused({"file_view_mode": f'Invalid file_view_mode "{mode}"'})
    return wanted


Wanted = Annotated[dict[str, Any], Depends(list_metadata)]


@router.post("/api/project/{project}/user/sdk/file/list")
def file_list(request: Request, caller: Reader, wanted: Wanted, server: Server) -> Response:
    """One page of a dataset's files, newest first; pages count from 1."""
    with server.database.read() as cx:
        default = caller.project["directory_id"]
        directory = directories.get(cx, caller.project_id, wanted.get("directory_id") or default)
        if directory is None:
            raise bare("Error with directory")
        return JsonReply(_page(cx, directory["id"], wanted, wanted["file_view_mode"], server.links(request)))


@router.post("/api/v1/project/{project}/file/exists")
def file_exists(caller: Reader, body: Body, server: Server) -> Response:
    """Which of some ids or names are missing."""
    with server.database.read() as cx:
        directory_id = body.get("directory_id") or caller.project["directory_id"]
        missing = [
            each for each in body.get("file_id_list") or [] if not _exists(cx, caller.project_id, directory_id, each)
        ]
    return JsonReply({"result": {"exists": not missing, "missing_files": missing}})


@router.post("/api/v1/file/view")
def file_view(request: Request, body: Body, server: Server) -> Response:
    """One file without its instances."""
    with server.database.read() as cx:
        caller = authorize(cx, request, body.get("project_string_id"), READ)
        row = files.get(cx, caller.project_id, body.get("file_id"))
    if row is None:
        raise fault(500, "'NoneType' object has no attribute 'id'")
    return good(file=files.reply(row, server.links(request)), label_dict={})


@router.get("/api/project/{project}/file/{file_id:int}/get-signed-url")
def signed_url(request: Request, caller: Reader, file_id: int, server: Server) -> Response:
    """Fresh links to a file's bytes; ``log.success`` is false, as recorded."""
    with server.database.read() as cx:
        row = files.get(cx, caller.project_id, file_id)
    if row is None:
        raise fault(500, "'NoneType' object has no attribute 'project_id'")
    image = files.image_reply(row, server.links(request))
    del image["bucket_name"]
    return JsonReply({"file": {"image": image, "type": "image"}, "log": log(success=False)})


@router.post("/api/v1/project/{project}/file/transfer")
def file_transfer(caller: Writer, body: Body, server: Server) -> Response:
    """Mirror files into a dataset (TRANSFER with ``mirror``), or take them out of one (REMOVE)."""
    ids = [each["id"] for each in body.get("file_list") or [] if isinstance(each, dict) and "id" in each]
    mode, action = body.get("mode"), body.get("transfer_action")
    if mode != "REMOVE" and (mode, action) != ("TRANSFER", "mirror"):
        raise refused({"mode": f"The sandbox transfers files with mode REMOVE or transfer_action mirror, not {mode}."})
    source = body.get("source_directory_id" if mode == "REMOVE" else "destination_directory_id")
    with server.database.write() as cx:
        directory = directories.get(cx, caller.project_id, source)
        if directory is None:
            raise refused({"directory": f"Bad directory_id: {source}"})
        if mode == "REMOVE":
            removed = sum(files.remove(cx, directory["id"], each) for each in ids)
            info: dict[str, Any] = {"remove": f"Removed {removed} file(s)."}
        else:
            info = {str(each): _mirror(cx, caller.project_id, directory["id"], each) for each in ids}
    return JsonReply({"log": log(info=info)})


def _mirror(cx: sqlite3.Connection, project_id: int, directory_id: int, file_id: int) -> bool:
    if files.get(cx, project_id, file_id) is None:
        return False
    files.place(cx, directory_id, file_id)
    return True


def _exists(cx: sqlite3.Connection, project_id: int, directory_id: int, wanted: object) -> bool:
    if isinstance(wanted, int):
        return files.get(cx, project_id, wanted) is not None
    return files.named(cx, directory_id, str(wanted)) is not None


def _page(cx: sqlite3.Connection, directory_id: int, wanted: dict[str, Any], mode: str, links: Links) -> dict[str, Any]:
    limit = min(int(wanted.get("limit") or 25), MODES[mode])
    page = max(1, int(wanted.get("page") or 1))
    where, values = _conditions(directory_id, wanted)
    source = "FROM file JOIN image ON image.id = file.image_id JOIN placement ON file_id = file.id"
    count = cx.execute(f"SELECT count(*) AS n {source} WHERE {where}", values).fetchone()["n"]
    rows = cx.execute(
        "SELECT file.*, image.width, image.height, image.blob, image.id AS image "
        f"{source} WHERE {where} ORDER BY file.id DESC LIMIT ? OFFSET ?",
        (*values, limit, (page - 1) * limit),
    ).fetchall()
    if mode == "ids_only":
        shown: list[Any] = [row["id"] for row in rows]
    else:
        shown = [files.base_reply(row) if mode == "base" else files.reply(row, links) for row in rows]
    return {"file_list": shown, "metadata": _metadata(wanted, limit, page, count, len(rows))}


def _conditions(directory_id: int, wanted: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    machine_made = MACHINE_MADE.get(wanted.get("annotations_are_machine_made_setting") or "All", "1")
    status = STATUSES.get(wanted.get("annotation_status") or "All", "1")
    part = str(wanted.get("search_term") or "")
    where = f"directory_id = ? AND {machine_made} AND {status} AND instr(lower(file.original_filename), lower(?))"
    return (where if part else where.rpartition(" AND ")[0]), ((directory_id, part) if part else (directory_id,))


def _metadata(wanted: dict[str, Any], limit: int, page: int, count: int, shown: int) -> dict[str, Any]:
    start = (page - 1) * limit
    nothing = {} if shown else {"no_results_match_search": True}
    return {
        **nothing,
        "annotation_status": wanted.get("annotation_status"),
        "date_from": None,
        "date_to": None,
        "directory_id": wanted.get("directory_id"),
        "end_index": start + shown,
        "file": {},
        "file_count": count,
        "file_view_mode": wanted.get("file_view_mode"),
        "issues_filter": None,
        "job_id": None,
        "label": {"start_index": 0},
        "length_current_page": shown,
        "limit": limit,
        "machine_made_setting": wanted.get("annotations_are_machine_made_setting"),
        "media_type": wanted.get("media_type"),
        "next_page": page + 1 if start + shown < count and shown else None,
        "page": page,
        "prev_page": page - 1,
        "query": None,
        "regen_url": True,
        "search_term": wanted.get("search_term"),
        "start_index": start,
        "total_pages": math.ceil(count / limit) if limit else 0,
        "with_children_files": bool(wanted.get("with_children_files")),
    }
