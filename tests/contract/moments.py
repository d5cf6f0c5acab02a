"""When an exchange was recorded, and a sandbox as the recorded server was then.

The recordings carry no clock of their own, but most replies show the moment of the newest thing that they know.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

from contract import rows, world
from contract.recorded import Exchange, calls
from contract.rows import Row, Sighting

_KEYS = {
    "created_time", "launch_datetime", "regenerate_datetime", "time_completed", "time_created", "time_last_updated",
    "time_updated",
}  # fmt: skip
_CLOCK = re.compile(r"17\d{8}\.\d+")  # the log of a save is keyed by the clock
_WRITES = re.compile(
    r"/(new|update|launch|set-output-dir|complete|review|add-files|cancel|to_file|action|packet|from_local|large"
    r"|retry|is_complete_toggle|transfer|remove)$|/actions/\d+$"
)
_END = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
# When a file of recordings begins whose first replies show nothing that was new.
_BEGINNINGS = {"08": "06:42:17", "10": "06:43:15", "12": "06:50:20", "14": "06:52:25"}
# Exchanges that show nothing new, and nevertheless came much later than the one before.
_LATER = {"07/job_info_complete": "06:51:12"}
# Tables whose rows come into being one by one, and say when.
_TABLES = ("directory", "file", "instance", "input", "task", "job", "export", "model_run", "workflow", "action")


@dataclass(frozen=True)
class Seen:
    """A row as it was at a moment."""

    moment: float
    sighting: Sighting


@dataclass(frozen=True)
class Removal:
    """What a reply says is gone: the ids that a save removed, or all of a file's that a list does not show."""

    moment: float
    sql: tuple[str, tuple[float, ...]]


def is_write(exchange: Exchange) -> bool:
    """Whether the call changes what later calls see."""
    path = exchange.path.partition("?")[0]
    return exchange.method in ("POST", "PUT") and bool(_WRITES.search(path))


def travel(cx: sqlite3.Connection, exchange: Exchange) -> None:
    """Bring a sandbox that holds everything into the state just before a call that writes, or during one that reads."""
    moment = before(exchange) if is_write(exchange) else during(exchange)
    for table in _TABLES:
        cx.execute(f"DELETE FROM {table} WHERE created > ? AND created < ?", (moment, _END))  # noqa: S608 - our own text
    for sightings in _histories():
        past = [each.sighting for each in sightings if each.moment <= moment]
        if past:
            rows.put(cx, past[-1])
    for removal in _removals():
        if removal.moment <= moment:
            cx.execute(*removal.sql)
    # A task makes the flag of its file false where it was null.
    cx.execute("UPDATE file SET ann_is_complete = coalesce(ann_is_complete, 0) WHERE id IN (SELECT file_id FROM task)")
    if not is_write(exchange):
        world.overlay(cx, exchange)


def signed(exchange: Exchange) -> set[str]:
    """The images that somebody had looked at, as far as the reply shows it."""
    images = (row for row in world.objects(exchange.response.get("json")) if "url_signed_blob_path" in row)
    return {row["url_signed_blob_path"] for row in images if row["url_signed"]}


def during(exchange: Exchange) -> float:
    """The newest moment that the exchange or one before it in its file shows."""
    return _moments()[exchange.id][1]


def before(exchange: Exchange) -> float:
    """When the exchange began: its own newest moment less the time it took, or the newest moment before it."""
    return _moments()[exchange.id][0]


@cache
def _moments() -> dict[str, tuple[float, float]]:
    newest = defaultdict(float, {group: rows.moment(f"2026-11-22 {clock}") for group, clock in _BEGINNINGS.items()})
    found = {}
    for each in calls():
        earlier = newest[each.group]
        newest[each.group] = now = max([earlier, *_shown(each.response.get("json")), _known_moment(each)])
        found[each.id] = (max(earlier, now - each.elapsed - 0.01) if now > earlier else earlier, now)
    return found


def _known_moment(exchange: Exchange) -> float:
    return rows.moment(f"2026-11-22 {_LATER[exchange.id]}") if exchange.id in _LATER else 0.0


def _shown(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for key, item in value.items():
            if _CLOCK.fullmatch(str(key)):
                yield float(key)
            elif key in _KEYS and isinstance(item, str) and item not in ("None", ""):
                yield rows.moment(item)
            else:
                yield from _shown(item)
    elif isinstance(value, list):
        for item in value:
            yield from _shown(item)


# Fields of jobs that only some replies show.
_PARTIAL = ("attached_directories_dict", "cache_info", "member_list_ids", "reviewer_list_ids", "tags")


def _kept(row: Row) -> Row:
    return {key: row[key] for key in _PARTIAL if row.get(key) is not None}


def _known(row: Row) -> Row:
    return {key: value for key, value in row.items() if key not in _PARTIAL or value is not None}


@cache
def _histories() -> tuple[tuple[Seen, ...], ...]:
    """Every row that was seen in more than one state, with its states in order."""
    found: dict[tuple[str, int], list[Seen]] = defaultdict(list)
    for each in sorted(calls(), key=during):
        for sighting in world.sightings(each):
            history = found[sighting.table, sighting.id]
            if history:
                sighting = replace(sighting, row=_kept(history[-1].sighting.row) | _known(sighting.row))
            if not history or history[-1].sighting.row != sighting.row:
                history.append(Seen(during(each), sighting))
    return tuple(tuple(history) for history in found.values() if len(history) > 1)


@cache
def _removals() -> tuple[Removal, ...]:
    found = []
    for each in sorted(calls(), key=during):
        reply = each.response.get("json")
        if not isinstance(reply, dict):
            continue
        gone = "UPDATE instance SET soft_delete = 1 WHERE id = ?"
        found += [Removal(during(each), (gone, (removed,))) for removed in reply.get("deleted_instances") or ()]
        file = reply.get("file_serialized")
        if file:
            shown = [instance["id"] for instance in file["instance_list"]]
            marks = ", ".join("?" * len(shown))
            sql = f"UPDATE instance SET soft_delete = 1 WHERE file_id = ? AND created <= ? AND id NOT IN ({marks})"  # noqa: S608
            found.append(Removal(during(each), (sql, (file["id"], during(each), *shown))))
    return tuple(found)
