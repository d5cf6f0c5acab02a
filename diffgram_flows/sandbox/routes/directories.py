"""Datasets (recording ``02_project_schema``)."""

from __future__ import annotations

import sqlite3

from fastapi import APIRouter
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Reader, Writer
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import good, refused
from diffgram_flows.sandbox.store import directories

router = APIRouter()


@router.post("/api/v1/project/{project}/directory/list")
def directory_list(caller: Reader, body: Body, server: Server) -> Response:
    """Datasets, newest first; ``nickname`` matches any part of the name."""
    limit = int(body.get("limit") or 25)
    with server.database.read() as cx:
        rows = directories.listed(cx, caller.project_id, str(body.get("nickname") or ""), limit)
    return good(directory_list=[directories.reply(row) for row in rows])


@router.post("/api/v1/project/{project}/directory/new")
def directory_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a dataset."""
    missing = {name: f"Missing {name}" for name in ("access_type", "nickname") if not body.get(name)}
    if missing:
        raise refused(missing)
    with server.database.write() as cx:
        try:
            directory_id = directories.new(cx, caller.project_id, str(body["nickname"]))
        except sqlite3.IntegrityError:
            raise refused({"name": "Existing with same name in project."}) from None
        row = cx.execute("SELECT * FROM directory WHERE id = ?", (directory_id,)).fetchone()
    return good(new_directory=directories.reply(row))
