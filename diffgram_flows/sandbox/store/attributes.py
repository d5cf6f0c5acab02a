"""Attributes of instances: groups (questions), their options (answers), and the labels that they belong to.

What instances carry as ``attribute_groups`` is stored as sent: no group or option is looked up (contract section 4).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.store import labels

#: What an update may set.
FIELDS = (
    "name", "prompt", "kind", "is_global", "global_type", "show_prompt", "default_id", "default_value", "min_value",
    "max_value",
)  # fmt: skip
UNPLACED = 99_999


def new_group(cx: sqlite3.Connection, project_id: int, schema_id: int) -> int:
    """Add an empty group and return its id."""
    cursor = cx.execute(
        "INSERT INTO attribute_group (project_id, schema_id, ordinal) VALUES (?, ?, ?)",
        (project_id, schema_id, UNPLACED),
    )
    return int(cursor.lastrowid or 0)


def group(cx: sqlite3.Connection, project_id: int, group_id: object) -> sqlite3.Row | None:
    """The group of this id."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM attribute_group WHERE id = ? AND project_id = ?", (group_id, project_id)
    ).fetchone()
    return row


def groups(cx: sqlite3.Connection, project_id: int, schema_id: int | None = None) -> list[sqlite3.Row]:
    """The groups of a schema, or of all of them."""
    return cx.execute(
        "SELECT * FROM attribute_group WHERE project_id = ? AND (? IS NULL OR schema_id = ?) ORDER BY id",
        (project_id, schema_id, schema_id),
    ).fetchall()


def update_group(cx: sqlite3.Connection, group_id: int, wanted: dict[str, Any]) -> None:
    """Set the fields that are given; an update also takes the group from the end of the list to its front."""
    given = {name: wanted[name] for name in FIELDS if name in wanted}
    given |= {"ordinal": wanted.get("ordinal") or 0, "updated": time.time()}
    changes = ", ".join(f"{name} = ?" for name in given)
    cx.execute(f"UPDATE attribute_group SET {changes} WHERE id = ?", (*given.values(), group_id))  # noqa: S608 - own text


def set_labels(cx: sqlite3.Connection, group_id: int, label_file_ids: Iterable[int]) -> None:
    """Say to which labels a group belongs."""
    cx.execute("DELETE FROM attribute_group_label WHERE group_id = ?", (group_id,))
    for place, label_file_id in enumerate(label_file_ids):
        cx.execute("INSERT OR IGNORE INTO attribute_group_label VALUES (?, ?, ?)", (group_id, label_file_id, place))


def new_option(cx: sqlite3.Connection, group_id: int, name: str | None) -> sqlite3.Row:
    """Add an option to a group."""
    cursor = cx.execute("INSERT INTO attribute_option (group_id, name) VALUES (?, ?)", (group_id, name))
    row: sqlite3.Row = cx.execute("SELECT * FROM attribute_option WHERE id = ?", (cursor.lastrowid,)).fetchone()
    return row


def group_reply(row: sqlite3.Row) -> dict[str, Any]:
    """A group without its options."""
    same = ("default_id", "default_value", "global_type", "id", "kind", "max_value", "min_value", "name", "prompt")
    return {
        **{name: row[name] for name in same},
        "is_global": bool(row["is_global"]),
        "is_read_only": False,
        "is_root": True,
        "ordinal": row["ordinal"],
        "show_prompt": bool(row["show_prompt"]),
        "time_updated": clock.spaced(row["updated"]),
    }


def listed_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A group with its options."""
    options = cx.execute("SELECT * FROM attribute_option WHERE group_id = ? ORDER BY id", (row["id"],)).fetchall()
    return {**group_reply(row), "attribute_template_list": [option_reply(option) for option in options]}


def labelled_replies(
    cx: sqlite3.Connection, project_id: int, schema_id: int | None = None, *, is_global: bool = False
) -> list[dict[str, Any]]:
    """The groups with options and labels: in lists of labels, and as ``attribute_groups_reference`` of exports."""
    known = {row["id"]: labels.label_reply(row) for row in labels.label_files(cx, project_id)}
    return [
        {**listed_reply(cx, row), "label_file_list": [known[each] for each in _label_file_ids(cx, row["id"])]}
        for row in groups(cx, project_id, schema_id)
        if bool(row["is_global"]) == is_global
    ]


def _label_file_ids(cx: sqlite3.Connection, group_id: int) -> list[int]:
    found = cx.execute(
        "SELECT label_file_id FROM attribute_group_label WHERE group_id = ? ORDER BY ordinal", (group_id,)
    )
    return [row["label_file_id"] for row in found]


def option_reply(row: sqlite3.Row) -> dict[str, Any]:
    """An option."""
    return {
        "archived": False,
        "display_order": None,
        "group_id": row["group_id"],
        "id": row["id"],
        "name": row["name"],
        "parent_id": None,
        "value_type": None,
    }
