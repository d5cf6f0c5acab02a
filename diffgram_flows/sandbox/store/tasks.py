"""Tasks: one file of a job, for one person to annotate."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.store import files, jobs, labels

FILTERS = {"job_id": "job_id = ?", "file_id": "file_id = ?", "status": "status = ?"}


def get(cx: sqlite3.Connection, task_id: object) -> sqlite3.Row | None:
    """The task of this id, in any project."""
    row: sqlite3.Row | None = cx.execute("SELECT * FROM task WHERE id = ?", (task_id,)).fetchone()
    return row


def listed(
    cx: sqlite3.Connection, project_id: int, wanted: dict[str, Any], limit: int, page: int
) -> tuple[list[sqlite3.Row], int]:
    """One page of tasks, oldest first, and how many there are in all; pages count from 0."""
    given = {name: value for name, value in wanted.items() if name in FILTERS and value not in (None, "all", "")}
    where = " AND ".join(["project_id = ?", *(FILTERS[name] for name in given)])
    values = (project_id, *given.values())
    total = cx.execute(f"SELECT count(*) AS n FROM task WHERE {where}", values).fetchone()["n"]  # noqa: S608
    rows = cx.execute(
        f"SELECT * FROM task WHERE {where} ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608 - our own text
        (*values, limit, page * limit),
    ).fetchall()
    return rows, int(total)


def finish(cx: sqlite3.Connection, task: sqlite3.Row, user_id: int) -> None:
    """A person is done with a task; in a job with reviews it goes to review first."""
    job = jobs.get(cx, task["job_id"])
    if job is not None and job["allow_reviews"] and task["status"] not in ("in_review", "complete"):
        _send_to_review(cx, task, json.loads(job["reviewer_ids"]) or [user_id], user_id)
    else:
        complete(cx, task)


def complete(cx: sqlite3.Connection, task: sqlite3.Row) -> None:
    """Set a task to complete, and its job if it was the last one. The file's own flag stays as it is."""
    now = time.time()
    cx.execute(
        "UPDATE task SET status = 'complete', completed = coalesce(completed, ?), updated = ? WHERE id = ?",
        (now, now, task["id"]),
    )
    jobs.complete_if_done(cx, task["job_id"])


def set_status(cx: sqlite3.Connection, task: sqlite3.Row, status: str) -> None:
    """Set a task to a status that is not complete."""
    cx.execute(
        "UPDATE task SET status = ?, completed = NULL, updated = ? WHERE id = ?", (status, time.time(), task["id"])
    )


def _send_to_review(cx: sqlite3.Connection, task: sqlite3.Row, reviewer_ids: list[int], user_id: int) -> None:
    now = time.time()
    reviewers = [
        {
            "id": number,
            "relation": "reviewer",
            "task_id": task["id"],
            "time_created": clock.spaced_seconds(now),
            "time_updated": None,
            "user_id": reviewer,
        }
        for number, reviewer in enumerate(reviewer_ids, 1)
    ]
    cx.execute(
        "UPDATE task SET status = 'in_review', assignee_user_id = ?, reviewers = ?, updated = ? WHERE id = ?",
        (user_id, json.dumps(reviewers), now, task["id"]),
    )


def list_reply(cx: sqlite3.Connection, row: sqlite3.Row, links: Links) -> dict[str, Any]:
    """A task in a list, with 12 fields."""
    job = jobs.get(cx, row["job_id"])
    common = _common(cx, row, links)
    if common["file"]:  # recorded: lists do not sign, the links are null until somebody looks at the file
        common["file"]["image"] |= {"url_signed": None, "url_signed_thumb": None}
    return {
        **common,
        "incoming_directory": jobs.incoming_reply(cx, row["project_id"], row["directory_id"]),
        "job": job and {"id": job["id"], "name": job["name"]},
        "time_created": clock.iso(row["created"]),
    }


def reply(cx: sqlite3.Connection, row: sqlite3.Row, links: Links) -> dict[str, Any]:
    """A task on its own, with 19 fields and the labels of its job."""
    job = jobs.get(cx, row["job_id"])
    project = cx.execute("SELECT string_id FROM project WHERE id = ?", (row["project_id"],)).fetchone()
    return {
        **_common(cx, row, links),
        "default_userscript": None,
        "gold_standard_file": None,
        "guide": None,
        "job": job and jobs.task_job_reply(cx, job),
        "job_id": row["job_id"],
        "job_type": job and job["type"],
        "label_dict": labels.label_dict(cx, row["project_id"], job["schema_id"] if job else None),
        "project_string_id": project["string_id"],
        "task_comment": "",
        "time_tracking": [],
    }


def _common(cx: sqlite3.Connection, row: sqlite3.Row, links: Links) -> dict[str, Any]:
    file = files.get(cx, row["project_id"], row["file_id"])
    return {
        "assignee_user_id": row["assignee_user_id"],
        "file": file and files.reply(file, links),
        "id": row["id"],
        "status": row["status"],
        "task_assignees": [],
        "task_reviewers": json.loads(row["reviewers"]),
        "task_type": "draw",
        "time_completed": clock.spaced(row["completed"]),
        "time_updated": clock.spaced(row["updated"]),
    }
