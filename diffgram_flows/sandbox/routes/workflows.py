"""Workflows and webhooks, set up in a browser session (recording ``12_webhooks``)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from diffgram_flows.sandbox.auth import Reader, Writer
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import JsonReply, fault, good, log, one_of, refused
from diffgram_flows.sandbox.store import templates, workflows

PROJECT = "/api/v1/project/{project}"
ACTIONS = f"{PROJECT}/actions"
# "EVERY field must be re-sent" (recorded); the words of a refusal are not recorded.
REQUIRED = ("public_name", "kind", "icon", "description", "template_id", "workflow_id", "ordinal", "config_data",
            "trigger_data", "precondition", "completion_condition_data", "output_interface")  # fmt: skip


def people_only(caller: Writer) -> None:
    """Setting up is for people; a credential runs into a fault.

    Raises:
        ReplyError: 500, the caller is a credential.
    """
    if caller.user_id is None:
        raise fault(500, "'NoneType' object has no attribute 'member'")


router = APIRouter()
setup = APIRouter(dependencies=[Depends(people_only)])


@setup.post(f"{ACTIONS}/workflow/new")
def workflow_new(caller: Writer, body: Body, server: Server) -> Response:
    """Make a workflow."""
    if not body.get("name"):
        raise refused({"name": "Missing name"})
    with server.database.write() as cx:
        return good(workflow=workflows.reply(workflows.new(cx, caller.project_id, str(body["name"]))))


@setup.put(f"{ACTIONS}/workflow/update")
def workflow_update(caller: Writer, body: Body, server: Server) -> Response:
    """Rename, activate or archive a workflow."""
    one_of(body.get("mode"), ["UPDATE", "ARCHIVE"])
    with server.database.write() as cx:
        row = workflows.get(cx, caller.project_id, body.get("workflow_id"))
        if row is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        name, active = str(body.get("name") or row["name"]), bool(body.get("active", row["active"]))
        workflows.update(cx, row, name, active=active, archived=body["mode"] == "ARCHIVE")
        changed = workflows.get(cx, caller.project_id, row["id"])
        reply = changed and workflows.full_reply(cx, changed)
    return JsonReply({"log": log(info={"update": "Success"}), "workflow": reply})


@setup.post(f"{ACTIONS}/workflow/{{workflow_id:int}}/action")
def action_new(caller: Writer, workflow_id: int, body: Body, server: Server) -> Response:
    """Add an action to a workflow."""
    with server.database.write() as cx:
        if workflows.get(cx, caller.project_id, workflow_id) is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        action = workflows.new_action(cx, workflow_id, body, caller.member_id)
        return _action(workflows.action_reply(cx, action))


@setup.put(f"{ACTIONS}/{{action_id:int}}")
def action_update(caller: Writer, action_id: int, body: Body, server: Server) -> Response:
    """Replace an action; what is not sent again is missing."""
    with server.database.write() as cx:
        row = workflows.get_action(cx, caller.project_id, action_id)
        if row is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        missing = {name: f"Missing {name}" for name in REQUIRED if body.get(name) is None}
        if missing:
            raise refused(missing)
        workflows.update_action(cx, row, body, caller.member_id)
        changed = workflows.get_action(cx, caller.project_id, action_id) or row
        # recorded: the moment of this very change is not in its own reply
        before = workflows.action_reply(cx, row)["time_updated"]
        return _action({**workflows.action_reply(cx, changed), "time_updated": before})


@router.get(f"{PROJECT}/action-template/list")
def template_list(caller: Reader) -> Response:
    """The kinds of action that there are."""
    return JsonReply({"action_template_list": templates.replies(caller.project["created"]), "log": log(success=False)})


@router.get(f"{PROJECT}/workflow/{{workflow_id:int}}")
def workflow_view(caller: Reader, workflow_id: int, server: Server) -> Response:
    """A workflow with its actions, tokens included."""
    with server.database.read() as cx:
        row = workflows.get(cx, caller.project_id, workflow_id)
        if row is None:
            raise fault(500, "'NoneType' object has no attribute 'id'")
        return good(workflow=workflows.full_reply(cx, row))


def _action(reply: dict[str, Any]) -> Response:
    return JsonReply({"action": reply, "log": log(success=False)})


router.include_router(setup)
