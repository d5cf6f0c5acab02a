"""Exports: the JSON of all files of a job, a dataset or a task. It does not say who drew a box."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.media import Links
from diffgram_flows.sandbox.store import attributes, directories, files, instances, job_replies, jobs, labels

SOURCES = ("job", "directory", "task")
README = {
    "diffgram": "Diffgram: https://diffgram.readme.io. Data Annotation & Training Data Software",
    "docs_coordinate_system": "https://diffgram.readme.io/docs/export#coordinate-system",
    "docs_high_level": "https://diffgram.readme.io/docs/export-walkthrough",
    "docs_low_level": "https://diffgram.readme.io/docs/understanding-diffgrams-json-file-format",
    "new_to_diffgram": "Create a free account to play with: https://diffgram.readme.io/user/data_platform/new",
    "open_source": "https://github.com/diffgram/diffgram",
    "python_sdk": "https://github.com/diffgram/python-sdk",
    "share_request": None,
    "support": "support@diffgram.com",
}


def new(cx: sqlite3.Connection, project_id: int, wanted: dict[str, Any], base_url: str, due: float | None) -> int:
    """Add an export in status init and return its id; ``due`` is None if somebody waits for it and makes it now."""
    cursor = cx.execute(
        "INSERT INTO export (project_id, kind, source, masks, file_comparison_mode, ann_is_complete, directory_id, "
        "job_id, task_id, status, due, base_url, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'init', ?, ?, ?)",
        (
            project_id, wanted["kind"], wanted["source"], wanted["masks"], wanted["file_comparison_mode"],
            wanted.get("ann_is_complete"), wanted.get("directory_id"), wanted.get("job_id"), wanted.get("task_id"),
            due, base_url, time.time(),
        ),
    )  # fmt: skip
    return int(cursor.lastrowid or 0)


def get(cx: sqlite3.Connection, project_id: int, export_id: object) -> sqlite3.Row | None:
    """The export of this id."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM export WHERE id = ? AND project_id = ?", (export_id, project_id)
    ).fetchone()
    return row


def listed(cx: sqlite3.Connection, project_id: int) -> list[sqlite3.Row]:
    """All exports of a project that are not archived, newest first."""
    return cx.execute(
        "SELECT * FROM export WHERE project_id = ? AND NOT archived ORDER BY id DESC", (project_id,)
    ).fetchall()


def archive(cx: sqlite3.Connection, export_id: int) -> None:
    """Take an export out of the list (recorded: later lists are shorter by it)."""
    cx.execute("UPDATE export SET archived = 1 WHERE id = ?", (export_id,))


def next_due(cx: sqlite3.Connection) -> sqlite3.Row | None:
    """The export in status init that is to be made first."""
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM export WHERE status = 'init' AND due IS NOT NULL ORDER BY due LIMIT 1"
    ).fetchone()
    return row


def forget(cx: sqlite3.Connection, export_id: int) -> None:
    """Leave an export in status init for ever."""
    cx.execute("UPDATE export SET due = NULL WHERE id = ?", (export_id,))


def found_files(cx: sqlite3.Connection, row: sqlite3.Row) -> list[sqlite3.Row]:
    """The files that belong into an export.

    ``ann_is_complete`` true means the files of complete tasks, false means everything (contract section 11).
    """
    if row["source"] == "directory":
        found = files.in_directory(cx, row["directory_id"])
    else:
        column = "job_id" if row["source"] == "job" else "id"
        found = cx.execute(
            f"{files.IMAGES} WHERE file.id IN (SELECT file_id FROM task WHERE {column} = ?) ORDER BY file.id",  # noqa: S608
            (row["job_id"] if row["source"] == "job" else row["task_id"],),
        ).fetchall()
    if not row["ann_is_complete"]:
        return found
    done = cx.execute(
        "SELECT file_id FROM task WHERE status = 'complete' AND project_id = ? AND (? IS NULL OR job_id = ?)",
        (row["project_id"], row["job_id"], row["job_id"]),
    )
    finished = {each["file_id"] for each in done}
    return [file for file in found if file["id"] in finished]


