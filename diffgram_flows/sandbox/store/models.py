"""Models and model runs: rows that imported predictions bring into being."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock


def resolve(cx: sqlite3.Connection, project_id: int, instance: dict[str, Any]) -> None:
    """Give an instance of a packet the numeric ids of its model and run, making the rows that are missing.

    A run without a model is dropped; a numeric ``model_id`` makes a nameless model (contract section 10).
    """
    if instance.get("model_ref"):
        instance["model_id"] = _model(cx, project_id, str(instance["model_ref"]))
        if instance.get("model_run_ref"):
            instance["model_run_id"] = _run(cx, project_id, instance["model_id"], str(instance["model_run_ref"]))
    elif instance.get("model_id") is not None:
        instance["model_id"] = cx.execute("INSERT INTO model (project_id) VALUES (?)", (project_id,)).lastrowid


def existing(cx: sqlite3.Connection, project_id: int, instance: dict[str, Any]) -> dict[str, Any]:
    """The instance with only those numeric model and run ids that exist, as the synchronous route takes them."""
    kept = dict(instance)
    for table, key in (("model", "model_id"), ("model_run", "model_run_id")):
        found = cx.execute(
            f"SELECT 1 FROM {table} WHERE id = ? AND project_id = ?",  # noqa: S608 - a table name of ours
            (str(instance.get(key)), project_id),
        ).fetchone()
        if found is None:
            kept[key] = None
    return kept


def runs(cx: sqlite3.Connection, project_id: int, ids: list[Any] | None) -> list[dict[str, Any]]:
    """Model runs as they are listed, all of them or those of these ids."""
    rows = cx.execute("SELECT * FROM model_run WHERE project_id = ? ORDER BY id", (project_id,)).fetchall()
    return [_reply(row) for row in rows if ids is None or row["id"] in ids]


def _model(cx: sqlite3.Connection, project_id: int, reference: str) -> int:
    row = cx.execute(
        "SELECT id FROM model WHERE project_id = ? AND reference_id = ?", (project_id, reference)
    ).fetchone()
    if row is not None:
        return int(row["id"])
    cursor = cx.execute("INSERT INTO model (project_id, reference_id) VALUES (?, ?)", (project_id, reference))
    return int(cursor.lastrowid or 0)


def _run(cx: sqlite3.Connection, project_id: int, model_id: int, reference: str) -> int:
    row = cx.execute(
        "SELECT id FROM model_run WHERE model_id = ? AND reference_id = ?", (model_id, reference)
    ).fetchone()
    if row is not None:
        return int(row["id"])
    cursor = cx.execute(
        "INSERT INTO model_run (project_id, model_id, reference_id, created) VALUES (?, ?, ?, ?)",
        (project_id, model_id, reference, time.time()),
    )
    return int(cursor.lastrowid or 0)


def _reply(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "created_time": clock.http_date(row["created"]),
        "deleted_time": None,
        "id": row["id"],
        "last_updated_time": None,
        "member_created_id": None,
        "member_updated_id": None,
        "model_id": row["model_id"],
        "project_id": row["project_id"],
        "reference_id": row["reference_id"],
    }
