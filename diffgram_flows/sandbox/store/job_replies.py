"""Jobs as the recorded server shows them: at their creation, in lists, on their own, inside tasks and exports."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.store import directories, guides, labels
from diffgram_flows.sandbox.store.jobs import counts


def stat_reply(cx: sqlite3.Connection, job_id: int) -> dict[str, int]:
    """The counts of a job, and how many instances people made at its tasks."""
    tally = counts(cx, job_id)
    drawn = cx.execute(
        "SELECT count(*) AS n FROM instance JOIN task ON task.id = instance.task_id WHERE job_id = ?", (job_id,)
    ).fetchone()
    return {
        "completed": tally.complete,
        "in_progress": tally.in_progress,
        "in_review": tally.in_review,
        "instances_created": drawn["n"],
        "requires_changes": tally.requires_changes,
        "total": tally.total,
    }


def short_reply(row: sqlite3.Row) -> dict[str, Any]:
    """A job as its creation answers."""
    return {
        "created_time": clock.http_date(row["created"]),
        "id": row["id"],
        "name": row["name"],
        "status": row["status"],
    }


def task_job_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A job inside one of its tasks."""
    return {
        "allow_reviews": bool(row["allow_reviews"]),
        "id": row["id"],
        "is_pinned": False,
        "label_schema": _schema_reply(cx, row),
        "label_schema_id": row["schema_id"],
        "name": row["name"],
        "time_created": clock.http_date(row["created"]),
        "type": row["type"],
    }


def info_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A job as ``builder/info`` shows it, with 37 fields."""
    tally = counts(cx, row["id"])
    _caches(cx, row, "attached_directories_dict", "member_list_ids", "reviewer_list_ids")
    empty = ("default_userscript", "exam", "file_count", "interface_connection", "interface_connection_id",
             "launch_datetime_deferred", "time_completed", "ui_schema", "ui_schema_id", "user_to_job")  # fmt: skip
    return {
        **dict.fromkeys(empty),
        "attached_directories_dict": _attached_reply(cx, row["id"]),
        "completion_directory_id": row["completion_directory_id"],
        "external_mappings": [],
        "file_count_statistic": _file_count(cx, row, tally.total),
        "guide": guides.attached_reply(cx, row),
        "id": row["id"],
        "is_live": True,
        "label_dict": _label_dict(cx, row),
        "label_schema": _schema_reply(cx, row),
        "label_schema_id": row["schema_id"],
        "launch_attempt_log": {},
        "launch_datetime": clock.http_date(row["launched"]),
        "member_list_ids": json.loads(row["member_ids"]),
        "name": row["name"],
        "output_dir_action": row["output_dir_action"],
        "pending_initial_dir_sync": False,
        "percent_completed": tally.complete / tally.total * 100 if tally.total else 0,
        "pro_network": False,
        "reviewer_list_ids": json.loads(row["reviewer_ids"]),
        "share_type": row["share_type"],
        "stat_count_complete": tally.complete,
        "stat_count_tasks": tally.total,
        "status": row["status"],
        "tasks_remaining": tally.total - tally.complete,
        "time_created": clock.http_date(row["created"]),
        "type": row["type"],
        "waiting_to_be_launched": False,
    }


def list_reply(cx: sqlite3.Connection, row: sqlite3.Row, *, with_tags: bool) -> dict[str, Any]:
    """A job as ``job/list`` shows it, with 27 fields, and with its tags."""
    caches = _caches(cx, row, "attached_directories_dict", "member_list_ids")
    tags = {"tags": json.loads(row["tags"])} if with_tags else {}
    return {
        **_listed(cx, row),
        **tags,
        "attached_directories_dict": _attached_reply(cx, row["id"]),
        "cache_info": caches,
        "label_schema": _schema_reply(cx, row),
        "member_list_ids": json.loads(row["member_ids"]),
    }


def export_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A job inside an export: what is cached about it is not looked at."""
    hidden = dict.fromkeys(("attached_directories_dict", "label_schema", "member_list_ids"))
    return {**_listed(cx, row), **hidden, "cache_info": json.loads(row["cache_info"])}


def _listed(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    tally = counts(cx, row["id"])
    draft = row["launched"] is None
    output = directories.get(cx, row["project_id"], row["completion_directory_id"])
    files = _file_count(cx, row, tally.total)
    return {
        "completion_directory": directories.named_reply(output) or {"id": None, "nickname": None},
        "completion_directory_id": row["completion_directory_id"],
        "file_count_statistic": files,
        "id": row["id"],
        "instance_type": row["instance_type"],
        "interface_connection": None,
        "is_live": True,
        "is_pinned": False,
        "label_dict": _label_dict(cx, row),
        "label_schema_id": row["schema_id"],
        "launch_datetime": clock.spaced(row["launched"]),
        "name": row["name"],
        "output_dir_action": row["output_dir_action"],
        "share_type": row["share_type"],
        "stat_count_available": None if draft else tally.total - tally.complete,
        "stat_count_complete": tally.complete,
        "stat_count_tasks": None if files is None else tally.total,
        "status": row["status"],
        "time_completed": "None",
        "time_created": clock.spaced(row["created"]),
        "time_updated": clock.spaced(row["updated"]),
        "type": row["type"],
        "waiting_to_be_launched": False,
    }


def _file_count(cx: sqlite3.Connection, row: sqlite3.Row, tasks: int) -> int | None:
    """Files of a job: a draft counts those that arrived since it was made, and knows of none before the first."""
    if row["launched"] is not None:
        return tasks
    arrived = cx.execute("SELECT count(*) AS n FROM job_file WHERE job_id = ?", (row["id"],)).fetchone()["n"]
    return arrived or None


def _caches(cx: sqlite3.Connection, row: sqlite3.Row, *wanted: str) -> dict[str, Any]:
    """Which parts of a reply were cached. What was not is from now on, and says since when (recorded)."""
    stored: dict[str, Any] = json.loads(row["cache_info"])
    now = time.time()
    fresh = {key: {"from_cache": False, "regenerate_datetime": clock.iso(now)} for key in wanted if key not in stored}
    if fresh:
        cx.execute(
            "UPDATE job SET cache_info = ?, updated = ? WHERE id = ?", (json.dumps(stored | fresh), now, row["id"])
        )
    return stored | {key: {**stored[key], "from_cache": True} for key in wanted if key in stored} | fresh


def _attached_reply(cx: sqlite3.Connection, job_id: int) -> dict[str, Any]:
    rows = cx.execute(
        "SELECT directory_id, nickname, selected FROM job_directory JOIN directory ON directory.id = directory_id "
        "WHERE job_id = ? ORDER BY directory_id",
        (job_id,),
    )
    return {"attached_directories_list": [dict(row) for row in rows]}


def _label_dict(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    if row["launched"] is None:
        return {"label_file_colour_map": {}, "label_file_list_serialized": []}
    return labels.label_dict(cx, row["project_id"], row["schema_id"], row["launched"])


def _schema_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any] | None:
    if row["schema_id"] is None:
        return None
    schema = labels.schema(cx, row["project_id"], row["schema_id"])
    return None if schema is None else labels.schema_reply(schema)


def incoming_reply(cx: sqlite3.Connection, project_id: int, directory_id: int | None) -> dict[str, Any] | None:
    """The dataset from which a task's file came."""
    return directories.named_reply(directories.get(cx, project_id, directory_id))
