"""A sandbox in the state of the recorded server: the same rows under the same ids, gathered from its replies."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from contract import unseen
from contract.recorded import Exchange, exchanges
from contract.rows import Row, Sighting, put

from diffgram_flows.sandbox.store import accounts
from diffgram_flows.sandbox.store.accounts import Credential

PROJECT = "contract-project"
EMAIL, PASSWORD = "annotator.admin@example.com", "the person's password"
KEYS = {level: Credential(f"LIVE__{level}", f"the secret of {level}") for level in ("admin", "Editor", "Viewer")}
#: Where files lie that no recorded list of a dataset shows.
HOMES = {6: 1, 39: 4, 40: 4, 41: 4, 42: 4, 43: 4, 44: 4}


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
        for directory_id, nickname in named_directories(each):
            cx.execute("INSERT OR IGNORE INTO directory VALUES (?, 1, ?, 0)", (directory_id, nickname))
        for directory_id, file_id in placements(each):
            cx.execute("INSERT OR IGNORE INTO placement VALUES (?, ?)", (directory_id, file_id))
    unseen.add(cx)
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
        for row in objects(reply):
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
        for row in objects(reply):
            if SIGNS["input"] <= row.keys() and row["directory"] and row["file_id"]:
                yield row["directory"]["id"], row["file_id"]


def named_directories(exchange: Exchange) -> Iterator[tuple[int, str]]:
    """Datasets that no reply shows in full: ids and names, as jobs, tasks and imports mention them."""
    for reply in replies(exchange):
        for row in objects(reply):
            if isinstance(row.get("nickname"), str) and len(row) <= 3:
                directory_id = row.get("directory_id") or row.get("id")
                if isinstance(directory_id, int):
                    yield directory_id, row["nickname"]


#: Fields by which a row of a table is known in a reply; the first table that fits counts.
SIGNS: dict[str, set[str]] = {
    "directory": {"nickname", "directory_id", "jobs_to_sync"},
    "attribute_group_of_labels": {"attribute_template_list", "label_file_list"},
    "attribute_group": {"attribute_template_list", "is_root"},
    "input_batch": {"download_status_pre_labeled_data", "member_created_id"},
    "label_schema": {"is_default", "member_created_id", "project_id"},
    "label": {"colour", "label", "hash"},
    "input": {"processing_deferred", "retry_log", "update_log"},
    "instance": {"creation_ref_id", "label_file_id", "soft_delete", "file_id"},
    "task": {"task_type", "task_reviewers", "file"},
    "export": {"file_comparison_mode", "percent_complete", "status"},
    "job": {"share_type", "stat_count_tasks", "label_schema_id"},
    "model_run": {"reference_id", "model_id"},
    "workflow": {"string_id", "trigger_type", "active"},
    "action": {"trigger_data", "workflow_id", "public_name"},
    "file": {"original_filename", "hash", "ordinal", "type"},
}


def objects(value: object) -> Iterator[Row]:
    """Every JSON object in a document."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from objects(item)
