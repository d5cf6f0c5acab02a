"""Datasets, which the server calls directories."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock


def new(cx: sqlite3.Connection, project_id: int, nickname: str) -> int:
    """Add a dataset and return its id.

    Raises:
        sqlite3.IntegrityError: The project has a dataset of this name.
    """
    cursor = cx.execute(
        "INSERT INTO directory (project_id, nickname, created) VALUES (?, ?, ?)", (project_id, nickname, time.time())
    )
    cx.execute("UPDATE project SET directories_cached = 0 WHERE id = ?", (project_id,))
    return int(cursor.lastrowid or 0)


def get(cx: sqlite3.Connection, project_id: int, directory_id: object) -> sqlite3.Row | None:
    """The dataset of this id."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM directory WHERE id = ? AND project_id = ?", (directory_id, project_id)
    ).fetchone()
    return row


def named(cx: sqlite3.Connection, project_id: int, nickname: str) -> sqlite3.Row | None:
    """The dataset of exactly this name."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM directory WHERE nickname = ? AND project_id = ?", (nickname, project_id)
    ).fetchone()
    return row


def listed(cx: sqlite3.Connection, project_id: int, part: str, limit: int) -> list[sqlite3.Row]:
    """Datasets whose name contains a part in any case, newest first."""
    return cx.execute(
        "SELECT * FROM directory WHERE project_id = ? AND instr(lower(nickname), lower(?)) ORDER BY id DESC LIMIT ?",
        (project_id, part, limit),
    ).fetchall()


def reply(row: sqlite3.Row) -> dict[str, Any]:
    """A dataset in lists and on its own."""
    return {
        "created_time": clock.iso(row["created"]),
        "directory_id": row["id"],
        "has_changes": None,
        "id": row["id"],
        "jobs_to_sync": {"job_ids": []},
        "nickname": row["nickname"],
    }


def short_reply(row: sqlite3.Row) -> dict[str, Any]:
    """A dataset inside a project."""
    return {
        "created_time": clock.iso(row["created"]),
        "directory_id": row["id"],
        "jobs_to_sync": {"job_ids": []},
        "nickname": row["nickname"],
        "project_id": row["project_id"],
    }


def named_reply(row: sqlite3.Row | None) -> dict[str, Any] | None:
    """A dataset inside an import or a task."""
    return None if row is None else {"id": row["id"], "nickname": row["nickname"]}
