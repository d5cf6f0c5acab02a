"""Label schemas and labels (recording ``02_project_schema``)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Reader, Writer
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import JsonReply, fault, good, log, refused
from diffgram_flows.sandbox.store import attributes, labels

router = APIRouter()


@router.get("/api/v1/project/{project}/labels-schema")
def schema_list(caller: Reader, server: Server) -> Response:
    """All schemas, as a bare list."""
    with server.database.read() as cx:
        return JsonReply([labels.schema_reply(row) for row in labels.schemas(cx, caller.project_id)])


@router.post("/api/v1/project/{project}/labels-schema/new")
def schema_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a schema; the reply is the schema itself."""
    name = str(body.get("name") or "")
    if not name:
        raise refused({"name": "Missing name"})
    with server.database.write() as cx:
        if any(row["name"] == name for row in labels.schemas(cx, caller.project_id)):
            raise refused({"schema_exists": f'Label Schema "{name}" already exists.'})
        schema_id = labels.new_schema(cx, caller.project_id, name, caller.member_id)
        row = labels.schema(cx, caller.project_id, schema_id)
    return JsonReply(row and labels.schema_reply(row))


@router.post("/api/v1/project/{project}/label/new")
def label_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a label; the same name again makes a second one."""
    name = str(body.get("name") or "")
    if not name:
        raise refused({"name": "Missing name"})
    with server.database.write() as cx:
        schema = labels.schema(cx, caller.project_id, body.get("schema_id"))
        if schema is None:
            raise fault(500, "schema Required")
        row = labels.new_label(cx, caller.project_id, schema["id"], name, body.get("colour"))
    return good(label=labels.label_reply(row))


@router.get("/api/project/{project}/labels")
def label_list(caller: Reader, server: Server, schema_id: str | None = None) -> Response:
    """The labels of a schema, of the default one without an id; ``log.success`` is false, as recorded."""
    with server.database.read() as cx:
        schema = labels.schema(cx, caller.project_id, schema_id)
        if schema is None:
            raise fault(500, "schema Required")
        found = labels.label_files(cx, caller.project_id, schema_id=schema["id"])
        of_labels = attributes.labelled_replies(cx, caller.project_id, schema["id"])
        of_files = attributes.labelled_replies(cx, caller.project_id, schema["id"], is_global=True)
    reply: dict[str, Any] = {
        "attribute_groups": of_labels,
        "global_attribute_groups_list": of_files,
        "global_attribute_groups_list_compound": [],
        "label_file_colour_map": labels.colours(found),
        "labels_out": [labels.label_reply(row) for row in found],
        "log": log(info={"schema": labels.schema_reply(schema)}, success=False),
    }
    return JsonReply(reply)


@router.get("/api/v1/project/{project}/labels/view/name_to_file_id")
def name_to_file_id(caller: Reader, server: Server) -> Response:
    """Label name to label file id over all schemas; of twins the newest wins."""
    with server.database.read() as cx:
        found = labels.label_files(cx, caller.project_id)
    return good(name_to_file_id={row["name"]: row["id"] for row in found})
