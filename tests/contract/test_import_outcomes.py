"""What becomes of imports, minutes later on the recorded server and at once in the sandbox."""

from __future__ import annotations

import json
import sqlite3
from functools import cache
from typing import Any

import pytest
from contract.preparing import prepare
from contract.recorded import Exchange, exchange, exchanges
from contract.stage import SPOKEN_OF, Stage
from contract.values import deviations

LATER = [each for each in exchanges() if each.later]
WATCH = "INSERT INTO history SELECT * FROM input WHERE id = new.id"
#: What becomes of uploads in chunks: status, name, dataset, and how many boxes are on the file (contract 7 and 8).
UPLOADED: dict[str, tuple[str, str, int, int]] = {
    "05/single_chunk_chunk0": ("success", "up_single.png", 2, 0),
    "05/multi_small_chunks_chunk4": ("init", "up_multi.jpg", 2, 0),
    "05/multi_5MiB_chunks_chunk2": ("success", "up_big.png", 2, 0),
    "05/no_directory_id_chunk0": ("success", "nodir.png", 1, 0),
    "05/no_source_chunk0": ("success", "nosource.png", 2, 0),
    "05/unsafe_filename_chunk0": ("success", "sp_ace_1.png", 2, 0),
    "06/upload_with_batch": ("success", "btu_1.jpg", 2, 1),
    "06/upload_with_batch_no_entry": ("success", "btu_4.jpg", 2, 0),
    "06/upload_with_appended_batch": ("success", "bta_1.jpg", 2, 1),
}
INPUT = "/api/walrus/v1/project/{p}/input"


@pytest.mark.parametrize("recorded", LATER, ids=lambda each: each.id)
def test_an_import_ends_as_recorded(recorded: Exchange, stage: Stage) -> None:
    assert recorded.later is not None
    stage.reset()
    if recorded.later["stored_name"]:
        stage.forget_name(recorded.later["stored_name"])
    prepare(recorded, stage)
    before = stage.newest_import()
    assert stage.ask(recorded).status == recorded.status
    hangs = recorded.later["status"] == "processing"
    row = stage.outcome(before, patience=0.3 if hangs else 10.0)
    assert row is not None
    assert deviations(outcome(stage, row), spelled_out(recorded.later)) == []
    wanted = rows().get((row["original_filename"], row["status"]))
    shown = stage.post(f"{INPUT}/view/{row['id']}")["input"]
    assert shown.keys() == exchange("04/input_view_one").response["json"]["input"].keys()
    if wanted is not None and "reimport" not in recorded.name:  # those were other packets
        del shown["frame_packet_map"]
        assert deviations(shown, wanted, makes=True) == []


@pytest.mark.parametrize(("name", "wanted"), UPLOADED.items(), ids=UPLOADED)
def test_an_upload_in_chunks_ends_as_it_did(name: str, wanted: tuple[str, str, int, int], stage: Stage) -> None:
    status, file_name, directory_id, boxes = wanted
    stage.reset()
    stage.forget_name(file_name)
    prepare(exchange(name), stage)
    before = stage.newest_import()
    stage.ask(exchange(name))
    row = stage.outcome(before, patience=0.3 if status == "init" else 10.0)
    assert row is not None
    assert (row["status"], row["original_filename"], row["directory_id"]) == (status, file_name, directory_id)
    if status == "success":
        shown = stage.post(f"/api/project/{{p}}/file/{row['file_id']}/annotation/list")["file_serialized"]
        assert (shown["original_filename"], len(shown["instance_list"])) == (file_name, boxes)
        oldest = 1  # of the two labels "car"
        assert all(each["label_file_id"] == oldest for each in shown["instance_list"])


def test_an_import_passes_the_recorded_states(stage: Stage) -> None:
    recorded = exchange("04/timeline_of_real_imports").extra["timeline"]
    stage.reset()
    for name in ("timeline-3.jpg", "timeline-4.jpg"):
        stage.forget_name(name)
    stage.execute("CREATE TABLE history AS SELECT * FROM input WHERE 0")
    for moment in ("INSERT", "UPDATE"):
        stage.execute(f"CREATE TRIGGER on_{moment} AFTER {moment} ON input BEGIN {WATCH}; END")
    before = stage.newest_import()
    box = {"type": "box", "label_file_id": 4, "x_min": 10, "y_min": 20, "x_max": 110, "y_max": 120}
    more: list[dict[str, Any]] = [
        {"original_filename": "timeline-3.jpg"},
        {"original_filename": "timeline-4.jpg", "instance_list": [box]},
        {},
    ]
    for each in more:
        media = {"url": f"{stage.images}/img/a1.jpg", "type": "image"}
        stage.post(f"{INPUT}/packet", {"media": media, "directory_id": 2, **each})
    for number in range(3):
        assert stage.outcome(before + number) is not None
        passed = [state_of(row) for row in stage.execute("SELECT * FROM history WHERE id = ?", before + number + 1)]
        wanted = [state_of(row) for row in recorded if row.get("input_id") == 41 + number]
        assert is_within(wanted, passed), (wanted, passed)


@cache
def rows() -> dict[tuple[str, str], dict[str, Any]]:
    """The recorded rows of imports by file name and status."""
    listed = exchange("04/input_list_all").response["json"]["input_list"]
    return {(row["original_filename"], row["status"]): row for row in listed}


def outcome(stage: Stage, row: sqlite3.Row) -> dict[str, Any]:
    """An import row in the words of the recordings."""
    file = stage.execute("SELECT original_filename FROM file WHERE id = ?", row["file_id"])
    return {
        "status": row["status"],
        "percent_complete": row["percent_complete"],
        "status_text": row["status_text"],
        "update_log_error": json.loads(row["update_log"]).get("error") or None,
        "file_created": bool(file),
        "stored_name": file[0]["original_filename"] if file else row["original_filename"],
    }


def spelled_out(later: dict[str, Any]) -> dict[str, Any]:
    """A recorded outcome with what it only speaks of."""
    return {key: SPOKEN_OF.get(value, value) if isinstance(value, str) else value for key, value in later.items()}


def state_of(row: Any) -> tuple[object, ...]:
    """What counts of an import's state."""
    return row["status"], row["percent_complete"], bool(row["processing_deferred"]), row["status_text"]


def is_within(wanted: list[tuple[object, ...]], passed: list[tuple[object, ...]]) -> bool:
    """Whether what was seen by polling was passed in this order; polling misses states, and sees one several times."""
    left = iter(passed)
    last: object = None
    for each in wanted:
        if each != last and each not in left:
            return False
        last = each
    return True
