"""Attributes of instances: three calls make one (recording ``02_project_schema``)."""

from __future__ import annotations

import sqlite3
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Reader, Writer
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import JsonReply, fault, good, log, refused
from diffgram_flows.sandbox.store import attributes, labels

router = APIRouter()
ATTRIBUTE = "/api/v1/project/{project}/attribute"


@router.post(f"{ATTRIBUTE}/group/new")
def group_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make an empty group."""
    with server.database.write() as cx:
        schema = labels.schema(cx, caller.project_id, body.get("schema_id"))
        if schema is None:
            raise fault(500, "schema Required")
        group_id = attributes.new_group(cx, caller.project_id, schema["id"])
        row = _group(cx, caller.project_id, group_id)
    return good(attribute_template_group=attributes.group_reply(row))


@router.post(f"{ATTRIBUTE}/group/update")
def group_update(caller: Writer, body: Body, server: Server) -> Response:
    """Fill a group in. The reply's ``time_updated`` is that before this update (recorded)."""
    if body.get("mode") != "UPDATE":
        raise refused({"mode": "Invalid mode"})
    with server.database.write() as cx:
        before = _group(cx, caller.project_id, body.get("group_id"))
        attributes.update_group(cx, before["id"], body)
        if isinstance(body.get("label_file_list"), list):
            wanted: list[Any] = [each.get("id") for each in body["label_file_list"] if isinstance(each, dict)]
            known = {int(row["id"]): row for row in labels.label_files(cx, caller.project_id)}
            attributes.set_labels(cx, before["id"], [each for each in wanted if each in known])
        reply = attributes.group_reply(_group(cx, caller.project_id, before["id"]))
    reply["time_updated"] = attributes.group_reply(before)["time_updated"]
    return JsonReply({"group": reply, "log": log(info={"update": "Success"})})


@router.post(ATTRIBUTE)
def option_new(caller: Writer, body: Body, server: Server) -> Response:
    """Add one option to a group."""
    wanted: Any = body.get("attribute")
    if body.get("mode") != "NEW" or not isinstance(wanted, dict):
        raise refused({"mode": "Invalid mode"})
    with server.database.write() as cx:
        group = _group(cx, caller.project_id, wanted.get("group_id"))
        option = attributes.new_option(cx, group["id"], wanted.get("name"))
    return good(attribute_template=attributes.option_reply(option))


@router.post(f"{ATTRIBUTE}/template/list")
def template_list(caller: Reader, body: Body, server: Server) -> Response:
    """The groups of a schema with their options, but without their labels."""
    if body.get("mode") != "from_project":
        raise refused({"mode": "Invalid mode"})
    with server.database.read() as cx:
        schema = labels.schema(cx, caller.project_id, body.get("schema_id"))
        if schema is None:
            raise fault(500, "schema Required")
        found = attributes.groups(cx, caller.project_id, schema["id"])
        return good(attribute_group_list=[attributes.listed_reply(cx, row) for row in found])


def _group(cx: sqlite3.Connection, project_id: int, group_id: object) -> sqlite3.Row:
    row = attributes.group(cx, project_id, group_id)
    if row is None:  # not recorded
        raise fault(500, "'NoneType' object has no attribute 'id'")
    return row
