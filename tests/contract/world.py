"""A sandbox in the state of the recorded server: the same rows under the same ids, gathered from its replies."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from contract.recorded import Exchange, exchanges

from diffgram_flows.sandbox.store import accounts, instances
from diffgram_flows.sandbox.store.accounts import Credential

Row = dict[str, Any]

PROJECT = "contract-project"
EMAIL, PASSWORD = "annotator.admin@example.com", "the person's password"
KEYS = {level: Credential(f"LIVE__{level}", f"the secret of {level}") for level in ("admin", "Editor", "Viewer")}
#: Where files lie that no recorded list of a dataset shows.
HOMES = {6: 1, 39: 4, 40: 4, 41: 4, 42: 4, 43: 4, 44: 4}
WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Sighting:
    """A row of the recorded server, as one of its replies showed it."""

    table: str
    id: int
    row: Row


def populate(cx: sqlite3.Connection) -> None:
    """Fill an empty sandbox with everything that the recordings show, each row as it was seen first."""
    user_id = accounts.new_user(cx, EMAIL, PASSWORD)
    project_id = accounts.new_project(cx, user_id, PROJECT, "Contract Project")
    cx.execute("UPDATE user SET builder = 1, first_name = 'Ada', last_name = 'Admin'")
    for level, key in KEYS.items():
        accounts.new_credential(cx, project_id, level, key)
    seen: set[tuple[str, int]] = set()
    for each in exchanges():
        for sighting in sightings(each):
            if (sighting.table, sighting.id) not in seen:
                seen.add((sighting.table, sighting.id))
                put(cx, sighting)
        for directory_id, file_id in placements(each):
            cx.execute("INSERT OR IGNORE INTO placement VALUES (?, ?)", (directory_id, file_id))
    for file_id, directory_id in HOMES.items():
        cx.execute("INSERT OR IGNORE INTO placement VALUES (?, ?)", (directory_id, file_id))


def overlay(cx: sqlite3.Connection, exchange: Exchange) -> None:
    """Bring the rows that an exchange's reply shows into the state in which it shows them."""
    for sighting in sightings(exchange):
        put(cx, sighting)


def replies(exchange: Exchange) -> Iterator[Any]:
    """The recorded replies of an exchange: one, or those of the calls that an SDK made."""
    yield exchange.response.get("json")
    for each in exchange.extra.get("exchanges", ()):
        yield (each.get("response") or {}).get("json")


def sightings(exchange: Exchange) -> Iterator[Sighting]:
    """The rows in the replies of an exchange."""
    for reply in replies(exchange):
        for row in _objects(reply):
            for table, fields in SIGNS.items():
                if fields <= row.keys() and isinstance(row.get("id"), int):
                    yield Sighting(table, row["id"], row)
                    break


def placements(exchange: Exchange) -> Iterator[tuple[int, int]]:
    """Which file lies in which dataset, by lists of datasets and by imports."""
    metadata = (exchange.request.get("json") or {}) if isinstance(exchange.request.get("json"), dict) else {}
    directory_id = (metadata.get("metadata") or {}).get("directory_id") if "metadata" in metadata else None
    for reply in replies(exchange):
        listed = reply.get("file_list") if isinstance(reply, dict) else None
        if directory_id and isinstance(listed, list):
            for item in listed:
                file_id = item.get("id") if isinstance(item, dict) else item
                if isinstance(file_id, int) and directory_id != 9999:
                    yield directory_id, file_id
        for row in _objects(reply):
            if SIGNS["input"] <= row.keys() and row["directory"] and row["file_id"]:
                yield row["directory"]["id"], row["file_id"]


#: Fields by which a row of a table is known in a reply; the first table that fits counts.
SIGNS: dict[str, set[str]] = {
    "directory": {"nickname", "directory_id", "jobs_to_sync"},
    "label_schema": {"is_default", "member_created_id", "project_id"},
    "label": {"colour", "label", "hash"},
    "input": {"processing_deferred", "retry_log", "update_log"},
    "instance": {"creation_ref_id", "label_file_id", "soft_delete", "file_id"},
    "task": {"task_type", "task_reviewers", "file"},
    "export": {"file_comparison_mode", "percent_complete", "status"},
    "job": {"share_type", "stat_count_tasks", "label_schema_id"},
    "model_run": {"reference_id", "model_id"},
    "file": {"original_filename", "hash", "ordinal", "type"},
}


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
    _write(cx, "directory", id=row["id"], project_id=1, nickname=row["nickname"], created=_moment(row["created_time"]))


def _put_label_schema(cx: sqlite3.Connection, row: Row) -> None:
    _write(
        cx,
        "label_schema",
        id=row["id"],
        project_id=1,
        name=row["name"],
        is_default=row["is_default"],
        member_created_id=row["member_created_id"],
        created=_moment(row["time_created"]),
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
        created=_moment(row["created_time"]),
        updated=_moment(row["time_last_updated"]),
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
        created=_moment(row["created_time"]),
        updated=_moment(row["time_last_updated"]),
        image_id=image_id,
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
        created=_moment(row["created_time"]),
        updated=_moment(row["time_updated"]),
    )


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
        created=_moment(row["created_time"]),
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
        completed=None if row["time_completed"] == "None" else _moment(row["time_completed"]),
        created=_moment(row.get("time_created") or row["time_updated"]),
        updated=_moment(row["time_updated"]),
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
        member_ids=json.dumps(row["member_list_ids"] or [1]),
        reviewer_ids=json.dumps(row.get("reviewer_list_ids") or []),
        tags=json.dumps(row.get("tags") or ["contract"]),
        instance_type=row.get("instance_type") or "box",
        share_type=row["share_type"],
        type=row["type"],
        allow_reviews=bool(row.get("reviewer_list_ids")),
        launched=None if launched in (None, "None") else _moment(launched),
        created=_moment(row["time_created"]),
        updated=_moment(row.get("time_updated") or row["time_created"]),
    )
    attached = (row["attached_directories_dict"] or {}).get("attached_directories_list") or []
    for each in attached:
        _write(cx, "job_directory", job_id=row["id"], directory_id=each["directory_id"], selected=each["selected"])


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
        created=_moment(row["created_time"]),
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
        created=_moment(row["created_time"]),
    )


def _objects(value: object) -> Iterator[Row]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _moment(text: object) -> float:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(str(text))
        except ValueError:
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return time.time()
