"""What happens, told to webhooks: which action wants it, and the body that is posted (recording ``12_webhooks``)."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock

KIND = "Webhook"
DEFAULT, WALRUS, EVENTS = "default_service", "walrus_service", "eventhandlers"  # the services of the recorded server


def file_uploaded(
    cx: sqlite3.Connection, project_id: int, *, input_id: int, directory_id: int | None, file_id: int
) -> None:
    """An import made a file, even one that failed on its instances afterwards."""
    where = {"input_id": input_id, "directory_id": directory_id, "file_id": file_id}
    _announce(cx, "input_file_uploaded", project_id, service_name=WALRUS, **where)


def job_completed(cx: sqlite3.Connection, job: sqlite3.Row, member_id: int | None) -> None:
    """The last task of a job was completed."""
    where = {"job_id": job["id"], "member_id": member_id}
    _announce(cx, "task_template_completed", job["project_id"], service_name=DEFAULT, **where)


def task_changed(
    cx: sqlite3.Connection, kind: str, task: sqlite3.Row, member_id: int | None, user_id: int | None = None
) -> None:
    """Something happened to a task: told twice, the second time without the job (recorded).

    Args:
        cx: A write transaction.
        kind: ``task_created``, ``task_completed``, ``task_review_start``, ``task_request_changes`` or
            ``task_review_complete``.
        task: The task.
        member_id: Who did it. The thread that makes tasks knows it only the first time.
        user_id: The person at the task.
    """
    service = EVENTS if kind == "task_created" else DEFAULT
    project = cx.execute("SELECT string_id FROM project WHERE id = ?", (task["project_id"],)).fetchone()
    extra = {"project_string_id": project["string_id"], "user_assignee_id": user_id, "user_reviewer_id": None}
    common = {"task_id": task["id"], "service_name": service}
    _announce(cx, kind, task["project_id"], job_id=task["job_id"], member_id=member_id, extra_metadata=extra, **common)
    _announce(cx, kind, task["project_id"], member_id=member_id if service == DEFAULT else None, **common)


def _announce(cx: sqlite3.Connection, kind: str, project_id: int, **details: Any) -> None:
    wanting = [(action, content) for action, content in _active(cx, project_id) if _event(content) == kind]
    if not wanting:
        return
    now = time.time()
    number = cx.execute("INSERT INTO announcement (kind, created) VALUES (?, ?)", (kind, now)).lastrowid
    for action, content in wanting:  # the dataset in trigger_data is not looked at (recorded)
        config = content.get("config_data") or {}
        body = {
            **NOTHING,
            **details,
            "action_id": action["id"],
            "id": number,
            "kind": kind,
            "project_id": project_id,
            "time_created": clock.iso(now)[:10],  # a date
            "token": config.get("token"),
            "workflow_id": action["workflow_id"],
        }
        run = cx.execute(
            "INSERT INTO action_run (action_id, url, body) VALUES (?, ?, '')", (action["id"], str(config.get("url")))
        ).lastrowid
        cx.execute(
            "UPDATE action_run SET body = ? WHERE id = ?",
            (json.dumps({**body, "action_run_id": run}, sort_keys=True), run),
        )


def _active(cx: sqlite3.Connection, project_id: int) -> list[tuple[sqlite3.Row, dict[str, Any]]]:
    rows = cx.execute(
        "SELECT action.* FROM action JOIN workflow ON workflow.id = workflow_id WHERE project_id = ? AND active "
        "AND NOT workflow.archived AND NOT action.archived ORDER BY action.id",
        (project_id,),
    )
    read = [(row, json.loads(row["content"])) for row in rows]
    return [(row, content) for row, content in read if content.get("kind") == KIND]


def _event(content: dict[str, Any]) -> Any:
    return (content.get("trigger_data") or {}).get("event_name")


def next_run(cx: sqlite3.Connection) -> sqlite3.Row | None:
    """Take the oldest delivery; it is gone whether it succeeds or not."""
    row: sqlite3.Row | None = cx.execute(
        "DELETE FROM action_run WHERE id = (SELECT min(id) FROM action_run) RETURNING *"
    ).fetchone()
    return row


def is_waiting(cx: sqlite3.Connection) -> bool:
    """Whether there is something to deliver."""
    return cx.execute("SELECT 1 FROM action_run LIMIT 1").fetchone() is not None


NOTHING: dict[str, Any] = {
    **dict.fromkeys(
        (
            "description", "directory_id", "error_log", "extra_metadata", "file_id", "input_id", "install_fingerprint",
            "job_id", "member_id", "object_type", "page_name", "report_data", "report_template_data", "task_id",
        )
    ),
    "diffgram_version": "1.0.0",
    "host_os": "linux",
    "storage_backend": "minio",
}  # fmt: skip
