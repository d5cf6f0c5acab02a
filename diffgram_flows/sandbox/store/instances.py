"""Instances: what is drawn on a file, by a machine or a person."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass, replace
from typing import Any

from diffgram_flows.sandbox import clock
from diffgram_flows.sandbox.store import labels

TYPES = [
    "box", "polygon", "point", "geo_point", "geo_circle", "geo_polyline", "geo_polygon", "geo_box", "cuboid", "tag",
    "line", "text_token", "ellipse", "curve", "keypoints", "cuboid_3d", "global", "relation", "audio",
]  # fmt: skip
CORNERS = ("x_min", "y_min", "x_max", "y_max")
# Stored and returned as sent; a box leaves all of them at these values.
EXTRA: dict[str, Any] = {
    "angle": 0.0, "bounds": None, "bounds_lonlat": None, "center_3d": {}, "center_x": None, "center_y": None,
    "coords": None, "cp": None, "dimensions_3d": {}, "edges": [], "end_time": None, "end_token": None,
    "from_instance_id": None, "front_face": None, "interpolated": False, "lonlat": None, "nodes": [], "number": None,
    "p1": None, "p2": None, "pause_object": None, "position_3d": {}, "radius": None, "rating": None,
    "rear_face": None, "rotation_euler_angles": {}, "sequence_id": None, "start_time": None, "start_token": None,
    "text_tokenizer": "nltk", "to_instance_id": None,
}  # fmt: skip


class RefusedInstanceError(Exception):
    """An instance that the recorded server refuses: field name to reason."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__(fields)
        self.fields = fields


