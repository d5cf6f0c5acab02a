"""Uploads, lists of files, signed links, moving, and saving instances synchronously."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from PIL import Image

Json = dict[str, Any]
Call = Callable[..., requests.Response]
FILES = "/api/project/{p}/user/sdk/file/list"


def picture() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48)).save(stream, "PNG")
    return stream.getvalue()


def upload(call: Call, name: str, wanted: object, data: bytes | None = None) -> requests.Response:
    files = {"file": (name, picture() if data is None else data)}
    form = {"json": wanted if isinstance(wanted, str) else json.dumps(wanted)}
    return call("/api/walrus/v1/project/{p}/input/from_local", files=files, data=form)


def test_an_upload_is_ready_in_its_reply(call: Call, dataset: int, box: Callable[..., Json]) -> None:
    reply = upload(call, "up.png", {"directory_id": dataset, "instance_list": [box()]}).json()
    assert reply["input"]["status"] == "success"
    assert reply["input"]["file_id"] == reply["file"]["id"]
    assert (reply["input"]["status_text"], reply["input"]["source"]) == (None, None)
    again = upload(call, "up.png", {"directory_id": dataset})
    assert again.status_code == 400
    text = f"Filename up.png Already Exists in Dir. Existing ID is:{reply['file']['id']}"
    assert again.json()["input"]["status_text"] == text
    assert again.json()["input"]["update_log"] == {"error": {"existing_file_id": reply["file"]["id"]}}


def test_an_upload_with_a_bad_label_calls_itself_a_success(call: Call, dataset: int, box: Callable[..., Json]) -> None:
    body = {"directory_id": dataset, "instance_list": [box(label_file_id=999)]}
    reply = upload(call, "bad.png", body).json()
    assert (reply["log"]["success"], reply["input"]["status"]) == (True, "failed")


@pytest.mark.parametrize(
    ("name", "wanted", "data", "status", "error"),
    [
        ("x.png", {"directory_id": 9999}, None, 400, {"error": "Bad directory_id: 9999", "info": {}, "success": False}),
        (
            "x.png",
            "xx",
            None,
            400,
            {"error": {"input": "Expecting a key 'json' in form request."}, "info": {}, "success": False},
        ),
        ("x.xyz", {}, None, 400, {"error": {}, "info": {}, "success": False}),
    ],
    ids=["unknown dataset", "no json", "extension"],
)
def test_uploads_that_are_refused(
    call: Call, name: str, wanted: object, data: bytes | None, status: int, error: Json
) -> None:
    response = upload(call, name, wanted, data)
    assert (response.status_code, response.json()["log"]) == (status, error)


def test_a_corrupt_upload_crashes_the_server(call: Call, dataset: int) -> None:
    response = upload(call, "x.png", {"directory_id": dataset}, b"junk")
    assert (response.status_code, response.json()) == (500, {"error": "'NoneType' object has no attribute 'parent_id'"})


def test_pages_of_files(call: Call, dataset: int) -> None:
    ids = [upload(call, f"page-{n}.png", {"directory_id": dataset}).json()["file"]["id"] for n in range(5)]
    wanted = {"directory_id": dataset, "limit": 2, "page": 1, "file_view_mode": "base", "search_term": None}
    found = []
    while wanted["page"]:
        reply = call(FILES, {"metadata": wanted}).json()
        found += [each["id"] for each in reply["file_list"]]
        assert len(reply["file_list"][0]) == 14
        wanted["page"] = reply["metadata"]["next_page"]
    assert found == ids[::-1]
    assert (reply["metadata"]["total_pages"], reply["metadata"]["file_count"]) == (3, 5)
    only = call(FILES, {"metadata": {**wanted, "page": 1, "limit": 25000, "file_view_mode": "ids_only"}}).json()
    assert only["file_list"] == ids[::-1]
    assert only["metadata"]["limit"] == 25000
    clamped = call(FILES, {"metadata": {**wanted, "page": 1, "limit": 5000}}).json()["metadata"]
    assert clamped["limit"] == 1000
    beyond = call(FILES, {"metadata": {**wanted, "page": 500}}).json()
    assert (beyond["file_list"], beyond["metadata"]["no_results_match_search"]) == ([], True)
    part = call(FILES, {"metadata": {**wanted, "page": 1, "search_term": "page-3"}}).json()["file_list"]
    assert [each["id"] for each in part] == [ids[3]]


@pytest.mark.parametrize(
    ("body", "status", "reply"),
    [
        ({}, 400, "Error no metadata"),
        ({"metadata": {"directory_id": 99999, "file_view_mode": "base"}}, 400, "Error with directory"),
        (
            {"metadata": {"file_view_mode": "nope"}},
            400,
            {"log": {"error": {"file_view_mode": 'Invalid file_view_mode "nope"'}, "info": {}, "success": False}},
        ),
    ],
    ids=["no metadata", "unknown dataset", "unknown mode"],
)
def test_lists_that_are_refused(call: Call, body: Json, status: int, reply: object) -> None:
    response = call(FILES, body)
    assert (response.status_code, response.json()) == (status, reply)


def test_signed_links_work_without_credentials_and_only_as_signed(call: Call, dataset: int) -> None:
    file_id = upload(call, "signed.png", {"directory_id": dataset}).json()["file"]["id"]
    reply = call(f"/api/project/{{p}}/file/{file_id}/get-signed-url", method="GET").json()
    url = reply["file"]["image"]["url_signed"]
    assert reply["log"]["success"] is False
    served = requests.get(url, timeout=30)
    assert (served.content, served.headers["content-type"]) == (picture(), "image/png")
    assert requests.get(url[:-1], timeout=30).status_code == 403
    assert requests.get(url.replace("Expires=1", "Expires=2"), timeout=30).status_code == 403
    assert requests.get(url.partition("?")[0], timeout=30).status_code == 403


def test_files_are_mirrored_and_removed(call: Call, dataset: int, new_dataset: Callable[[], int]) -> None:
    other = new_dataset()
    file_id = upload(call, "m.png", {"directory_id": dataset}).json()["file"]["id"]
    mirror = {"file_list": [{"id": file_id}], "destination_directory_id": other, "mode": "TRANSFER"}
    reply = call("/api/v1/project/{p}/file/transfer", {**mirror, "transfer_action": "mirror"}).json()
    assert reply["log"]["info"] == {str(file_id): True}
    remove = {**mirror, "source_directory_id": dataset, "mode": "REMOVE"}
    reply = call("/api/v1/project/{p}/file/transfer", remove).json()
    assert reply["log"]["info"] == {"remove": "Removed 1 file(s)."}
    for directory_id, ids in ((dataset, []), (other, [file_id])):
        body = {"metadata": {"directory_id": directory_id, "file_view_mode": "ids_only"}}
        assert call(FILES, body).json()["file_list"] == ids


def test_unknown_files(call: Call) -> None:
    assert call("/api/project/{p}/file/99999/annotation/list").json() == {
        "message": " File not in valid project directory.",
        "success": False,
    }
    view = call("/api/v1/file/view", {"file_id": 99999, "project_string_id": "sandbox"})
    assert (view.status_code, view.json()) == (500, {"error": "'NoneType' object has no attribute 'id'"})
    update = call("/api/project/{p}/file/99999/annotation/update", {"instance_list": []})
    assert (update.status_code, update.json()) == (500, {"error": "'int' object has no attribute 'log'"})


def test_a_synchronous_save_replaces(
    call: Call, dataset: int, box: Callable[..., Json], stored: Callable[[int], list[Json]]
) -> None:
    machine = box(1, machine_made=True, score=0.5)
    body = {"directory_id": dataset, "instance_list": [machine, box(2), box(3)]}
    file_id = upload(call, "save.png", body).json()["file"]["id"]
    save = f"/api/project/{{p}}/file/{file_id}/annotation/update"
    one, two, three = stored(file_id)
    assert call(save, {"instance_list": []}).json()["log"]["success"] is False

    reply = call(save, {"instance_list": [one, {**two, "x_min": 5}, box(4, machine_made=True)]}).json()
    assert reply["deleted_instances"] == [three["id"], two["id"]]
    assert reply["log"]["warning"]["missing_ids"] == [three["id"]]
    changed, new = reply["added_instances"]
    assert (changed["previous_id"], changed["action_type"], changed["member_created_id"]) == (two["id"], "edited", 2)
    assert (new["action_type"], new["machine_made"]) == ("created", True)
    kept = stored(file_id)
    assert [each["id"] for each in kept] == [one["id"], changed["id"], new["id"]]

    reply = call(save, {"instance_list": [{**kept[0], "soft_delete": True}, *kept[1:]]}).json()
    assert reply["deleted_instances"] == [one["id"]]
    assert (reply["added_instances"][0]["action_type"], reply["added_instances"][0]["version"]) == ("deleted", 2)
    assert [each["id"] for each in stored(file_id)] == [changed["id"], new["id"]]

    refusal = call(save, {"instance_list": [box(label_file_id=999)]})
    assert refusal.status_code == 400
    assert "valid_label_file" in refusal.json()["log"]["error"]
    assert [each["id"] for each in stored(file_id)] == [changed["id"], new["id"]]


def test_a_box_that_lost_its_machine_mark_is_merged_into_its_human_twin(
    call: Call, dataset: int, box: Callable[..., Json], stored: Callable[[int], list[Json]]
) -> None:
    body = {"directory_id": dataset, "instance_list": [box(), box(machine_made=True)]}
    file_id = upload(call, "twin.png", body).json()["file"]["id"]
    human, machine = stored(file_id)
    sent = [{**box(), "id": human["id"]}, {**box(), "id": machine["id"]}]
    reply = call(f"/api/project/{{p}}/file/{file_id}/annotation/update", {"instance_list": sent}).json()
    assert (reply["added_instances"], reply["deleted_instances"]) == ([], [machine["id"]])
    assert reply["log"]["info"]["hash_list"] == "No instance to remove."
