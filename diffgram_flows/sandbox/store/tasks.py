"""Tasks: one file of a job, for one person to annotate."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.store import files, hooks, job_replies, jobs, labels, outputs

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
    hidden = [] if given.get("status") == jobs.ARCHIVED else [f"status != '{jobs.ARCHIVED}'"]
    where = " AND ".join(["project_id = ?", *hidden, *(FILTERS[name] for name in given)])
    values = (project_id, *given.values())
    total = cx.execute(f"SELECT count(*) AS n FROM task WHERE {where}", values).fetchone()["n"]  # noqa: S608
    rows = cx.execute(
        f"SELECT * FROM task WHERE {where} ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608 - our own text
        (*values, limit, page * limit),
    ).fetchall()
    return rows, int(total)


def finish(cx: sqlite3.Connection, task: sqlite3.Row, user: sqlite3.Row) -> None:
    """A person is done with a task; in a job with reviews it goes to review first."""
    job = jobs.get(cx, task["job_id"])
    if job is not None and job["allow_reviews"] and task["status"] not in ("in_review", "complete"):
        _send_to_review(cx, task, json.loads(job["reviewer_ids"]) or [user["id"]], user)
    else:
        complete(cx, task, user)


def complete(cx: sqlite3.Connection, task: sqlite3.Row, user: sqlite3.Row, kind: str = "task_completed") -> None:
    """Set a task to complete, and its job if it was the last one. The file's own flag stays as it is.

    Doing it again changes nothing: its file is delivered once, and once it is told. An approval is the end of its task,
    whenever that was sent to review (recorded as ``task_review_approve``).
    """
    now = time.time()
    ended = "coalesce(completed, ?)" if task["status"] == "complete" else "?"
    cx.execute(
        f"UPDATE task SET status = 'complete', completed = {ended}, updated = ? WHERE id = ?",  # noqa: S608 - our own
        (now, now, task["id"]),
    )
    if task["status"] == "complete":
        return
    job = jobs.get(cx, task["job_id"])
    if job is not None:
        outputs.deliver(cx, job, task)
    hooks.task_changed(cx, kind, task, user["member_id"], user["id"])
    jobs.complete_if_done(cx, task["job_id"], user["member_id"])


def request_changes(cx: sqlite3.Connection, task: sqlite3.Row, user: sqlite3.Row) -> None:
    """A reviewer is not content with a task; when it was first finished is kept (recorded)."""
    cx.execute("UPDATE task SET status = 'requires_changes', updated = ? WHERE id = ?", (time.time(), task["id"]))
    cx.execute("UPDATE file SET ann_is_complete = 0 WHERE id = ?", (task["file_id"],))
    hooks.task_changed(cx, "task_request_changes", task, user["member_id"], user["id"])


def set_status(cx: sqlite3.Connection, task: sqlite3.Row, status: str) -> None:
    """Set a task to a status that is not complete."""
    cx.execute(
        "UPDATE task SET status = ?, completed = NULL, updated = ? WHERE id = ?", (status, time.time(), task["id"])
    )


def _send_to_review(cx: sqlite3.Connection, task: sqlite3.Row, reviewer_ids: list[int], user: sqlite3.Row) -> None:
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
        "UPDATE task SET status = 'in_review', assignee_user_id = ?, reviewers = ?, completed = ?, updated = ? "
        "WHERE id = ?",
        (user["id"], json.dumps(reviewers), now, now, task["id"]),
    )
    cx.execute("UPDATE file SET ann_is_complete = 1 WHERE id = ?", (task["file_id"],))  # only here (recorded)
    hooks.task_changed(cx, "task_review_start", task, user["member_id"], user["id"])


def list_reply(cx: sqlite3.Connection, row: sqlite3.Row, links: Links) -> dict[str, Any]:
    """A task in a list, with 12 fields."""
    job = jobs.get(cx, row["job_id"])
    file = files.get(cx, row["project_id"], row["file_id"])
    # Lists do not sign: the links are null until somebody looks at the file (recorded).
    known = links if file is not None and file["blob"] in links.media.signed else None
    shown = file and {**files.base_reply(file), "image": files.image_reply(file, known)}
    return {
        **_common(row),
        "file": shown,
        "incoming_directory": job_replies.incoming_reply(cx, row["project_id"], row["directory_id"]),
        "job": job and {"id": job["id"], "name": job["name"]},
        "time_created": clock.iso(row["created"]),
    }


def reply(cx: sqlite3.Connection, row: sqlite3.Row, links: Links) -> dict[str, Any]:
    """A task on its own, with 19 fields and the labels of its job."""
    job = jobs.get(cx, row["job_id"])
    file = files.get(cx, row["project_id"], row["file_id"])
    project = cx.execute("SELECT string_id FROM project WHERE id = ?", (row["project_id"],)).fetchone()
    return {
        **_common(row),
        "file": file and files.reply(file, links),
        "default_userscript": None,
        "gold_standard_file": None,
        "guide": None,
        "job": job and job_replies.task_job_reply(cx, job),
        "job_id": row["job_id"],
        "job_type": job and job["type"],
        "label_dict": job and labels.label_dict(cx, row["project_id"], job["schema_id"], job["launched"]),
        "project_string_id": project["string_id"],
        "task_comment": "",
        "time_tracking": [],
    }


def _common(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "assignee_user_id": row["assignee_user_id"],
        "id": row["id"],
        "status": row["status"],
        "task_assignees": [],
        "task_reviewers": json.loads(row["reviewers"]),
        "task_type": "draw",
        "time_completed": clock.spaced(row["completed"]),
        "time_updated": clock.spaced(row["updated"]),
    }
