"""Saving an instance list: what is sent replaces what is stored (contract sections 9 and 10)."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass, field
from typing import Any

from diffgram_flows.sandbox.replies import JsonReply, ReplyError, log
from diffgram_flows.sandbox.store import instances, labels, models
from diffgram_flows.sandbox.store.instances import Author, Drawn

OUTDATED = (
    "Error: outdated instance list sent. This can happen when 2 users are working on the same file at the same time."
    "Please try reloading page, clicking the refresh file data button or check your network connection. "
    "Please contact use if this persists."
)


@dataclass(slots=True)
class Saved:
    """What a save did, and the log that its reply carries."""

    added: list[int] = field(default_factory=list)
    deleted: list[int] = field(default_factory=list)
    log: dict[str, Any] = field(default_factory=lambda: log(success=False))


@dataclass(slots=True)
class _Addition:
    drawn: Drawn
    previous_id: int | None
    version: int


def save(
    cx: sqlite3.Connection, project: sqlite3.Row, file_id: int, sent: list[Any], author: Author, *, by_person: bool
) -> Saved:
    """Replace the instances of a file by those sent: unchanged ones keep their ids, changed ones get new ids.

    An empty list changes nothing (recorded as ``annotation_update_api_empty``).

    Args:
        cx: A write transaction; a refusal leaves it to the caller to roll back.
        project: The project of the file.
        file_id: The file.
        sent: The complete list, each with its ``id`` if it has one.
        author: Whose work new and changed instances are.
        by_person: Whether the save comes from a task, where nothing that is new or changed is machine made.

    Raises:
        ReplyError: 400, an instance is refused.
    """
    saved = Saved()
    if not sent:
        return saved
    known = instances.stored(cx, file_id, removed=True)
    alive = {row["id"]: row for row in known if not row["soft_delete"]}
    _warn(saved, [row["id"] for row in known], list(alive), sent)
    kept, additions = _compare(cx, project, alive, sent, saved, by_person=by_person)
    saved.deleted = sorted((each for each in alive if each not in kept), reverse=True)
    instances.forget(cx, saved.deleted)
    saved.added = [
        instances.add(cx, file_id, each.drawn, author, previous_id=each.previous_id, version=each.version)
        for each in additions
    ]
    instances.count_changes(cx, file_id, len(saved.added))
    saved.log["success"] = True
    return saved


def _compare(
    cx: sqlite3.Connection,
    project: sqlite3.Row,
    alive: dict[int, sqlite3.Row],
    sent: list[Any],
    saved: Saved,
    *,
    by_person: bool,
) -> tuple[set[int], list[_Addition]]:
    label_file_ids = {row["id"] for row in labels.label_files(cx, project["id"])}
    kept: set[int] = set()
    contents = set()
    changed = []
    for instance in sent:
        drawn = _checked(cx, project, instance, label_file_ids, saved)
        old = alive.get(instance.get("id"))
        if old is not None and instances.content_of(old) == drawn.content:
            kept.add(old["id"])
            contents.add(drawn.content)
        else:
            changed.append((instance, old, instances.by_person(drawn) if by_person else drawn))
    additions = []
    for instance, old, drawn in changed:
        if drawn.content in contents:  # it became identical to another one, and is merged into that
            saved.log["info"]["hash_list"] = "No instance to remove."
            continue
        contents.add(drawn.content)
        version = int(instance.get("version") or 0) + 1 if old is not None else 1
        additions.append(_Addition(drawn, None if old is None else old["id"], version))
    return kept, additions


def _checked(
    cx: sqlite3.Connection, project: sqlite3.Row, instance: Any, label_file_ids: set[int], saved: Saved
) -> Drawn:
    saved.log["info"][str(time.time())] = "Valid Instance Dict"
    try:
        existing = models.existing(cx, project["id"], instance)
        return instances.check(existing, label_file_ids, project["string_id"])
    except instances.RefusedInstanceError as refusal:
        raise _refusal(saved, refusal.fields) from refusal
    except (instances.CrashedInstanceError, TypeError) as crash:
        raise _refusal(saved, {"instance": str(crash)}) from crash


def _refusal(saved: Saved, fields: dict[str, str]) -> ReplyError:
    return ReplyError(JsonReply({"log": {**saved.log, "error": fields}}, 400))


def _warn(saved: Saved, known: list[int], alive: list[int], sent: list[Any]) -> None:
    sent_ids = {instance.get("id") for instance in sent if isinstance(instance, dict)}
    missing = sorted((each for each in alive if each not in sent_ids), reverse=True)
    if missing:
        saved.log["warning"] = {
            "frame_number": None,
            "information": OUTDATED,
            "instance_list_existing_ids": sorted(known, reverse=True),
            "instance_list_new": sent,
            "missing_ids": missing,
            "new_instance_list_missing_ids": "Invalid payload sent to server, missing the following instances IDs "
            f"{missing}",
        }
