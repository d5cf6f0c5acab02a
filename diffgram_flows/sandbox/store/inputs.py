"""Imports: one row for each packet, upload, or update of a file."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass, field
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.replies import fault
from diffgram_flows.sandbox.store import directories, files, hooks

VERSION = "Version: 1.0.0"
UPDATES = ("update", "update_with_existing")
COPY = "copy_file"  # a file of a completed task, copied into a job's output dataset
STATUS_FILTERS = {
    "All": "1",
    "Success": "status = 'success'",
    "Failed": "status = 'failed'",
    "Processing": "status NOT IN ('success', 'failed')",
    "Base_Object_Created": "status = 'base_object_created'",
    "Init": "status = 'init'",
}
FIELDS = {
    "file_id": "file_id = ?",
    "batch_id": "batch_id = ?",
    "media_type": "media_type = ?",
    "date_from": "created >= ?",
    "date_to": "created < ? + 86400",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A new import as it was asked for."""

    project_id: int
    directory_id: int | None = None
    file_id: int | None = None
    job_id: int | None = None
    batch_id: Any = None
    url: str | None = None
    media_type: str | None = None
    mode: str | None = None
    original_filename: str | None = None
    instance_list: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    status: str
    status_text: str | None
    percent_complete: float = 0.0
    file_id: int | None = None
    original_filename: str | None = None
    update_log: dict[str, Any] = field(default_factory=lambda: {"error": {}, "info": {}, "success": False})


def queue(cx: sqlite3.Connection, wanted: Wanted) -> int:
    """Put an import from a URL (or an update of a file) into the queue and return its id."""
    return _insert(cx, wanted, source="from_url", status="init", processing_deferred=1, video_split_duration=30)


def begin_local(cx: sqlite3.Connection, wanted: Wanted) -> int:
    """Begin an import of uploaded bytes, which is worked on at once."""
    return _insert(
        cx, wanted, source=None, status="processing", processing_deferred=0, attempted=round(time.time()) or None
    )


def begin_upload(cx: sqlite3.Connection, wanted: Wanted) -> int:
    """Note an import whose bytes came in chunks: it does not wait in the queue, although it begins in ``init``."""
    state = {"status": "init", "processing_deferred": 0, "attempted": round(time.time())}
    return _insert(cx, wanted, source="from_resumable", **state)


