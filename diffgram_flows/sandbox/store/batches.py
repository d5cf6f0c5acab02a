"""Input batches: labels and metadata for files that are uploaded later, by file name (contract section 8)."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.replies import fault
from diffgram_flows.sandbox.store import labels


@dataclass(frozen=True, slots=True)
class PreLabels:
    """What a batch says about one file."""

    instance_list: list[Any] | None = None
    file_metadata: Any = None


def new(cx: sqlite3.Connection, project_id: int, member_id: int, pre_labeled_data: Any) -> int:
    """Add a batch and return its id."""
    content = None if pre_labeled_data is None else json.dumps(pre_labeled_data)
    cursor = cx.execute(
        "INSERT INTO input_batch (project_id, member_id, pre_labeled_data, created) VALUES (?, ?, ?, ?)",
        (project_id, member_id, content, time.time()),
    )
    return int(cursor.lastrowid or 0)


def existing(cx: sqlite3.Connection, project_id: int, batch_id: object) -> sqlite3.Row:
    """The batch of this id.

    Raises:
        ReplyError: 500, there is none. Not recorded; other unknown ids crash the server like this.
    """
    row: sqlite3.Row | None = cx.execute(
        "SELECT * FROM input_batch WHERE id = ? AND project_id = ?", (batch_id, project_id)
    ).fetchone()
    if row is None:
        raise fault(500, "'NoneType' object has no attribute 'project_id'")
    return row


def load(cx: sqlite3.Connection, batch_id: int, content: bytes) -> None:
    """Take appended data as the batch's content; what failed is in its ``download_log_pre_labeled_data``."""
    status, failure, loaded = "success", None, None
    try:
        sent = json.loads(content)
        if not isinstance(sent, dict):
            raise ValueError("Expecting dict")
        loaded = json.dumps(sent)
    except ValueError as error:  # that it ends like this was not recorded
        status = "failed"
        failure = json.dumps({"error": {"data": str(error)}, "info": {}, "success": False})
    cx.execute(
        "UPDATE input_batch SET download_status = ?, download_log = ?, updated = ?, "
        "pre_labeled_data = coalesce(?, pre_labeled_data) WHERE id = ?",
        (status, failure, time.time(), loaded, batch_id),
    )


def pre_labels(cx: sqlite3.Connection, row: sqlite3.Row, name: str, uuid: str) -> PreLabels:
    """What a batch says about a file of this name, or of this upload id; nothing if it has no entry.

    Raises:
        ReplyError: 500, the entry lacks one of its keys or names an unknown label.
    """
    content = json.loads(row["pre_labeled_data"] or "{}")
    entry = content.get(name) or content.get(uuid)
    if not entry:
        return PreLabels()
    for key in ("instance_list", "frame_packet_map"):
        if key not in entry:
            raise fault(500, f"'{key}'")
    oldest: dict[str, int] = {}
    for label in labels.label_files(cx, row["project_id"]):
        oldest.setdefault(label["name"], label["id"])
    sent = [_with_label(instance, oldest) for instance in entry["instance_list"] or []]
    return PreLabels(sent or None, entry.get("file_metadata"))


def _with_label(instance: dict[str, Any], oldest: dict[str, int]) -> dict[str, Any]:
    if instance.get("name") not in oldest:
        raise fault(500, "list index out of range")
    return {**instance, "label_file_id": oldest[instance["name"]]}


def reply(row: sqlite3.Row) -> dict[str, Any]:
    """A batch; ``time_completed`` is the moment of its making (recorded)."""
    return {
        "directory_id": None,
        "download_log_pre_labeled_data": json.loads(row["download_log"]) if row["download_log"] else None,
        "download_status_pre_labeled_data": row["download_status"],
        "id": row["id"],
        "member_created_id": row["member_id"],
        "member_updated_id": row["member_id"],
        "project_id": row["project_id"],
        "source_directory_id": None,
        "status": "pending",
        "time_completed": clock.http_date(row["created"]),
        "time_created": clock.http_date(row["created"]),
        "time_updated": clock.http_date(row["updated"]),
    }
