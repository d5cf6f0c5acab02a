"""Guides: what annotators are told. Not recorded; kept as the official SDK sends them."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock


def new(cx: sqlite3.Connection, project_id: int, name: object, text: object) -> sqlite3.Row:
    """Add a guide."""
    row: sqlite3.Row = cx.execute(
        "INSERT INTO guide (project_id, name, description_markdown, created) VALUES (?, ?, ?, ?) RETURNING *",
        (project_id, name, text, time.time()),
    ).fetchone()
    return row


def get(cx: sqlite3.Connection, project_id: int, guide_id: object) -> sqlite3.Row | None:
    """The guide of this id."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM guide WHERE id = ? AND project_id = ?", (guide_id, project_id)
    ).fetchone()
    return row


def attach(cx: sqlite3.Connection, job: sqlite3.Row, kind: str, guide_id: int | None) -> None:
    """Give a job its guide of a kind (``default`` or ``review``), or take it away."""
    ids = {**json.loads(job["guide_ids"]), kind: guide_id}
    cx.execute("UPDATE job SET guide_ids = ?, updated = ? WHERE id = ?", (json.dumps(ids), time.time(), job["id"]))


def attached_reply(cx: sqlite3.Connection, job: sqlite3.Row) -> dict[str, Any] | None:
    """The default guide of a job."""
    row = get(cx, job["project_id"], json.loads(job["guide_ids"]).get("default"))
    return None if row is None else reply(row)


def reply(row: sqlite3.Row) -> dict[str, Any]:
    """A guide."""
    return {
        "description_markdown": row["description_markdown"],
        "id": row["id"],
        "name": row["name"],
        "time_created": clock.spaced_seconds(row["created"]),
    }
