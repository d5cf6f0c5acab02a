"""Lists of files: a dataset page by page, and the explorer (recording ``09_files``)."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Caller, Reader
from diffgram_flows.sandbox.core import Server
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.replies import JsonReply, bare, fault, refused
from diffgram_flows.sandbox.store import directories, explorer, files, instances

router = APIRouter()
LARGEST_PAGE = {"base": 1000, "annotation": 1000, "explorer": 1000, "ids_only": 25_000}
STATUSES = {"All": "1", "Completed": "ann_is_complete", "Incomplete": "NOT coalesce(ann_is_complete, 0)"}
MACHINE_MADE = {
    "All": "1",
    "Predictions only": "0",  # recorded: nothing is found, although there is a machine made box
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
    if mode not in LARGEST_PAGE:
        raise refused({"file_view_mode": f'Invalid file_view_mode "{mode}"'})
    return wanted


Wanted = Annotated[dict[str, Any], Depends(list_metadata)]


@dataclass(frozen=True, slots=True)
class _Page:
    """Which files: the rows of one page, and how many there are in all."""

    rows: list[sqlite3.Row]
    limit: int
    page: int
    count: int

    @property
    def start(self) -> int:
        return (self.page - 1) * self.limit


@router.post("/api/project/{project}/user/sdk/file/list")
def file_list(request: Request, caller: Reader, wanted: Wanted, server: Server) -> Response:
    """One page of a dataset's files, newest first; pages count from 1."""
    with server.database.read() as cx:
        if wanted["file_view_mode"] == "explorer":
            return JsonReply(_explored(cx, caller, wanted, server.links(request)))
        default = caller.project["directory_id"]
        directory = directories.get(cx, caller.project_id, wanted.get("directory_id") or default)
        if directory is None:
            raise bare("Error with directory")
        found = _page(cx, wanted, *_conditions(directory["id"], wanted), order="DESC")
        return JsonReply(_reply(wanted, found, _shown(wanted["file_view_mode"], found.rows, server.links(request))))


def _explored(cx: sqlite3.Connection, caller: Caller, wanted: dict[str, Any], links: Links) -> dict[str, Any]:
    """All files of the project for which the query holds, oldest first; the dataset does not count (recorded)."""
    where = "EXISTS (SELECT 1 FROM placement WHERE file_id = file.id) AND project_id = ?"
    values: tuple[object, ...] = (caller.project_id,)
    if wanted.get("query"):
        try:
            query, marks = explorer.condition(cx, caller.project_id, str(wanted["query"]))
        except explorer.RefusedQueryError as refusal:
            raise refused(refusal.fields) from refusal
        where, values = f"{where} AND {query}", (*values, *marks)
    found = _page(cx, wanted, where, values, order="ASC")
    if not found.count:
        return {"file_list": False, "metadata": _nothing_explored(wanted, found)}
    shown = [
        {**files.reply(row, links), "instance_list": instances.listed_replies(cx, caller.project_id, row["id"])}
        for row in found.rows
    ]
    return _reply(wanted, found, shown)


def _page(
    cx: sqlite3.Connection, wanted: dict[str, Any], where: str, values: tuple[object, ...], *, order: str
) -> _Page:
    limit = min(int(wanted.get("limit") or 25), LARGEST_PAGE[wanted["file_view_mode"]])
    page = max(1, int(wanted.get("page") or 1))
    source = f"{files.IMAGES} WHERE {where}"
    count = cx.execute(f"SELECT count(*) AS n FROM ({source})", values).fetchone()["n"]  # noqa: S608 - our own text
    rows = cx.execute(
        f"{source} ORDER BY file.id {order} LIMIT ? OFFSET ?", (*values, limit, (page - 1) * limit)
    ).fetchall()
    return _Page(rows, limit, page, count)


def _conditions(directory_id: int, wanted: dict[str, Any]) -> tuple[str, tuple[object, ...]]:
    machine_made = MACHINE_MADE.get(wanted.get("annotations_are_machine_made_setting") or "All", "1")
    status = STATUSES.get(wanted.get("annotation_status") or "All", "1")
    there = "EXISTS (SELECT 1 FROM placement WHERE file_id = file.id AND directory_id = ?)"
    where, part = f"{there} AND {machine_made} AND {status}", str(wanted.get("search_term") or "")
    if not part:
        return where, (directory_id,)
    return f"{where} AND instr(lower(file.original_filename), lower(?))", (directory_id, part)


def _shown(mode: str, rows: list[sqlite3.Row], links: Links) -> list[Any]:
    if mode == "ids_only":
        return [row["id"] for row in rows]
    return [files.base_reply(row) if mode == "base" else files.reply(row, links) for row in rows]


def _reply(wanted: dict[str, Any], found: _Page, shown: list[Any]) -> dict[str, Any]:
    end = found.start + len(shown)
    metadata = {
        **_asked(wanted, found),
        **({} if shown else {"no_results_match_search": True}),
        "end_index": end,
        "file_count": found.count,
        "length_current_page": len(shown),
        "next_page": found.page + 1 if shown and end < found.count else None,
        "prev_page": found.page - 1,
        "start_index": found.start,
        "total_pages": math.ceil(found.count / found.limit) if found.limit else 0,
    }
    return {"file_list": shown, "metadata": metadata}


def _nothing_explored(wanted: dict[str, Any], found: _Page) -> dict[str, Any]:
    """Recorded: the explorer forgets to count if it finds nothing."""
    return {**_asked(wanted, found), "next_page": 2, "prev_page": None, "start_index": 0, "total_pages": 1}


def _asked(wanted: dict[str, Any], found: _Page) -> dict[str, Any]:
    return {
        "annotation_status": wanted.get("annotation_status"),
        "date_from": None,
        "date_to": None,
        "directory_id": wanted.get("directory_id"),
        "file": {},
        "file_view_mode": wanted.get("file_view_mode"),
        "issues_filter": None,
        "job_id": None,
        "label": {"start_index": 0},
        "limit": found.limit,
        "machine_made_setting": wanted.get("annotations_are_machine_made_setting"),
        "media_type": wanted.get("media_type"),
        "page": found.page,
        "query": wanted.get("query"),
        "regen_url": True,
        "search_term": wanted.get("search_term"),
        "with_children_files": bool(wanted.get("with_children_files")),
    }