class CrashedInstanceError(Exception):
    """An instance on which the recorded server's own code falls over; holds the end of its stack trace."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """One checked instance, ready to be stored."""

    type: str
    label_file_id: int
    corners: tuple[Any, Any, Any, Any]
    size: tuple[Any, Any]
    points: str
    attribute_groups: str | None
    machine_made: bool
    score: float | None
    model_id: int | None
    model_run_id: int | None
    creation_ref_id: str | None
    soft_delete: bool
    extra: str

    @property
    def content(self) -> tuple[Any, ...]:
        """What makes two instances the same: model, run and score do not count (recorded as ``uwe_new_run``)."""
        return (
            self.type, self.label_file_id, self.corners, self.points, self.attribute_groups, self.machine_made,
            self.soft_delete, self.extra,
        )  # fmt: skip


def check(instance: dict[str, Any], label_file_ids: set[int], project: str) -> Drawn:
    """Check what was sent as the recorded server does.

    Raises:
        RefusedInstanceError: It is refused.
        CrashedInstanceError: A corner of a box is missing.
    """
    kind = _checked_kind(instance, label_file_ids, project)
    points = _points(instance)
    corners, size = _geometry(kind, instance, points)
    groups = instance.get("attribute_groups")
    extra = {key: instance[key] for key in EXTRA if key in instance and instance[key] != EXTRA[key]}
    return Drawn(
        type=kind,
        label_file_id=instance["label_file_id"],
        corners=corners,
        size=size,
        points=json.dumps(points),
        attribute_groups=json.dumps(groups, sort_keys=True) if groups else None,
        machine_made=bool(instance.get("machine_made")),
        score=_score(instance.get("score")),
        model_id=instance.get("model_id"),
        model_run_id=instance.get("model_run_id"),
        creation_ref_id=instance.get("creation_ref_id"),
        soft_delete=bool(instance.get("soft_delete")),
        extra=json.dumps(extra, sort_keys=True),
    )


def _checked_kind(instance: dict[str, Any], label_file_ids: set[int], project: str) -> str:
    kind, label = instance.get("type"), instance.get("label_file_id")
    if kind not in TYPES:
        raise RefusedInstanceError({"valid_values_list": f"{kind} not in {TYPES}"})
    if label is None:
        raise RefusedInstanceError({"label_file_id": "Missing label_file_id"})
    floats = {key: "Must be an int" for key in CORNERS if isinstance(instance.get(key), float | str)}
    if floats:
        raise RefusedInstanceError(floats)
    if label not in label_file_ids:
        raise RefusedInstanceError(
            {
                "valid_label_file": f"Label File ID{label}does not belong to project {project}. Ensure you are using "
                "the correct label_file_id (and not the label ID). They are different!"
            }
        )
    return str(kind)


def _score(sent: Any) -> float | None:
    try:
        return None if sent is None else float(sent)  # "0.77" is stored as 0.77
    except (TypeError, ValueError) as error:
        raise CrashedInstanceError(f"{type(error).__name__}: {error}") from error


def _points(instance: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"figure_id": point.get("figure_id"), "x": point["x"], "y": point["y"]}
        for point in instance.get("points") or []
        if isinstance(point, dict) and "x" in point and "y" in point
    ]


def _geometry(
    kind: str, instance: dict[str, Any], points: list[dict[str, Any]]
) -> tuple[tuple[Any, Any, Any, Any], tuple[Any, Any]]:
    if points:
        xs, ys = [point["x"] for point in points], [point["y"] for point in points]
        corners = (min(xs), min(ys), max(xs), max(ys))
        return corners, (corners[2] - corners[0], corners[3] - corners[1])
    sent = [instance.get(key) for key in CORNERS]
    if kind != "box":
        return (sent[0] or 0, sent[1] or 0, sent[2] or 0, sent[3] or 0), (
            instance.get("width"),
            instance.get("height"),
        )
    if None in sent:
        raise CrashedInstanceError("TypeError: type NoneType doesn't define __round__ method")
    x_min, y_min, x_max, y_max = (max(0, value) for value in sent if value is not None)
    if x_max - x_min < 1:
        text = f"Width: {x_max - x_min} less than 1 pixels or negative. xmin: {x_min} xmax: {x_max}"
        raise RefusedInstanceError({"width": text})
    if y_max - y_min < 1:
        text = f"Height: {y_max - y_min} less than 1 pixels or negative. ymin: {y_min} ymax: {y_max}"
        raise RefusedInstanceError({"height": text})
    return (x_min, y_min, x_max, y_max), (x_max - x_min, y_max - y_min)


@dataclass(frozen=True, slots=True)
class Author:
    """Who stores an instance: nobody for an import, a member for a save, a person at a task."""

    member_id: int | None = None
    task_id: int | None = None


def add(
    cx: sqlite3.Connection,
    file_id: int,
    drawn: Drawn,
    author: Author,
    *,
    previous_id: int | None = None,
    version: int = 1,
) -> int:
    """Store one instance and return its id."""
    action = "deleted" if drawn.soft_delete else "created" if previous_id is None else "edited"
    cursor = cx.execute(
        "INSERT INTO instance (file_id, task_id, type, label_file_id, x_min, y_min, x_max, y_max, width, height, "
        "points, attribute_groups, machine_made, score, model_id, model_run_id, member_created_id, creation_ref_id, "
        "action_type, version, previous_id, soft_delete, extra, created) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            file_id, author.task_id, drawn.type, drawn.label_file_id, *drawn.corners, *drawn.size, drawn.points,
            drawn.attribute_groups, drawn.machine_made, drawn.score, drawn.model_id, drawn.model_run_id,
            author.member_id, drawn.creation_ref_id, action, version, previous_id, drawn.soft_delete, drawn.extra,
            time.time(),
        ),
    )  # fmt: skip
    if previous_id is None:
        cx.execute("UPDATE instance SET root_id = id WHERE id = ?", (cursor.lastrowid,))
    return int(cursor.lastrowid or 0)


def stored(cx: sqlite3.Connection, file_id: int, *, removed: bool = False) -> list[sqlite3.Row]:
    """The instances of a file, oldest first; with ``removed`` also those that are gone."""
    return cx.execute(
        "SELECT * FROM instance WHERE file_id = ? AND (? OR NOT soft_delete) ORDER BY id", (file_id, removed)
    ).fetchall()


def counted(cx: sqlite3.Connection, file_id: int) -> list[sqlite3.Row]:
    """How many instances of each label a file has: ``label_file_id``, ``count``, and an ``id``."""
    return cx.execute(
        "SELECT min(id) AS id, label_file_id, count(*) AS count FROM instance WHERE file_id = ? AND NOT soft_delete "
        "GROUP BY label_file_id ORDER BY min(id)",
        (file_id,),
    ).fetchall()


def copy(cx: sqlite3.Connection, source_id: int, target_id: int) -> None:
    """Draw on one file what is drawn on another one."""
    for row in stored(cx, source_id):
        values = {**dict(row), "id": None, "file_id": target_id, "task_id": None, "previous_id": None}
        marks = ", ".join("?" * len(values))
        made = cx.execute(
            f"INSERT INTO instance ({', '.join(values)}) VALUES ({marks})",  # noqa: S608 - names of columns
            tuple(values.values()),
        )
        cx.execute("UPDATE instance SET root_id = id WHERE id = ?", (made.lastrowid,))


def content_of(row: sqlite3.Row) -> tuple[Any, ...]:
    """What :attr:`Drawn.content` was when the row was stored."""
    return (
        row["type"], row["label_file_id"], tuple(row[key] for key in CORNERS), row["points"],
        row["attribute_groups"], bool(row["machine_made"]), bool(row["soft_delete"]), row["extra"],
    )  # fmt: skip


def forget(cx: sqlite3.Connection, ids: list[int]) -> None:
    """Remove instances; their rows stay, as ids that a later save must not miss."""
    cx.executemany("UPDATE instance SET soft_delete = 1 WHERE id = ?", [(each,) for each in ids])


def count_changes(cx: sqlite3.Connection, file_id: int, added: int) -> None:
    """Note on the file that instances were added (recorded: removed ones do not count)."""
    cx.execute(
        "UPDATE file SET count_instances_changed = coalesce(count_instances_changed, 0) + ?, updated = ? WHERE id = ?",
        (added, time.time(), file_id),
    )


def by_person(drawn: Drawn) -> Drawn:
    """The instance as work of a person."""
    return replace(drawn, machine_made=False)


def reply(row: sqlite3.Row) -> dict[str, Any]:
    """An instance with all its 59 fields."""
    return {
        **EXTRA,
        **json.loads(row["extra"]),
        "action_type": row["action_type"],
        "attribute_groups": json.loads(row["attribute_groups"]) if row["attribute_groups"] else None,
        "change_source": None,
        "created_time": clock.iso(row["created"]),
        "creation_ref_id": row["creation_ref_id"],
        "deleted_time": None,
        "deletion_type": None,
        "file_id": row["file_id"],
        "height": row["height"],
        "id": row["id"],
        "label_file_id": row["label_file_id"],
        "machine_made": bool(row["machine_made"]),
        "member_created_id": row["member_created_id"],
        "model_id": row["model_id"],
        "model_run_id": row["model_run_id"],
        "next_id": None,
        "points": json.loads(row["points"]),
        "previous_id": row["previous_id"],
        "root_id": row["root_id"],
        "score": row["score"],
        "soft_delete": bool(row["soft_delete"]),
        "type": row["type"],
        "version": row["version"],
        "width": row["width"],
        **{key: row[key] for key in CORNERS},
    }


def listed_replies(cx: sqlite3.Connection, project_id: int, file_id: int) -> list[dict[str, Any]]:
    """The instances of a file with their label files."""
    by_id = {row["id"]: labels.label_reply(row) for row in labels.label_files(cx, project_id)}
    return [{**reply(row), "label_file": by_id[row["label_file_id"]]} for row in stored(cx, file_id)]
