"""What becomes of the file of a completed task: nothing, or it is copied or moved into the job's output dataset."""

from __future__ import annotations

import json
import sqlite3
import time

from diffgram_flows.sandbox.store import files, hooks, inputs, instances


def deliver(cx: sqlite3.Connection, job: sqlite3.Row, task: sqlite3.Row) -> None:
    """Do with a task's file what the job says.

    A copy shows up in the list of imports with the mode ``copy_file`` and is announced like an upload (recorded in
    words and by webhooks). What its row says in detail, and whether a taken name stops it, is not recorded: here the
    row names the original and the copy, and a taken name fails as it does for every import.
    """
    target = job["completion_directory_id"]
    if target is None or job["output_dir_action"] == "nothing":
        return
    if job["output_dir_action"] == "move":
        files.remove(cx, task["directory_id"], task["file_id"])
        files.place(cx, target, task["file_id"])
        return
    source = files.get(cx, task["project_id"], task["file_id"])
    if source is None:
        return
    name = source["original_filename"]
    existing = files.named(cx, target, name)
    if existing is not None:
        reason = f"Filename {name} Already Exists in Dir. Existing ID is:{existing}"
        _note(cx, source, target, None, reason)
        return
    copy_id = _copy(cx, source, target)
    input_id = _note(cx, source, target, copy_id, inputs.VERSION)
    hooks.file_uploaded(cx, task["project_id"], input_id=input_id, directory_id=target, file_id=copy_id)


def _copy(cx: sqlite3.Connection, source: sqlite3.Row, directory_id: int) -> int:
    now = time.time()
    same = "project_id, type, original_filename, hash, ann_is_complete, count_instances_changed, ordinal, file_metadata"
    copy_id = cx.execute(
        f"INSERT INTO file ({same}, created, updated, image_id) "  # noqa: S608 - our own text
        f"SELECT {same}, ?, ?, image_id FROM file WHERE id = ?",
        (now, now, source["id"]),
    ).lastrowid
    instances.copy(cx, source["id"], int(copy_id or 0))
    files.place(cx, directory_id, int(copy_id or 0))
    return int(copy_id or 0)


def _note(cx: sqlite3.Connection, source: sqlite3.Row, directory_id: int, copy_id: int | None, text: str) -> int:
    now = time.time()
    done = copy_id is not None
    log = {"error": {} if done else {"status_text": text}, "info": {}, "success": False}
    values = {
        "project_id": source["project_id"], "directory_id": directory_id, "file_id": source["id"],
        "newly_copied_file_id": copy_id, "media_type": "image", "mode": inputs.COPY,
        "original_filename": source["original_filename"], "status": "success" if done else "failed",
        "status_text": text, "percent_complete": 100.0 if done else 0.0, "processing_deferred": 0,
        "update_log": json.dumps(log), "attempted": round(now), "created": now, "updated": now,
    }  # fmt: skip
    marks = ", ".join("?" * len(values))
    cursor = cx.execute(f"INSERT INTO input ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))  # noqa: S608
    return int(cursor.lastrowid or 0)
