"""Workflows and their actions: what shall be done when something happens (recording ``12_webhooks``)."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock

CHOSEN = ("completion_condition_data", "config_data", "description", "icon", "kind", "ordinal", "output_interface",
          "precondition", "public_name", "template_id", "trigger_data")  # fmt: skip
UNUSED = (
    "brain_completion_directory", "brain_completion_directory_id", "brain_kind", "brain_run_visual",
    "child_primary_id", "condition_false_action_id", "condition_false_exists", "condition_left_operand",
    "condition_operator", "condition_right_operand", "condition_true_action_id", "condition_true_exists", "count",
    "count_confidence_threshold", "count_label_file_id", "email_body", "email_send_to", "email_subject", "is_root",
    "org_id", "output", "overlay_image_id", "overlay_kind", "overlay_label_file_id", "overlay_position",
    "overlay_size", "overlay_text", "parent_id", "root_id", "secret_webhook", "status", "time_delay", "url_to_post",
)  # fmt: skip


def new(cx: sqlite3.Connection, project_id: int, name: str) -> sqlite3.Row:
    """Add a workflow; it is not active yet."""
    cursor = cx.execute(
        "INSERT INTO workflow (project_id, name, string_id, created) VALUES (?, ?, ?, ?)",
        (project_id, name, _string_id(name), time.time()),
    )
    row: sqlite3.Row = cx.execute("SELECT * FROM workflow WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return row


def get(cx: sqlite3.Connection, project_id: int, workflow_id: object) -> sqlite3.Row | None:
    """The workflow of this id."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM workflow WHERE id = ? AND project_id = ?", (workflow_id, project_id)
    ).fetchone()
    return row


def update(cx: sqlite3.Connection, row: sqlite3.Row, name: str, *, active: bool, archived: bool = False) -> None:
    """Change a workflow; its ``string_id`` changes with every update (recorded), and its actions count as updated."""
    now = time.time()
    cx.execute(
        "UPDATE workflow SET name = ?, string_id = ?, active = ?, archived = ?, updated = ? WHERE id = ?",
        (name, _string_id(name), active, archived, now, row["id"]),
    )


def new_action(cx: sqlite3.Connection, workflow_id: int, sent: dict[str, Any], member_id: int) -> sqlite3.Row:
    """Add an action to a workflow."""
    cursor = cx.execute(
        "INSERT INTO action (workflow_id, content, member_created_id, created) VALUES (?, ?, ?, ?)",
        (workflow_id, json.dumps({name: sent.get(name) for name in CHOSEN}), member_id, time.time()),
    )
    row: sqlite3.Row = cx.execute("SELECT * FROM action WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return row


def get_action(cx: sqlite3.Connection, project_id: int, action_id: object) -> sqlite3.Row | None:
    """The action of this id."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT action.* FROM action JOIN workflow ON workflow.id = workflow_id WHERE action.id = ? AND project_id = ?",
        (action_id, project_id),
    ).fetchone()
    return row


def update_action(cx: sqlite3.Connection, row: sqlite3.Row, sent: dict[str, Any], member_id: int) -> None:
    """Replace everything that was chosen about an action."""
    cx.execute(
        "UPDATE action SET content = ?, archived = ?, member_updated_id = ?, updated = ? WHERE id = ?",
        (
            json.dumps({name: sent.get(name) for name in CHOSEN}),
            bool(sent.get("archived")),
            member_id,
            time.time(),
            row["id"],
        ),
    )


def reply(row: sqlite3.Row) -> dict[str, Any]:
    """A workflow as its creation answers."""
    return {
        "active": bool(row["active"]),
        "id": row["id"],
        "name": row["name"],
        "string_id": row["string_id"],
        "time_updated": clock.http_date(row["updated"]),
        "time_window": None,
        "trigger_type": None,
    }


def full_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A workflow with its actions."""
    actions = cx.execute(
        "SELECT * FROM action WHERE workflow_id = ? AND NOT archived ORDER BY id", (row["id"],)
    ).fetchall()
    return {**reply(row), "actions_list": [action_reply(cx, action) for action in actions]}


def action_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """An action with all its fields."""
    workflow = cx.execute("SELECT project_id FROM workflow WHERE id = ?", (row["workflow_id"],)).fetchone()
    return {
        **dict.fromkeys(UNUSED),
        **json.loads(row["content"]),
        "active": True,
        "archived": bool(row["archived"]),
        "id": row["id"],
        "member_created_id": row["member_created_id"],
        "member_updated_id": row["member_updated_id"],
        "project_id": workflow["project_id"],
        "time_created": clock.spaced_seconds(row["created"]),
        "time_updated": None if row["updated"] is None else clock.spaced_seconds(row["updated"]),
        "workflow_id": row["workflow_id"],
    }


def _string_id(name: str) -> str:
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
    return f"{name}_{''.join(secrets.choice(alphabet) for _ in range(20))}"
