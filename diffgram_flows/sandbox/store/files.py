"""Image files and where they lie: one file may lie in several datasets."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.media import Links

IMAGES = (
    "SELECT file.*, image.width, image.height, image.blob, image.rotation_degrees, image.id AS image FROM file "
    "JOIN image ON image.id = file.image_id "
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of an image before it becomes a file."""

    name: str
    width: int
    height: int
    content_type: str


def add(cx: sqlite3.Connection, project_id: int, directory_id: int, picture: Picture) -> tuple[int, str]:
    """Add a file to a dataset; return its id and the blob under which its bytes belong."""
    now = time.time()
    image_id = cx.execute(
        "INSERT INTO image (original_filename, width, height, content_type) VALUES (?, ?, ?, ?)",
        (picture.name, picture.width, picture.height, picture.content_type),
    ).lastrowid
    blob = f"projects/images/{project_id}/{image_id}"
    cx.execute("UPDATE image SET blob = ? WHERE id = ?", (blob, image_id))
    # Not a hash of the bytes: what the recorded one is a hash of is unknown, and nobody shall rely on it here.
    digest = hashlib.sha256(f"{image_id} {now} {picture.name}".encode()).hexdigest()
    file_id = cx.execute(
        "INSERT INTO file (project_id, type, original_filename, hash, created, updated, image_id) "
        "VALUES (?, 'image', ?, ?, ?, ?, ?)",
        (project_id, picture.name, digest, now, now, image_id),
    ).lastrowid
    place(cx, directory_id, int(file_id or 0))
    return int(file_id or 0), blob


def place(cx: sqlite3.Connection, directory_id: int, file_id: int) -> None:
    """Put a file into a dataset."""
    cx.execute("INSERT OR IGNORE INTO placement VALUES (?, ?)", (directory_id, file_id))


def remove(cx: sqlite3.Connection, directory_id: int | None, file_id: int) -> int:
    """Take a file out of one dataset, or out of all; return out of how many."""
    return cx.execute(
        "DELETE FROM placement WHERE file_id = ? AND (? IS NULL OR directory_id = ?)",
        (file_id, directory_id, directory_id),
    ).rowcount


def copy(cx: sqlite3.Connection, directory_id: int, row: sqlite3.Row) -> tuple[int, str]:
    """Add a file to a dataset that is like another one; return its id and the blob for a copy of the bytes."""
    kind = cx.execute("SELECT content_type FROM image WHERE id = ?", (row["image"],)).fetchone()["content_type"]
    picture = Picture(row["original_filename"], row["width"], row["height"], kind)
    file_id, blob = add(cx, row["project_id"], directory_id, picture)
    cx.execute(
        "UPDATE file SET ordinal = ?, file_metadata = ? WHERE id = ?", (row["ordinal"], row["file_metadata"], file_id)
    )
    change(cx, file_id, {"rotation_degrees": row["rotation_degrees"]})
    return file_id, blob


def change(cx: sqlite3.Connection, file_id: int, wanted: dict[str, Any]) -> None:
    """Set what can be set on a file: ``ordinal`` and ``rotation_degrees``. Everything else is ignored (recorded)."""
    if "ordinal" in wanted:
        cx.execute("UPDATE file SET ordinal = ? WHERE id = ?", (wanted["ordinal"], file_id))
    if "rotation_degrees" in wanted:
        cx.execute(
            "UPDATE image SET rotation_degrees = ? WHERE id = (SELECT image_id FROM file WHERE id = ?)",
            (wanted["rotation_degrees"], file_id),
        )
    cx.execute("UPDATE file SET updated = ? WHERE id = ?", (time.time(), file_id))


def describe(cx: sqlite3.Connection, file_id: int, metadata: str) -> None:
    """Store the metadata of a file, as JSON. No recorded reply shows it."""
    cx.execute("UPDATE file SET file_metadata = ? WHERE id = ?", (metadata, file_id))


def get(cx: sqlite3.Connection, project_id: int, file_id: object) -> sqlite3.Row | None:
    """The image file of this id."""
    row: sqlite3.Row | None = cx.execute(
        IMAGES + "WHERE file.id = ? AND project_id = ?", (file_id, project_id)
    ).fetchone()
    return row


def named(cx: sqlite3.Connection, directory_id: int, name: str) -> int | None:
    """The id of the file of this name in a dataset."""
    row = cx.execute(
        "SELECT file.id FROM file JOIN placement ON file_id = file.id "
        "WHERE original_filename = ? AND directory_id = ? ORDER BY file.id",
        (name, directory_id),
    ).fetchone()
    return None if row is None else int(row["id"])


def in_directory(cx: sqlite3.Connection, directory_id: int) -> list[sqlite3.Row]:
    """All image files of a dataset, oldest first."""
    return cx.execute(
        IMAGES + "JOIN placement ON file_id = file.id WHERE directory_id = ? ORDER BY file.id", (directory_id,)
    ).fetchall()


def home(cx: sqlite3.Connection, file_id: int) -> int | None:
    """The first dataset that a file lies in."""
    row = cx.execute("SELECT min(directory_id) AS id FROM placement WHERE file_id = ?", (file_id,)).fetchone()
    return None if row["id"] is None else int(row["id"])


def base_reply(row: sqlite3.Row) -> dict[str, Any]:
    """A file without its image: the mode ``base``."""
    complete = row["ann_is_complete"]
    return {
        "ann_is_complete": None if complete is None else bool(complete),
        "bucket_name": None,
        "connection_id": None,
        "count_instances_changed": row["count_instances_changed"],
        "created_time": clock.iso(row["created"]),
        "hash": row["hash"],
        "id": row["id"],
        "ordinal": row["ordinal"],
        "original_filename": row["original_filename"],
        "state": "added",
        "time_last_updated": clock.iso(row["updated"]),
        "type": row["type"],
        "video_id": None,
        "video_parent_file_id": None,
    }


def image_reply(row: sqlite3.Row, links: Links | None) -> dict[str, Any]:
    """The image of a file with links to its bytes, or without."""
    return {
        "annotation_status": None,
        "bucket_name": None,
        "error": None,
        "height": row["height"],
        "id": row["image"],
        "original_filename": row["original_filename"],
        "rotation_degrees": row["rotation_degrees"],
        "soft_delete": False,
        "url_signed": links and links.sign(row["blob"])[0],
        "url_signed_blob_path": row["blob"],
        "url_signed_thumb": links and links.sign(row["blob"] + "_thumb")[0],
        "width": row["width"],
    }


def reply(row: sqlite3.Row, links: Links) -> dict[str, Any]:
    """A file with its image: the mode ``annotation``."""
    return {**base_reply(row), "image": image_reply(row, links)}
