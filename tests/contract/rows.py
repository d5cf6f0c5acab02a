"""The rows of the recorded server's replies, written into a sandbox's tables under their own ids."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from diffgram_flows.sandbox.store import instances, workflows

Row = dict[str, Any]

WIDTH, HEIGHT = 320, 240
#: No reply says when the workflow was made; its first action was seconds later.
WORKFLOWS_MADE = datetime(2026, 11, 22, 6, 50, 23, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Sighting:
    """A row of the recorded server, as one of its replies showed it."""

    table: str
    id: int
    row: Row


def put(cx: sqlite3.Connection, sighting: Sighting) -> None:
    """Write a row under its recorded id, replacing what is there."""
    globals()[f"_put_{sighting.table}"](cx, sighting.row)


def _write(cx: sqlite3.Connection, table: str, **values: Any) -> None:
    marks = ", ".join("?" * len(values))
    changes = ", ".join(f"{name} = excluded.{name}" for name in values)
    cx.execute(
        f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks}) ON CONFLICT DO UPDATE SET {changes}",  # noqa: S608
        tuple(values.values()),
    )


def _put_directory(cx: sqlite3.Connection, row: Row) -> None:
    _write(cx, "directory", id=row["id"], project_id=1, nickname=row["nickname"], created=moment(row["created_time"]))


def _put_attribute_group(cx: sqlite3.Connection, row: Row) -> None:
    same = ("name", "prompt", "kind", "is_global", "global_type", "ordinal", "show_prompt")
    values = {name: row[name] for name in same}
    _write(
        cx, "attribute_group", id=row["id"], project_id=1, schema_id=1, **values, updated=moment(row["time_updated"])
    )
    for option in row["attribute_template_list"]:
        _write(cx, "attribute_option", id=option["id"], group_id=option["group_id"], name=option["name"])


def _put_attribute_group_of_labels(cx: sqlite3.Connection, row: Row) -> None:
    _put_attribute_group(cx, row)
    for place, label in enumerate(row["label_file_list"]):
        _write(cx, "attribute_group_label", group_id=row["id"], label_file_id=label["id"], ordinal=place)


def _put_input_batch(cx: sqlite3.Connection, row: Row) -> None:
    _write(
        cx,
        "input_batch",
        id=row["id"],
        project_id=1,
        member_id=row["member_created_id"],
        download_status=row["download_status_pre_labeled_data"],
        created=moment(row["time_created"]),
        updated=None if row["time_updated"] is None else moment(row["time_updated"]),
    )


def _put_label_schema(cx: sqlite3.Connection, row: Row) -> None:
    _write(
        cx,
        "label_schema",
        id=row["id"],
        project_id=1,
        name=row["name"],
        is_default=row["is_default"],
        member_created_id=row["member_created_id"],
        created=moment(row["time_created"]),
    )


def _put_label(cx: sqlite3.Connection, row: Row) -> None:
    _write(cx, "label", id=row["label"]["id"], name=row["label"]["name"])
    _write(
        cx,
        "file",
        id=row["id"],
        project_id=1,
        type="label",
        hash=row["hash"],
        created=moment(row["created_time"]),
        updated=moment(row["time_last_updated"]),
        label_id=row["label"]["id"],
        schema_id=1,
        colour=json.dumps(row["colour"]),
    )


def _put_file(cx: sqlite3.Connection, row: Row) -> None:
    if row["type"] != "image":
        return
    image = row.get("image") or {}
    image_id = image.get("id") or _image_id(cx, row["id"])
    name = row["original_filename"]
    _write(
        cx,
        "image",
        id=image_id,
        original_filename=name,
        width=image.get("width") or WIDTH,
        height=image.get("height") or HEIGHT,
        content_type="image/jpeg",
        blob=f"projects/images/1/{image_id}",
    )
    _write(
        cx,
        "file",
        id=row["id"],
        project_id=1,
        type="image",
        original_filename=name,
        hash=row["hash"],
        ann_is_complete=row["ann_is_complete"],
        count_instances_changed=row["count_instances_changed"],
        created=moment(row["created_time"]),
        updated=moment(row["time_last_updated"]),
        image_id=image_id,
        ordinal=row["ordinal"],
    )


def _image_id(cx: sqlite3.Connection, file_id: int) -> int:
    found = cx.execute("SELECT image_id FROM file WHERE id = ?", (file_id,)).fetchone()
    return int(found["image_id"]) if found and found["image_id"] else 1000 + file_id


def _put_input(cx: sqlite3.Connection, row: Row) -> None:
    sent = row["instance_list"]
    _write(
        cx,
        "input",
        id=row["id"],
        project_id=1,
        directory_id=(row["directory"] or {}).get("id"),
        file_id=row["file_id"],
        batch_id=row["batch_id"],
        url=f"http://images.local/img/{row['original_filename']}",
        media_type=row["media_type"],
        mode=row["mode"],
        source=row["source"],
        original_filename=row["original_filename"],
        instance_list=None if sent is None else json.dumps(sent.get("list") or [None]),
        status=row["status"],
        status_text=row["status_text"],
        percent_complete=row["percent_complete"],
        processing_deferred=row["processing_deferred"],
        retry_count=row["retry_count"],
        retry_log=json.dumps(row["retry_log"]) if row["retry_log"] else None,
        update_log=None if row["update_log"] is None else json.dumps(row["update_log"]),
        archived=bool(row["archived"]),
        video_split_duration=row["video_split_duration"],
        attempted=row["time_last_attempted"],
        created=moment(row["created_time"]),
        updated=moment(row["time_updated"]),
    )

    if row["file_id"] and row["original_filename"]:
        _put_file_of_import(cx, row)


def _put_file_of_import(cx: sqlite3.Connection, row: Row) -> None:
    """Of some files no reply shows more than their import."""
    if cx.execute("SELECT 1 FROM file WHERE id = ?", (row["file_id"],)).fetchone():
        return
    name, moment = row["original_filename"], row["created_time"]
    nothing = dict.fromkeys(("image", "ann_is_complete", "count_instances_changed"))
    moments = {"created_time": moment, "time_last_updated": moment}
    file = {"id": row["file_id"], "type": "image", "original_filename": name, "hash": "", "ordinal": 0}
    _put_file(cx, {**nothing, **moments, **file})


def _put_instance(cx: sqlite3.Connection, row: Row) -> None:
    extra = {key: row[key] for key in instances.EXTRA if key in row and row[key] != instances.EXTRA[key]}
    same = ("id", "file_id", "type", "label_file_id", "x_min", "y_min", "x_max", "y_max", "width", "height",
            "machine_made", "score", "model_id", "model_run_id", "member_created_id", "creation_ref_id",
            "action_type", "version", "root_id", "previous_id", "soft_delete")  # fmt: skip
    groups = row["attribute_groups"]
    _write(
        cx,
        "instance",
        **{key: row.get(key) for key in same},
        points=json.dumps(row["points"]),
        attribute_groups=json.dumps(groups, sort_keys=True) if groups else None,
        extra=json.dumps(extra, sort_keys=True),
        created=moment(row["created_time"]),
    )


def _put_task(cx: sqlite3.Connection, row: Row) -> None:
    _put_file(cx, row["file"])
    _write(
        cx,
        "task",
        id=row["id"],
        job_id=row["job"]["id"],
        project_id=1,
        file_id=row["file"]["id"],
        directory_id=(row.get("incoming_directory") or {"id": 4})["id"],
        status=row["status"],
        assignee_user_id=row["assignee_user_id"],
        reviewers=json.dumps(row["task_reviewers"]),
        completed=None if row["time_completed"] == "None" else moment(row["time_completed"]),
        created=moment(row.get("time_created") or row["job"]["time_created"]),
        updated=moment(row["time_updated"]),
    )


def _put_job(cx: sqlite3.Connection, row: Row) -> None:
    launched = row["launch_datetime"]
    _write(
        cx,
        "job",
        id=row["id"],
        project_id=1,
        name=row["name"],
        status=row["status"],
        schema_id=row["label_schema_id"],
        share_type=row["share_type"],
        type=row["type"],
        output_dir_action=row["output_dir_action"],
        completion_directory_id=row["completion_directory_id"],
        launched=None if launched in (None, "None") else moment(launched),
        created=moment(row["time_created"]),
        # What not every reply shows is kept from those that do.
        **_shown(cx, row, "member_ids", "member_list_ids", [1]),
        **_shown(cx, row, "reviewer_ids", "reviewer_list_ids", []),
        **_shown(cx, row, "tags", "tags", []),
        **_shown(cx, {**row, "cache_info": _as_stored(row.get("cache_info"))}, "cache_info", "cache_info", {}),
        allow_reviews=bool(row.get("reviewer_list_ids")),
        instance_type=row.get("instance_type") or "box",
        updated=moment(row.get("time_updated") or row["time_created"]),
    )
    attached = (row["attached_directories_dict"] or {}).get("attached_directories_list") or []
    for each in attached:
        _write(cx, "job_directory", job_id=row["id"], directory_id=each["directory_id"], selected=each["selected"])
    if launched in (None, "None"):  # the files of a draft are known by their number only
        cx.execute("DELETE FROM job_file WHERE job_id = ?", (row["id"],))
        for number in range(row["file_count_statistic"] or 0):
            cx.execute("INSERT INTO job_file VALUES (?, ?)", (row["id"], -number))


def _as_stored(caches: Row | None) -> Row | None:
    """What was stored when the cache was filled: a reply that uses it says ``from_cache`` true."""
    if caches is None:
        return None
    return {key: {**value, "from_cache": "regenerate_datetime" not in value} for key, value in caches.items()}


def _shown(cx: sqlite3.Connection, row: Row, column: str, field: str, otherwise: Any) -> Row:
    if row.get(field) is not None:
        return {column: json.dumps(row[field])}
    known = cx.execute(f"SELECT {column} FROM job WHERE id = ?", (row["id"],)).fetchone()  # noqa: S608
    return {column: known[column] if known else json.dumps(otherwise)}


def _put_workflow(cx: sqlite3.Connection, row: Row) -> None:
    _write(
        cx,
        "workflow",
        id=row["id"],
        project_id=1,
        name=row["name"],
        string_id=row["string_id"],
        active=row["active"],
        created=WORKFLOWS_MADE,
        updated=row["time_updated"] and moment(row["time_updated"]),
    )


def _put_action(cx: sqlite3.Connection, row: Row) -> None:
    _write(
        cx,
        "action",
        id=row["id"],
        workflow_id=row["workflow_id"],
        archived=row["archived"],
        content=json.dumps({name: row[name] for name in workflows.CHOSEN}),
        member_created_id=row["member_created_id"],
        member_updated_id=row["member_updated_id"],
        created=moment(row["time_created"]),
        updated=row["time_updated"] and moment(row["time_updated"]),
    )


def _put_export(cx: sqlite3.Connection, row: Row) -> None:
    _write(
        cx,
        "export",
        id=row["id"],
        project_id=1,
        kind=row["kind"],
        source=row["source"],
        masks=row["masks"],
        file_comparison_mode=row["file_comparison_mode"],
        ann_is_complete=row["ann_is_complete"],
        directory_id=(row["directory"] or {}).get("id"),
        job_id=(row["job"] or {}).get("id"),
        task_id=(row["task"] or {}).get("id"),
        status=row["status"],
        percent_complete=row["percent_complete"],
        file_list_length=row["file_list_length"],
        base_url="http://storage.local",
        created=moment(row["created_time"]),
    )


def _put_model_run(cx: sqlite3.Connection, row: Row) -> None:
    _write(cx, "model", id=row["model_id"], project_id=1, reference_id=f"model {row['model_id']}")
    _write(
        cx,
        "model_run",
        id=row["id"],
        project_id=1,
        model_id=row["model_id"],
        reference_id=row["reference_id"],
        created=moment(row["created_time"]),
    )


def moment(text: object) -> float:
    """A recorded moment, in whichever spelling, in seconds since 1970."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(str(text))
        except ValueError:
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return time.time()