def content(cx: sqlite3.Connection, row: Any, found: list[sqlite3.Row], links: Links) -> dict[str, Any]:
    """The whole export as one dictionary."""
    label_files = labels.label_files(cx, row["project_id"])
    info = {
        **_info(cx, row),
        "created_time": clock.spaced(row["created"]),
        "export_format_version": "1.0",
        "file_list_length": row["file_list_length"],
        "project": _project_reply(cx, row["project_id"]),
        "user_created_email": None,
    }
    return {
        **{str(file["id"]): _file_reply(cx, file, links) for file in found},
        "attribute_groups_reference": attributes.labelled_replies(cx, row["project_id"]),
        "export_info": info,
        "label_colour_map": labels.colours(label_files),
        "label_map": {str(each["id"]): each["name"] for each in label_files},
        "readme": README,
    }


def advance(cx: sqlite3.Connection, export_id: int, count: int, done: int) -> None:
    """Note how many files an export has and how many of them are written; its status stays init (recorded)."""
    cx.execute(
        "UPDATE export SET file_list_length = ?, percent_complete = ? WHERE id = ?",
        (count, 100 * done / count if count else 0.0, export_id),
    )


def finish(cx: sqlite3.Connection, export_id: int, count: int) -> None:
    """Note that the JSON of an export lies where it belongs."""
    cx.execute(
        "UPDATE export SET status = 'complete', percent_complete = 100, file_list_length = ? WHERE id = ?",
        (count, export_id),
    )


def blob(cx: sqlite3.Connection, row: sqlite3.Row) -> str:
    """The recorded name of an export in the object store; the id at its front is what finds it."""
    subject = directories.get(cx, row["project_id"], row["directory_id"]) if row["source"] == "directory" else None
    job = jobs.get(cx, row["job_id"]) if row["source"] == "job" else None
    name = subject["nickname"] if subject else job["name"] if job else row["task_id"]
    moment = clock.iso(row["created"]).replace(":", "-")
    return f"export/{row['id']}_diffgram_annotations__source_{row['source']}_{name}_datetime_{moment}.json"


def reply(cx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """An export's row, with 14 fields."""
    return {
        **_info(cx, row),
        "created_time": clock.http_date(row["created"]),
        "file_list_length": row["file_list_length"],
        "percent_complete": row["percent_complete"],
        "status": row["status"],
        "status_text": None,
    }


def _info(cx: sqlite3.Connection, row: Any) -> dict[str, Any]:
    directory = directories.get(cx, row["project_id"], row["directory_id"])
    job = jobs.get(cx, row["job_id"])
    complete = row["ann_is_complete"]
    return {
        "ann_is_complete": None if complete is None else bool(complete),
        "directory": directory and directories.reply(directory),
        "file_comparison_mode": row["file_comparison_mode"],
        "id": row["id"],
        "job": job and job_replies.export_reply(cx, job),
        "kind": row["kind"],
        "masks": bool(row["masks"]),
        "source": row["source"],
        "task": None,
    }


def _project_reply(cx: sqlite3.Connection, project_id: int) -> dict[str, Any]:
    project = cx.execute("SELECT * FROM project WHERE id = ?", (project_id,)).fetchone()
    return {"name": project["name"], "project_string_id": project["string_id"]}


def _file_reply(cx: sqlite3.Connection, file: sqlite3.Row, links: Links) -> dict[str, Any]:
    url, expires = links.sign(file["blob"])
    complete = file["ann_is_complete"]
    return {
        "file": {
            "ann_is_complete": None if complete is None else bool(complete),
            "blob_url": url,
            "created_time": clock.spaced(file["created"]),
            "id": file["id"],
            "original_filename": file["original_filename"],
            "type": "image",
        },
        "image": {
            "height": file["height"],
            "image_signed_expiry": expires,
            "image_signed_url": url,
            "original_filename": file["original_filename"],
            "rotation_degrees": file["rotation_degrees"],
            "width": file["width"],
        },
        "instance_list": [_instance_reply(row) for row in instances.stored(cx, file["id"])],
    }


def _instance_reply(row: sqlite3.Row) -> dict[str, Any]:
    shown = {
        "attribute_groups": json.loads(row["attribute_groups"]) if row["attribute_groups"] else None,
        "id": row["id"],
        "label_file_id": row["label_file_id"],
        "type": row["type"],
        **{key: row[key] for key in instances.CORNERS},
    }
    return shown if row["points"] == "[]" else {**shown, "points": json.loads(row["points"])}
