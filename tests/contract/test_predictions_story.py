"""Group 10 as one story: every packet and save, worked off for real, and what was stored after each."""

from __future__ import annotations

from typing import Any

import pytest
from contract.moments import travel
from contract.recorded import Exchange, calls, exchange
from contract.stage import Answer, Stage
from contract.values import deviations

STORY = [each for each in calls() if each.group == "10"]
# What an instance is, beside the ids that the server gave it.
VALUES = (
    "type", "label_file_id", "x_min", "y_min", "x_max", "y_max", "width", "height", "points", "attribute_groups",
    "machine_made", "score", "version", "action_type", "soft_delete", "creation_ref_id", "change_source",
)  # fmt: skip
PRESENT = ("model_id", "model_run_id", "previous_id", "root_id", "member_created_id")
FIELDS = ("file_id", "mode", "media_type", "percent_complete", "processing_deferred", "status", "status_text",
          "update_log", "directory", "source", "archived", "original_filename")  # fmt: skip


@pytest.fixture(scope="module")
def told(stage: Stage) -> dict[str, Answer]:
    """The replies of the whole story, each asked for when the import before it was finished."""
    stage.reset()
    with stage.sandbox.database.write() as cx:
        travel(cx, exchange("10/update_mode_on_empty_file"))
        cx.execute("UPDATE file SET count_instances_changed = NULL WHERE id IN (7, 8)")
        cx.execute("DELETE FROM model_run")
        cx.execute("DELETE FROM model")
    answers = {}
    for each in STORY:
        before = stage.newest_import()
        number_next(stage, each)
        answers[each.id] = stage.ask(outcome_of_the_newest(each, before))
        if each.path.endswith("/packet") and answers[each.id].status == 200:
            assert stage.outcome(before) is not None
    return answers


def number_next(stage: Stage, each: Exchange) -> None:
    """Let the next instance get its recorded number, which later requests speak of; others came in between then."""
    added = (each.response.get("json") or {}).get("added_instances") if each.status == 200 else None
    if added and not stage.execute("SELECT 1 FROM instance WHERE id >= ?", added[0]["id"] - 1):
        stage.execute(
            "INSERT INTO instance SELECT ?, -1, NULL, type, label_file_id, x_min, y_min, x_max, y_max, width, height, "
            "points, attribute_groups, machine_made, score, model_id, model_run_id, member_created_id, "
            "creation_ref_id, action_type, version, root_id, previous_id, soft_delete, extra, created "
            "FROM instance LIMIT 1",
            added[0]["id"] - 1,
        )


def outcome_of_the_newest(each: Exchange, newest: int) -> Exchange:
    """The import that is looked at is the newest here too, whatever its number."""
    if not each.name.endswith("__outcome"):
        return each
    path = each.path.rpartition("/")[0] + f"/{newest}"
    return Exchange(each.id, each.group, {**each.request, "path": path}, each.response, None, {})


@pytest.mark.parametrize("recorded", STORY, ids=lambda each: each.name)
def test_the_story_goes_as_recorded(told: dict[str, Answer], recorded: Exchange) -> None:
    answer = told[recorded.id]
    assert answer.status == recorded.status, answer.document
    wanted = recorded.response.get("json")
    assert deviations(known(answer.document), known(wanted)) == []


def known(document: Any) -> Any:
    """What of a reply must be the same in every run: imports, instances and errors by value."""
    if not isinstance(document, dict):
        return document
    if "input" in document:
        sent = (document["input"]["instance_list"] or {}).get("list", [])
        shown = {name: document["input"][name] for name in FIELDS}
        return {**shown, "sent": [numbered(each) for each in sent]}
    if "file_serialized" in document:
        file = document["file_serialized"]
        return {"count": file["count_instances_changed"], "drawn": [drawn(each) for each in file["instance_list"]]}
    if "added_instances" in document:
        log = {name: document["log"].get(name) for name in ("error", "success")}
        added = [drawn(each) for each in document["added_instances"]]
        return {"added": added, "deleted": len(document["deleted_instances"]), "log": log}
    said = document.get("log")
    return {"error": said.get("error"), "success": said.get("success")} if said else document.get("error")


def drawn(instance: dict[str, Any]) -> dict[str, Any]:
    """An instance without the server's numbers."""
    return {name: instance[name] for name in VALUES} | {name: instance[name] is not None for name in PRESENT}


def numbered(sent: dict[str, Any]) -> dict[str, Any]:
    """An instance of a packet, as the import row shows it."""
    return {key: value is not None if key in PRESENT else value for key, value in sent.items()}
