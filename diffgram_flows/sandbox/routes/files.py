"""Files: existence, signed links, what can be set on them, moving between datasets (recording ``09_files``)."""

from __future__ import annotations

import shutil
import sqlite3
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import READ, Caller, Reader, Writer, authorize
from diffgram_flows.sandbox.core import Body, Sandbox, Server
from diffgram_flows.sandbox.replies import JsonReply, fault, good, log, refused
from diffgram_flows.sandbox.store import directories, files, instances

router = APIRouter()
TRANSFERS = ("mirror", "move", "copy")


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


@router.put("/api/v1/project/{project}/file/{file_id:int}/update-metadata")
def update_metadata(request: Request, caller: Writer, file_id: int, body: Body, server: Server) -> Response:
    """Set ``ordinal`` and ``rotation_degrees``; anything else is ignored."""
    with server.database.write() as cx:
        row = files.get(cx, caller.project_id, file_id)
        if row is None:  # not recorded
            raise fault(500, "'NoneType' object has no attribute 'id'")
        files.change(cx, file_id, body)
        changed = files.get(cx, caller.project_id, file_id)
    reply = files.reply(changed or row, server.links(request))
    reply["time_last_updated"] = files.base_reply(row)["time_last_updated"]  # recorded: that before this update
    return good(file=reply)


@router.get("/api/v1/project/{project}/file/{file_id:int}/file-stats")
def file_stats(caller: Reader, file_id: int, server: Server) -> Response:
    """How many instances of each label a file has. Counts of attributes were not recorded and are left out."""
    with server.database.read() as cx:
        if files.get(cx, caller.project_id, file_id) is None:  # not recorded
            raise fault(500, "'NoneType' object has no attribute 'id'")
        return good(file_stats=[_stat_reply(file_id, row) for row in instances.counted(cx, file_id)])


@router.post("/api/project/{project}/file/remove")
def file_remove(caller: Writer) -> Response:
    """Broken for everybody on the recorded server."""
    raise fault(500, "name 'getUserID' is not defined")


@router.post("/api/v1/project/{project}/file/update")
def file_update(caller: Writer, body: Body, server: Server) -> Response:
    """Take files out of a dataset, for people: an API credential has no user, and that crashes the server."""
    if caller.user_id is None:
        raise fault(500, "'NoneType' object has no attribute 'member'")
    if body.get("mode") != "REMOVE":  # for people nothing was recorded
        raise refused({"mode": "Invalid mode"})
    with server.database.write() as cx:
        _remove(cx, caller.project_id, body.get("directory_id"), _ids(body))
    return JsonReply({"log": log()})


@router.post("/api/v1/project/{project}/file/transfer")
def file_transfer(caller: Writer, body: Body, server: Server) -> Response:
    """Take files out of a dataset (REMOVE), or put them into another one (TRANSFER).

    Recorded are REMOVE and the action ``mirror``. Not recorded are ``move`` (here a mirror, and out of the source)
    and ``copy`` (here new files, whose replies are where the official SDK looks for them).
    """
    mode, action = body.get("mode"), body.get("transfer_action")
    if mode != "REMOVE" and (mode != "TRANSFER" or action not in TRANSFERS):
        raise refused({"mode": f"The sandbox transfers files with mode REMOVE or an action of {list(TRANSFERS)}."})
    with server.database.write() as cx:
        if mode == "REMOVE":
            removed = _remove(cx, caller.project_id, body.get("source_directory_id"), _ids(body))
            info: dict[str, Any] = {"remove": f"Removed {removed} file(s)."}
        else:
            info = _transfer(cx, caller, server, body)
    return JsonReply({"log": log(info=info)})


def _transfer(cx: sqlite3.Connection, caller: Caller, server: Sandbox, body: dict[str, Any]) -> dict[str, Any]:
    action = body["transfer_action"]
    target = _directory(cx, caller.project_id, body.get("destination_directory_id"))
    found = {each: files.get(cx, caller.project_id, each) for each in _ids(body)}
    if action == "copy":
        copies = [_copy(cx, server, target, row, body) for row in found.values() if row is not None]
        return {"new_file": copies}
    for each, row in found.items():
        if row is not None:
            files.place(cx, target, each)
    if action == "move":
        _remove(cx, caller.project_id, body.get("source_directory_id"), list(found))
    return {str(each): row is not None for each, row in found.items()}


def _copy(
    cx: sqlite3.Connection, server: Sandbox, directory_id: int, row: sqlite3.Row, body: dict[str, Any]
) -> dict[str, Any]:
    file_id, blob = files.copy(cx, directory_id, row)
    shutil.copyfile(server.media.path(row["blob"]), server.media.path(blob))
    if body.get("copy_instances"):
        instances.copy(cx, row["id"], file_id)
    made = files.get(cx, row["project_id"], file_id)
    return files.base_reply(made or row)


def _remove(cx: sqlite3.Connection, project_id: int, directory_id: object, ids: list[Any]) -> int:
    source = _directory(cx, project_id, directory_id)
    return sum(files.remove(cx, source, each) for each in ids)


def _directory(cx: sqlite3.Connection, project_id: int, wanted: object) -> int:
    directory = directories.get(cx, project_id, wanted)
    if directory is None:
        raise refused({"directory": f"Bad directory_id: {wanted}"})
    return int(directory["id"])


def _ids(body: dict[str, Any]) -> list[Any]:
    return [each["id"] for each in body.get("file_list") or [] if isinstance(each, dict) and "id" in each]


def _exists(cx: sqlite3.Connection, project_id: int, directory_id: int, wanted: object) -> bool:
    if isinstance(wanted, int):
        return files.get(cx, project_id, wanted) is not None
    return files.named(cx, directory_id, str(wanted)) is not None


def _stat_reply(file_id: int, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "annotators_member_list": [],
        "attribute_template_group_id": None,
        "attribute_template_id": None,
        "attribute_value_number": None,
        "attribute_value_selected": None,
        "attribute_value_selected_date": None,
        "attribute_value_selected_time": None,
        "attribute_value_text": None,
        "count_instances": row["count"],
        "file_id": file_id,
        "id": row["id"],
        "label_file_id": row["label_file_id"],
        "member_created_id": None,
        "member_updated_id": None,
    }
