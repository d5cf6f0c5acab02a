"""Rows of the recorded server that no single reply shows in full, put together from what several say."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from contract import rows
from contract.recorded import FOLDER

#: Tasks of job 1 that are counted in its replies and only trimmed rows of its lists: id, file, moment.
TASKS = (
    (7, 50, "06:41:36.3"), (8, 51, "06:41:36.4"), (9, 53, "06:41:36.8"), (10, 7, "06:41:36.85"),
    (11, 8, "06:41:36.89"), (12, 11, "06:50:55.5"),
)  # fmt: skip
#: Exports of which only the requests were recorded: id, source, dataset, job, task.
EXPORTS = (
    (1, "job", 5, 1, None), (2, "job", 5, 1, None), (3, "job", 5, 1, None), (4, "job", 5, 1, None),
    (5, "directory", 2, None, None), (6, "task", 1, None, 5),
)  # fmt: skip
#: Files without a list that shows them, and their datasets.
PLACES = {50: 4, 51: 2, 53: 2}


def add(cx: sqlite3.Connection) -> None:
    """Complete a populated sandbox."""
    export = json.loads((FOLDER / "sample_export.json").read_text())
    for key, value in export.items():
        if key.isdigit():
            _file(cx, value)
    for file_id, directory_id in PLACES.items():
        cx.execute("INSERT OR IGNORE INTO placement VALUES (?, ?)", (directory_id, file_id))
    tasks(cx)
    for export_id, source, directory_id, job_id, task_id in EXPORTS:
        cx.execute(
            "INSERT OR IGNORE INTO export (id, project_id, kind, source, masks, file_comparison_mode, directory_id, "
            "job_id, task_id, status, percent_complete, base_url, created) "
            "VALUES (?, 1, 'Annotations', ?, 0, 'latest', ?, ?, ?, 'complete', 100, '', ?)",
            (export_id, source, directory_id, job_id, task_id, _moment(f"06:42:{17 + export_id}")),
        )
    # Who saved an instance at a task is shown, at which task is not.
    cx.execute(
        "UPDATE instance SET task_id = (SELECT id FROM task WHERE job_id = 1 AND task.file_id = instance.file_id) "
        "WHERE member_created_id = 1"
    )


def tasks(cx: sqlite3.Connection) -> None:
    """Add the tasks of job 1 that no list shows."""
    for task_id, file_id, clock in TASKS:
        cx.execute(
            "INSERT OR IGNORE INTO task (id, job_id, project_id, file_id, directory_id, status, created, updated) "
            "VALUES (?, 1, 1, ?, 4, 'available', ?, ?)",
            (task_id, file_id, _moment(clock), _moment(clock)),
        )


def _file(cx: sqlite3.Connection, entry: dict[str, Any]) -> None:
    file, image = entry["file"], entry["image"]
    created = _moment(file["created_time"][11:])
    image_id = int(file["blob_url"].partition("?")[0].rpartition("/")[2])
    cx.execute(
        "INSERT OR IGNORE INTO image (id, original_filename, width, height, content_type, blob) "
        "VALUES (?, ?, ?, ?, 'image/jpeg', ?)",
        (image_id, image["original_filename"], image["width"], image["height"], f"projects/images/1/{image_id}"),
    )
    cx.execute(
        "INSERT OR IGNORE INTO file (id, project_id, type, original_filename, hash, ann_is_complete, created, updated, "
        "image_id) VALUES (?, 1, 'image', ?, ?, 0, ?, ?, ?)",
        (file["id"], file["original_filename"], "0" * 64, created, created, image_id),
    )
    for drawn in entry["instance_list"]:
        groups = drawn["attribute_groups"]
        cx.execute(
            "INSERT OR IGNORE INTO instance (id, file_id, type, label_file_id, x_min, y_min, x_max, y_max, points, "
            "attribute_groups, machine_made, action_type, version, extra, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 'created', 1, '{}', ?)",
            (
                drawn["id"], file["id"], drawn["type"], drawn["label_file_id"], drawn["x_min"], drawn["y_min"],
                drawn["x_max"], drawn["y_max"], json.dumps(drawn.get("points", [])),
                json.dumps(groups, sort_keys=True) if groups else None, created,
            ),
        )  # fmt: skip


def _moment(clock: str) -> float:
    return rows.moment(f"2026-11-22 {clock}")