def _insert(cx: sqlite3.Connection, wanted: Wanted, **state: Any) -> int:
    instance_list = None if wanted.instance_list is None else json.dumps(wanted.instance_list)
    now = time.time()
    values = {
        **{name: getattr(wanted, name) for name in wanted.__slots__},
        **state,
        "instance_list": instance_list,
        "created": now,
        "updated": now,
    }
    marks = ", ".join("?" * len(values))
    cursor = cx.execute(f"INSERT INTO input ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    return int(cursor.lastrowid or 0)


def claim(cx: sqlite3.Connection) -> sqlite3.Row | None:
    """Take the oldest waiting import; nobody else gets it."""
    row: sqlite3.Row | None = cx.execute(
        "UPDATE input SET status = 'local_processing_queue', processing_deferred = 0, status_text = ?, attempted = ?, "
        "updated = ?, update_log = ? WHERE id = "
        "(SELECT id FROM input WHERE status IN ('init', 'retrying') AND processing_deferred ORDER BY id LIMIT 1) "
        "RETURNING *",
        (VERSION, round(time.time()), time.time(), json.dumps(Outcome("", None).update_log)),
    ).fetchone()
    return row


def advance(cx: sqlite3.Connection, row: sqlite3.Row, status: str) -> bool:
    """Move an attempt on; False if it was retried or archived meanwhile, and is no longer ours."""
    return _ours(cx, row, "status = ?, updated = ?", (status, time.time()))


def put_back(cx: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Return a claimed import to the queue: the server is stopping."""
    _ours(cx, row, "status = 'init', processing_deferred = 1", ())


def finish(cx: sqlite3.Connection, row: sqlite3.Row, outcome: Outcome, instance_list: list[Any] | None) -> bool:
    """Write the outcome of an attempt; False if the attempt is no longer ours."""
    finished = _ours(
        cx,
        row,
        "status = ?, status_text = ?, percent_complete = ?, file_id = coalesce(?, file_id), "
        "original_filename = coalesce(?, original_filename), update_log = ?, instance_list = ?, updated = ?",
        (
            outcome.status,
            outcome.status_text,
            outcome.percent_complete,
            outcome.file_id,
            outcome.original_filename,
            json.dumps(outcome.update_log),
            None if instance_list is None else json.dumps(instance_list),
            time.time(),
        ),
    )
    if finished and outcome.file_id is not None and row["mode"] not in UPDATES:
        where = {"directory_id": row["directory_id"], "file_id": outcome.file_id}
        hooks.file_uploaded(cx, row["project_id"], input_id=row["id"], **where)
    return finished


def _ours(cx: sqlite3.Connection, row: sqlite3.Row, changes: str, values: tuple[Any, ...]) -> bool:
    # An attempt is known by its retry count: RETRY takes the row away from a worker that still holds it.
    changed = cx.execute(
        f"UPDATE input SET {changes} WHERE id = ? AND retry_count = ? AND NOT archived",  # noqa: S608 - our own text
        (*values, row["id"], row["retry_count"]),
    ).rowcount
    return changed == 1


def after_restart(cx: sqlite3.Connection) -> None:
    """What the previous process was working on is in ``processing`` for ever (recorded as worker death)."""
    cx.execute("UPDATE input SET status = 'processing' WHERE status IN ('local_processing_queue', 'downloaded')")


def retry(cx: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Queue an import again; the file of the failed attempt leaves its datasets (contract section 6)."""
    if (
        row["mode"] not in UPDATES and row["file_id"] is not None and row["url"]
    ):  # never the file that an update was aimed at
        files.remove(cx, None, row["file_id"])
    prior = {"error": {}, "info": {"prior_file_id": row["file_id"]}, "success": False}
    history = json.loads(row["retry_log"] or "{}") | {clock.iso(time.time()): prior}
    cx.execute(
        "UPDATE input SET status = 'retrying', status_text = '', processing_deferred = 1, update_log = '{}', "
        "retry_count = retry_count + 1, retry_log = ?, updated = ? WHERE id = ?",
        (json.dumps(history), time.time(), row["id"]),
    )


def archive(cx: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Archive an import; its file leaves all datasets, so its name is free again."""
    file_id = row["newly_copied_file_id"] if row["mode"] == COPY else row["file_id"]
    if file_id is not None:
        files.remove(cx, None, file_id)
    cx.execute("UPDATE input SET archived = 1, updated = ? WHERE id = ?", (time.time(), row["id"]))


def get(cx: sqlite3.Connection, project_id: int, input_id: object) -> sqlite3.Row | None:
    """The import of this id."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM input WHERE id = ? AND project_id = ?", (input_id, project_id)
    ).fetchone()
    return row


def existing(cx: sqlite3.Connection, project_id: int, input_id: int) -> sqlite3.Row:
    """The import of this id, as the recorded server looks it up: an unknown one crashes it.

    Raises:
        ReplyError: 500, there is none.
    """
    row = get(cx, project_id, input_id)
    if row is None:
        raise fault(500, "'NoneType' object has no attribute 'project_id'")
    return row


def listed(
    cx: sqlite3.Connection, project_id: int, *, status_filter: str, limit: int, wanted: dict[str, Any]
) -> list[sqlite3.Row]:
    """Imports, newest first."""
    given = {name: value for name, value in wanted.items() if name in FIELDS and value is not None}
    conditions = ["project_id = ?", STATUS_FILTERS[status_filter], *(FIELDS[name] for name in given)]
    if wanted.get("has_attached_instances"):
        conditions.append("instance_list IS NOT NULL")
    return cx.execute(
        f"SELECT * FROM input WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?",  # noqa: S608 - our own text
        (project_id, *given.values(), limit),
    ).fetchall()


def reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """A row of the list: the URL is not in it."""
    directory = directories.get(cx, row["project_id"], row["directory_id"])
    sent = json.loads(row["instance_list"]) if row["instance_list"] else None
    shown = None if sent is None else {} if None in sent else {"list": sent}
    return {
        **NO_ROW,
        "archived": bool(row["archived"]),
        "batch_id": row["batch_id"],
        "created_time": clock.http_date(row["created"]),
        "directory": directories.named_reply(directory),
        "file_id": row["file_id"],
        "id": row["id"],
        "instance_list": shown,
        "media_type": row["media_type"],
        "mode": row["mode"],
        "newly_copied_file_id": row["newly_copied_file_id"],
        "original_filename": row["original_filename"],
        "percent_complete": row["percent_complete"],
        "processing_deferred": bool(row["processing_deferred"]),
        "retry_count": row["retry_count"],
        "retry_log": json.loads(row["retry_log"]) if row["retry_log"] else None,
        "source": row["source"],
        "status": row["status"],
        "status_text": row["status_text"],
        "time_last_attempted": row["attempted"],
        "time_updated": clock.http_date(row["updated"]),
        "total_time": clock.duration(row["updated"] - row["created"]),
        "update_log": json.loads(row["update_log"]) if row["update_log"] else None,
        "video_split_duration": row["video_split_duration"],
    }


NO_ROW: dict[str, Any] = dict.fromkeys(
    (
        "archived", "batch_id", "created_time", "description", "directory", "file_id", "id", "instance_list",
        "media_type", "mode", "newly_copied_file_id", "original_filename", "parent_file_id", "parent_input_id",
        "percent_complete", "processing_deferred", "raw_data_blob_path", "retry_count", "retry_log", "source",
        "status", "status_text", "task_id", "time_last_attempted", "time_updated", "total_time", "update_log",
        "video_split_duration", "video_was_split",
    )
)  # fmt: skip
