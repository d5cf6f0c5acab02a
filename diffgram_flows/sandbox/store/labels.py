"""Label schemas, labels, and the label files that instances refer to."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock

DEFAULT_COLOUR = {
    "a": 1,
    "hex": "#00FF80",
    "hsl": {"a": 1, "h": 150, "l": 0.5, "s": 1},
    "hsv": {"a": 1, "h": 150, "s": 1, "v": 1},
    "oldHue": 150,
    "rgba": {"a": 1, "b": 128, "g": 255, "r": 0},
    "source": "hsva",
}


def new_schema(
    cx: sqlite3.Connection, project_id: int, name: str, member_id: int | None, *, is_default: bool = False
) -> int:
    """Add a schema and return its id."""
    cursor = cx.execute(
        "INSERT INTO label_schema (project_id, name, is_default, member_created_id, created) VALUES (?, ?, ?, ?, ?)",
        (project_id, name, is_default, member_id, time.time()),
    )
    return int(cursor.lastrowid or 0)


def schemas(cx: sqlite3.Connection, project_id: int) -> list[sqlite3.Row]:
    """All schemas of a project, the default one first."""
    return cx.execute("SELECT * FROM label_schema WHERE project_id = ? ORDER BY id", (project_id,)).fetchall()


def schema(cx: sqlite3.Connection, project_id: int, schema_id: object) -> sqlite3.Row | None:
    """One schema; no id means the default one."""
    found = schemas(cx, project_id)
    if schema_id is None:
        return found[0]
    return next((row for row in found if str(row["id"]) == str(schema_id)), None)


def new_label(cx: sqlite3.Connection, project_id: int, schema_id: int, name: str, colour: Any) -> sqlite3.Row:
    """Add a label file. Nothing looks for one of the same name: a second one is made (contract section 4)."""
    cx.execute("INSERT OR IGNORE INTO label (name) VALUES (?)", (name,))
    now = time.time()
    cursor = cx.execute(
        "INSERT INTO file (project_id, type, hash, created, updated, label_id, schema_id, colour) "
        "SELECT ?, 'label', ?, ?, ?, id, ?, ? FROM label WHERE name = ?",
        (
            project_id,
            hashlib.sha256(name.encode()).hexdigest(),
            now,
            now,
            schema_id,
            json.dumps(colour or DEFAULT_COLOUR),
            name,
        ),
    )
    return label_files(cx, project_id, file_id=cursor.lastrowid)[0]


def label_files(
    cx: sqlite3.Connection, project_id: int, *, schema_id: int | None = None, file_id: int | None = None
) -> list[sqlite3.Row]:
    """Label files with their names, oldest first."""
    return cx.execute(
        "SELECT file.*, label.name FROM file JOIN label ON label.id = file.label_id WHERE project_id = ? "
        "AND type = 'label' AND (? IS NULL OR schema_id = ?) AND (? IS NULL OR file.id = ?) ORDER BY file.id",
        (project_id, schema_id, schema_id, file_id, file_id),
    ).fetchall()


def colours(found: list[sqlite3.Row]) -> dict[str, Any]:
    """Label file id to colour."""
    return {str(row["id"]): json.loads(row["colour"]) for row in found}


def label_dict(cx: sqlite3.Connection, project_id: int, schema_id: int | None, until: float | None) -> dict[str, Any]:
    """The labels of a schema as a job and its tasks carry them: those that were there when it was launched."""
    found = [
        row for row in label_files(cx, project_id, schema_id=schema_id) if until is None or row["created"] <= until
    ]
    return {
        "label_file_colour_map": colours(found),
        "label_file_list": [row["id"] for row in found],
        "label_file_list_serialized": [label_reply(row) for row in found],
    }


def schema_reply(row: sqlite3.Row) -> dict[str, Any]:
    """A schema."""
    return {
        "archived": False,
        "id": row["id"],
        "is_default": bool(row["is_default"]),
        "member_created_id": row["member_created_id"],
        "member_updated_id": None,
        "name": row["name"],
        "project_id": row["project_id"],
        "time_created": clock.spaced_seconds(row["created"]),
        "time_updated": None,
    }


def label_reply(row: sqlite3.Row) -> dict[str, Any]:
    """A label file: its own ``id`` is the label *file* id, ``label.id`` is of no use to clients."""
    return {
        "ann_is_complete": None,
        "bucket_name": None,
        "colour": json.loads(row["colour"]),
        "connection_id": None,
        "count_instances_changed": None,
        "created_time": clock.iso(row["created"]),
        "hash": row["hash"],
        "id": row["id"],
        "label": {"id": row["label_id"], "name": row["name"]},
        "ordinal": 0,
        "original_filename": None,
        "state": "added",
        "time_last_updated": clock.iso(row["updated"]),
        "type": "label",
        "video_id": None,
        "video_parent_file_id": None,
    }
