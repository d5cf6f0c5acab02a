"""Reading and saving annotations against recorded replies."""

from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import InvalidRequest, ServerUnreachable
from diffgram_flows.models import Box

Server = Any  # conftest.ScriptedServer

LOG = {"error": {}, "info": {"1795329856.6111815": "Valid Instance Dict"}, "success": True}


def instance(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "action_type": "created",
        "attribute_groups": None,
        "created_time": "2026-11-22T06:32:42.632717",
        "file_id": 10,
        "height": 100,
        "id": number,
        "label_file": {"id": 4, "label": {"id": 1, "name": "car"}, "colour": {"hex": "#00FF80"}},
        "label_file_id": 4,
        "machine_made": False,
        "member_created_id": None,
        "model_id": None,
        "model_run_id": None,
        "points": [],
        "score": None,
        "soft_delete": False,
        "type": "box",
        "x_max": 110,
        "x_min": 10,
        "y_max": 120,
        "y_min": 20,
    } | changes


def annotated(*instances: dict[str, Any]) -> dict[str, Any]:
    image = {"height": 240, "width": 320, "url_signed": "http://storage.local/images/1/4?sig=1"}
    file = {"id": 10, "original_filename": "b1.jpg", "type": "image", "image": image}
    return {"file_serialized": file | {"instance_list": list(instances)}, "success": True}


def saved(**changes: Any) -> dict[str, Any]:
    return {"added_instances": [], "deleted_instances": [], "log": LOG, "success": True} | changes


def test_the_annotations_of_a_file(server: Server, client: DiffgramClient) -> None:
    answers = {"1": {"id": 2, "name": "partly"}, "2": "AB-123"}
    machine = instance(38, machine_made=True, score="0.77", model_id=2, model_run_id=3, attribute_groups=answers)
    polygon = instance(39, type="polygon", points=[{"x": 1, "y": 2}], x_min=None)
    server.answer(annotated(instance(2), machine, polygon))
    found = client.annotations(10)
    assert server.last.path == "/api/project/contract-project/file/10/annotation/list"
    assert (found.file.id, found.file.name, found.width, found.height) == (10, "b1.jpg", 320, 240)
    assert found.raw == [instance(2), machine, polygon]
    human, predicted, drawn = found.instances
    assert (human.label_name, human.machine_made, human.box) == ("car", False, Box(4, 10, 20, 110, 120))
    assert (predicted.machine_made, predicted.model_id, predicted.model_run_id) == (True, 2, 3)
    assert predicted.box == Box(4, 10, 20, 110, 120, 0.77)
    assert drawn.box is None
    assert drawn.points == [{"x": 1, "y": 2}]
    assert (human.attribute_groups, predicted.attribute_groups) == ({}, answers)
    assert "sig=1" not in repr(found)


def test_an_unknown_file(server: Server, client: DiffgramClient) -> None:
    server.answer({"message": " File not in valid project directory.", "success": False}, status=400)
    with pytest.raises(InvalidRequest, match=r"file 99999.*not in valid project"):
        client.annotations(99999)


def test_saving_tells_what_is_new_and_what_is_gone(server: Server, client: DiffgramClient) -> None:
    server.answer(saved(added_instances=[instance(43)], deleted_instances=[42, 41]))
    raw = [instance(2), {"type": "box", "label_file_id": 4, "x_min": 1, "y_min": 1, "x_max": 9, "y_max": 9}]
    result = client.save_annotations(10, raw)
    assert server.last.path == "/api/project/contract-project/file/10/annotation/update"
    assert server.last.json == {"instance_list": raw, "and_complete": False}
    assert (result.added, result.deleted, result.warning, result.missing) == ([43], [42, 41], "", [])


def test_the_tombstone_of_a_removed_instance_is_not_new(server: Server, client: DiffgramClient) -> None:
    tombstone = instance(2190, action_type="deleted", soft_delete=True)
    server.answer(saved(added_instances=[tombstone], deleted_instances=[2178]))
    result = client.save_annotations(10, [instance(2178, soft_delete=True)])
    assert (result.added, result.deleted) == ([], [2178])


def test_work_that_was_overwritten_is_named(server: Server, client: DiffgramClient) -> None:
    warning = {"information": "Error: outdated instance list sent.", "missing_ids": [13], "frame_number": None}
    server.answer(saved(deleted_instances=[13], log=LOG | {"warning": warning}))
    result = client.save_annotations(10, [instance(2)])
    assert result.warning == "Error: outdated instance list sent."
    assert result.missing == [13]


def test_a_wrong_label_saves_nothing(server: Server, client: DiffgramClient) -> None:
    error = {"valid_label_file": "Label File ID999does not belong to project contract-project."}
    server.answer({"log": {"error": error, "info": {}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match=r"file 12.*ID999"):
        client.save_annotations(12, [instance(2, label_file_id=999)])


def test_saving_to_an_unknown_file(server: Server, client: DiffgramClient) -> None:
    server.answer({"error": "'int' object has no attribute 'log'"}, status=500)
    with pytest.raises(InvalidRequest, match="ids"):
        client.save_annotations(99999, [instance(2)])


def test_a_save_that_may_have_arrived_is_not_repeated(server: Server, client: DiffgramClient) -> None:
    server.answer(reset=True)
    with pytest.raises(ServerUnreachable):
        client.save_annotations(10, [instance(2)])
    assert len(server.sent) == 1


@pytest.mark.parametrize(("ids", "body"), [(None, {}), ([2], {"id_list": [2]})], ids=["all", "some"])
def test_model_runs(server: Server, client: DiffgramClient, ids: list[int] | None, body: dict[str, Any]) -> None:
    run = {"created_time": "Sun, 22 Nov 2026 06:43:21 GMT", "id": 2, "model_id": 2, "reference_id": "run-2"}
    server.answer({"model_run_list": [run]})
    assert [(row.id, row.model_id, row.reference_id) for row in client.model_runs(ids)] == [(2, 2, "run-2")]
    assert server.last.json == body
