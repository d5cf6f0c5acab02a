"""Jobs (task templates): what people are asked to annotate, and which files become their tasks."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from diffgram_flows.sandbox.store import files, hooks

ARCHIVED = "archived"
OUTPUT_ACTIONS = ("copy", "move", "nothing")


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
        "share_type, type, allow_reviews, cache_info, created, updated) "
        "VALUES (?, ?, 'draft', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            project_id,
            wanted.get("name") or str(now),  # no name: the recorded server makes one up from the clock
            wanted.get("label_schema_id"),
            json.dumps(members),
            json.dumps(wanted.get("reviewer_list_ids") or []),
            json.dumps(wanted.get("tag_list") or []),
            wanted.get("instance_type") or "box",
            wanted.get("share") or "project",
            wanted.get("type") or "Normal",
            bool(wanted.get("allow_reviews")),
            json.dumps({"member_list_ids": {"from_cache": True}} if members else {}),
            now,
            now,
        ),
    )
    return int(cursor.lastrowid or 0)


def attach(cx: sqlite3.Connection, job_id: int, directory_id: int, selected: str) -> None:
    """Attach a dataset to a job."""
    cx.execute("INSERT OR REPLACE INTO job_directory VALUES (?, ?, ?)", (job_id, directory_id, selected))
    cx.execute(
        "UPDATE job SET cache_info = json_remove(cache_info, '$.attached_directories_dict') WHERE id = ?", (job_id,)
    )


def update(cx: sqlite3.Connection, job_id: int, wanted: dict[str, Any], members: list[int] | None) -> None:
    """Change what a draft was made with; what is not sent or null stays."""
    columns = {"name": "name", "label_schema_id": "schema_id", "instance_type": "instance_type", "type": "type"}
    for key, column in columns.items():
        if wanted.get(key) is not None:
            cx.execute(f"UPDATE job SET {column} = ? WHERE id = ?", (wanted[key], job_id))  # noqa: S608 - a name of ours
    if members is not None:
        cx.execute("UPDATE job SET member_ids = ? WHERE id = ?", (json.dumps(members), job_id))
    if wanted.get("tag_list") is not None:
        cx.execute("UPDATE job SET tags = ? WHERE id = ?", (json.dumps(wanted["tag_list"]), job_id))
    cx.execute("UPDATE job SET updated = ? WHERE id = ?", (time.time(), job_id))


def set_output(cx: sqlite3.Connection, job_id: int, action: str, directory_id: int | None) -> None:
    """Say what becomes of the file of a completed task: copied or moved into a dataset, or nothing."""
    cx.execute(
        "UPDATE job SET output_dir_action = ?, completion_directory_id = ?, updated = ? WHERE id = ?",
        (action, directory_id, time.time(), job_id),
    )


def archive(cx: sqlite3.Connection, job_id: int) -> None:
    """Put a job away: it and its tasks are archived, its datasets no longer attached (recorded)."""
    now = time.time()
    cx.execute("UPDATE job SET status = ?, updated = ? WHERE id = ?", (ARCHIVED, now, job_id))
    cx.execute("UPDATE task SET status = ?, updated = ? WHERE job_id = ?", (ARCHIVED, now, job_id))
    cx.execute("UPDATE job_directory SET selected = ? WHERE job_id = ?", (ARCHIVED, job_id))
    cx.execute("DELETE FROM event WHERE job_id = ?", (job_id,))


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


def launch(cx: sqlite3.Connection, job_id: int, delay: float, member_id: int | None = None) -> None:
    """Make a draft active; its tasks follow later."""
    now = time.time()
    cx.execute("UPDATE job SET status = 'active', launched = ?, updated = ? WHERE id = ?", (now, now, job_id))
    cx.execute("INSERT INTO event (due, job_id, member_id) VALUES (?, ?, ?)", (now + delay, job_id, member_id))


def add_files(
    cx: sqlite3.Connection, job: sqlite3.Row, file_ids: list[int], delay: float, member_id: int | None = None
) -> None:
    """Link files to a job. Tasks follow later if it is active; a draft makes them when it is launched.

    What a complete job does with new files is not recorded; here it makes no tasks, the worse case for a client.
    """
    cx.executemany("INSERT OR IGNORE INTO job_file VALUES (?, ?)", [(job["id"], each) for each in file_ids])
    if job["status"] == "active":
        cx.execute(
            "INSERT INTO event (due, job_id, file_ids, member_id) VALUES (?, ?, ?, ?)",
            (time.time() + delay, job["id"], json.dumps(file_ids), member_id),
        )


def file_arrived(cx: sqlite3.Connection, directory_id: int, file_id: int, job_id: int | None, delay: float) -> None:
    """An import put a file into a dataset: drafts and active jobs in sync with it, and the packet's job, take it.

    Whether a dataset attached to a complete job still makes tasks is not recorded; here it does not.
    """
    rows = cx.execute(
        "SELECT job.* FROM job LEFT JOIN job_directory ON job_id = job.id AND directory_id = ? AND selected = 'sync' "
        "WHERE job.id = ? OR (status IN ('draft', 'active') AND directory_id IS NOT NULL)",
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
            made = cx.execute(
                "INSERT OR IGNORE INTO task (job_id, project_id, file_id, directory_id, status, created, updated) "
                "VALUES (?, ?, ?, ?, 'available', ?, ?) RETURNING *",
                (job["id"], job["project_id"], file_id, files.home(cx, file_id), now, now),
            ).fetchone()
            if made is not None:
                hooks.task_changed(cx, "task_created", made, event["member_id"])
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


def complete_if_done(cx: sqlite3.Connection, job_id: int, member_id: int | None = None) -> None:
    """A job whose every task is complete, and that waits for no more, is complete."""
    done = cx.execute(
        "UPDATE job SET status = 'complete', updated = ? WHERE id = ? AND status = 'active' "
        "AND EXISTS (SELECT 1 FROM task WHERE job_id = job.id) "
        "AND NOT EXISTS (SELECT 1 FROM task WHERE job_id = job.id AND status != 'complete') "
        "AND NOT EXISTS (SELECT 1 FROM event WHERE job_id = job.id) RETURNING *",
        (time.time(), job_id),
    ).fetchone()
    if done is not None:
        hooks.job_completed(cx, done, member_id)


def counts(cx: sqlite3.Connection, job_id: int) -> Counts:
    """How far a job is; archived tasks do not count."""
    rows = cx.execute(
        "SELECT status, count(*) AS n FROM task WHERE job_id = ? AND status != ? GROUP BY status", (job_id, ARCHIVED)
    )
    by_status: dict[str, int] = {row["status"]: row["n"] for row in rows}
    others = (by_status.get(status, 0) for status in ("complete", "in_progress", "in_review", "requires_changes"))
    return Counts(sum(by_status.values()), *others)
