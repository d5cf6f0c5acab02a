"""Jobs (task templates): what people are asked to annotate, and which files become their tasks."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.store import directories, files, labels


@dataclass(frozen=True, slots=True)
class Counts:
    """Tasks of a job by status."""

    total: int
    complete: int
    in_progress: int
    in_review: int
    requires_changes: int


def new(cx: sqlite3.Connection, project_id: int, wanted: dict[str, Any], members: list[int]) -> int:
    """Add a draft and return its id; ``members`` are those of the wanted ones that exist."""
    now = time.time()
    cursor = cx.execute(
        "INSERT INTO job (project_id, name, status, schema_id, member_ids, reviewer_ids, tags, instance_type, "
        "share_type, type, allow_reviews, created, updated) VALUES (?, ?, 'draft', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            project_id,
            wanted.get("name") or str(now),  # no name: the recorded server makes one up from the clock
            wanted.get("label_schema_id"),
            json.dumps(members),
            json.dumps(wanted.get("reviewer_list_ids") or []),
            json.dumps(wanted.get("tag_list") or []),
            wanted.get("instance_type"),
            wanted.get("share") or "project",
            wanted.get("type") or "Normal",
            bool(wanted.get("allow_reviews")),
            now,
            now,
        ),
    )
    return int(cursor.lastrowid or 0)


def attach(cx: sqlite3.Connection, job_id: int, directory_id: int, selected: str) -> None:
    """Attach a dataset to a job."""
    cx.execute("INSERT OR REPLACE INTO job_directory VALUES (?, ?, ?)", (job_id, directory_id, selected))


def get(cx: sqlite3.Connection, job_id: object) -> sqlite3.Row | None:
    """The job of this id, in any project."""
    row: sqlite3.Row | None = cx.execute("SELECT * FROM job WHERE id = ?", (job_id,)).fetchone()
    return row


def listed(cx: sqlite3.Connection, project_id: int, wanted: dict[str, Any]) -> list[sqlite3.Row]:
    """Jobs of a project, newest first, by name part, statuses and tags."""
    statuses = wanted.get("status") or ["All"]
    statuses = [statuses] if isinstance(statuses, str) else statuses
    search, tags = str(wanted.get("search") or "").lower(), set(wanted.get("tag_list") or [])
    rows = cx.execute("SELECT * FROM job WHERE project_id = ? ORDER BY id DESC", (project_id,)).fetchall()
    return [
        row
        for row in rows
        if ("All" in statuses or row["status"] in statuses)
        and search in row["name"].lower()
        and (not tags or tags & set(json.loads(row["tags"])))
    ]


def launch(cx: sqlite3.Connection, job_id: int, delay: float) -> None:
    """Make a draft active; its tasks follow later."""
    now = time.time()
    cx.execute("UPDATE job SET status = 'active', launched = ?, updated = ? WHERE id = ?", (now, now, job_id))
    cx.execute("INSERT INTO event (due, job_id) VALUES (?, ?)", (now + delay, job_id))


def add_files(cx: sqlite3.Connection, job: sqlite3.Row, file_ids: list[int], delay: float) -> None:
    """Link files to a job. Tasks follow later if it is active; a draft makes them when it is launched.

    What a complete job does with new files is not recorded; here it makes no tasks, the worse case for a client.
    """
    cx.executemany("INSERT OR IGNORE INTO job_file VALUES (?, ?)", [(job["id"], each) for each in file_ids])
    if job["status"] == "active":
        cx.execute(
            "INSERT INTO event (due, job_id, file_ids) VALUES (?, ?, ?)",
            (time.time() + delay, job["id"], json.dumps(file_ids)),
        )


def file_arrived(cx: sqlite3.Connection, directory_id: int, file_id: int, job_id: int | None, delay: float) -> None:
    """An import put a file into a dataset: active jobs that are in sync with it, and the packet's job, take it.

    Whether a dataset attached to a complete job still makes tasks is not recorded; here it does not.
    """
    rows = cx.execute(
        "SELECT job.* FROM job LEFT JOIN job_directory ON job_id = job.id AND directory_id = ? AND selected = 'sync' "
        "WHERE job.id = ? OR (status = 'active' AND directory_id IS NOT NULL)",
        (directory_id, job_id),
    ).fetchall()
    for row in rows:
        add_files(cx, row, [file_id], delay)


def make_tasks(cx: sqlite3.Connection, event: sqlite3.Row) -> None:
    """Carry out what :func:`launch` and :func:`add_files` announced. A file has one task in a job, however it came."""
    job = get(cx, event["job_id"])
    if job is not None and job["status"] == "active":
        wanted = json.loads(event["file_ids"]) if event["file_ids"] else _all_files(cx, job["id"])
        for file_id in wanted:
            now = time.time()
            cx.execute(
                "INSERT OR IGNORE INTO task (job_id, project_id, file_id, directory_id, status, created, updated) "
                "VALUES (?, ?, ?, ?, 'available', ?, ?)",
                (job["id"], job["project_id"], file_id, files.home(cx, file_id), now, now),
            )
            cx.execute("UPDATE file SET ann_is_complete = 0 WHERE id = ? AND ann_is_complete IS NULL", (file_id,))
    cx.execute("DELETE FROM event WHERE id = ?", (event["id"],))
    complete_if_done(cx, event["job_id"])


def _all_files(cx: sqlite3.Connection, job_id: int) -> list[int]:
    rows = cx.execute(
        "SELECT file_id FROM job_file WHERE job_id = :job UNION "
        "SELECT placement.file_id FROM placement JOIN job_directory USING (directory_id) WHERE job_id = :job "
        "ORDER BY file_id",
        {"job": job_id},
    )
    return [row["file_id"] for row in rows]


def complete_if_done(cx: sqlite3.Connection, job_id: int) -> None:
    """A job whose every task is complete, and that waits for no more, is complete."""
    cx.execute(
        "UPDATE job SET status = 'complete', updated = ? WHERE id = ? AND status = 'active' "
        "AND EXISTS (SELECT 1 FROM task WHERE job_id = job.id) "
        "AND NOT EXISTS (SELECT 1 FROM task WHERE job_id = job.id AND status != 'complete') "
        "AND NOT EXISTS (SELECT 1 FROM event WHERE job_id = job.id)",
        (time.time(), job_id),
    )


def counts(cx: sqlite3.Connection, job_id: int) -> Counts:
    """How far a job is."""
    rows = cx.execute("SELECT status, count(*) AS n FROM task WHERE job_id = ? GROUP BY status", (job_id,))
    by_status: dict[str, int] = {row["status"]: row["n"] for row in rows}
    others = (by_status.get(status, 0) for status in ("complete", "in_progress", "in_review", "requires_changes"))
    return Counts(sum(by_status.values()), *others)


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
    draft = row["launched"] is None
    empty = ("completion_directory_id", "default_userscript", "exam", "file_count", "guide", "interface_connection",
             "interface_connection_id", "launch_datetime_deferred", "time_completed", "ui_schema", "ui_schema_id",
             "user_to_job")  # fmt: skip
    return {
        **dict.fromkeys(empty),
        "attached_directories_dict": _attached_reply(cx, row["id"]),
        "external_mappings": [],
        "file_count_statistic": None if draft else tally.total,
        "id": row["id"],
        "is_live": True,
        "label_dict": _label_dict(cx, row),
        "label_schema": _schema_reply(cx, row),
        "label_schema_id": row["schema_id"],
        "launch_attempt_log": {},
        "launch_datetime": clock.http_date(row["launched"]),
        "member_list_ids": json.loads(row["member_ids"]),
        "name": row["name"],
        "output_dir_action": "nothing",
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
    tally = counts(cx, row["id"])
    draft = row["launched"] is None
    cached = {"from_cache": False, "regenerate_datetime": clock.iso(row["updated"])}
    caches = {"attached_directories_dict": cached, "member_list_ids": {"from_cache": True}}
    tags = {"tags": json.loads(row["tags"])} if with_tags else {}
    return {
        **tags,
        "attached_directories_dict": _attached_reply(cx, row["id"]),
        "cache_info": caches if draft else {**caches, "reviewer_list_ids": cached},
        "completion_directory": {"id": None, "nickname": None},
        "completion_directory_id": None,
        "file_count_statistic": None if draft else tally.total,
        "id": row["id"],
        "instance_type": row["instance_type"],
        "interface_connection": None,
        "is_live": True,
        "is_pinned": False,
        "label_dict": _label_dict(cx, row),
        "label_schema": _schema_reply(cx, row),
        "label_schema_id": row["schema_id"],
        "launch_datetime": clock.spaced(row["launched"]),
        "member_list_ids": json.loads(row["member_ids"]),
        "name": row["name"],
        "output_dir_action": "nothing",
        "share_type": row["share_type"],
        "stat_count_available": None if draft else tally.total - tally.complete,
        "stat_count_complete": tally.complete,
        "stat_count_tasks": None if draft else tally.total,
        "status": row["status"],
        "time_completed": "None",
        "time_created": clock.spaced(row["created"]),
        "time_updated": clock.spaced(row["updated"]),
        "type": row["type"],
        "waiting_to_be_launched": False,
    }


def export_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A job inside an export."""
    hidden = dict.fromkeys(("attached_directories_dict", "label_schema", "member_list_ids"))
    return {**list_reply(cx, row, with_tags=False), **hidden}


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
    return labels.label_dict(cx, row["project_id"], row["schema_id"])


def _schema_reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any] | None:
    if row["schema_id"] is None:
        return None
    schema = labels.schema(cx, row["project_id"], row["schema_id"])
    return None if schema is None else labels.schema_reply(schema)


def incoming_reply(cx: sqlite3.Connection, project_id: int, directory_id: int | None) -> dict[str, Any] | None:
    """The dataset from which a task's file came."""
    return directories.named_reply(directories.get(cx, project_id, directory_id))
