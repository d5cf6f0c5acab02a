"""The instances of a file, read and saved with an API credential (recordings ``09_files`` and ``10_predictions``)."""

from __future__ import annotations

import sqlite3
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Reader, Writer
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.replies import JsonReply, fault
from diffgram_flows.sandbox.store import files, instances
from diffgram_flows.sandbox.store.instances import Author
from diffgram_flows.sandbox.store.saving import Saved, save

router = APIRouter()


@router.post("/api/project/{project}/file/{file_id:int}/annotation/list")
def annotation_list(request: Request, caller: Reader, file_id: int, server: Server) -> Response:
    """A file with what is drawn on it."""
    with server.database.read() as cx:
        row = files.get(cx, caller.project_id, file_id)
        if row is None:
            return JsonReply({"message": " File not in valid project directory.", "success": False}, 400)
        return JsonReply(listing(cx, row, server.links(request)))


@router.post("/api/project/{project}/file/{file_id:int}/annotation/update")
def annotation_update(request: Request, caller: Writer, file_id: int, body: Body, server: Server) -> Response:
    """Save the complete instance list of a file at once."""
    with server.database.write() as cx:
        if files.get(cx, caller.project_id, file_id) is None:
            raise fault(500, "'int' object has no attribute 'log'")
        sent = body.get("instance_list") or []
        saved = save(cx, caller.project, file_id, sent, Author(caller.member_id), by_person=caller.user_id is not None)
        return JsonReply(saved_reply(cx, caller.project_id, file_id, saved, server.links(request)))


@router.post("/api/project/{project}/file/{file_id:int}/annotation/is_complete_toggle")
def is_complete_toggle(caller: Writer, file_id: int, server: Server) -> Response:
    """Turn a file's own flag around. A person may; what the reply is then is not recorded."""
    if caller.user_id is None:
        raise fault(500, "'NoneType' object has no attribute 'member_id'")
    with server.database.write() as cx:
        row = files.get(cx, caller.project_id, file_id)
        if row is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        cx.execute("UPDATE file SET ann_is_complete = NOT coalesce(ann_is_complete, 0) WHERE id = ?", (file_id,))
    return JsonReply({"success": True})


def listing(cx: sqlite3.Connection, row: sqlite3.Row, links: Links) -> dict[str, Any]:
    """A file with its instances, as both routes that list them answer."""
    drawn = instances.listed_replies(cx, row["project_id"], row["id"])
    return {"file_serialized": {**files.reply(row, links), "instance_list": drawn}, "success": True}


def saved_reply(cx: sqlite3.Connection, project_id: int, file_id: int, saved: Saved, links: Links) -> dict[str, Any]:
    """What a save answers, on both routes that save."""
    rows = {row["id"]: row for row in instances.stored(cx, file_id, removed=True)}
    file = files.get(cx, project_id, file_id)
    return {
        "added_instances": [instances.reply(rows[each]) for each in saved.added],
        "deleted_instances": saved.deleted,
        "log": saved.log,
        "new_file": file and files.reply(file, links),
        "new_sequence_list": [],
        "sequence": None,
        "success": True,
    }
