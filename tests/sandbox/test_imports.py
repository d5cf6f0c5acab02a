"""Imports from URLs: what is refused at once, what fails later, and what the rows say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

Json = dict[str, Any]
Call = Callable[..., requests.Response]
PACKET = "/api/walrus/v1/project/{p}/input/packet"
LIST = "/api/walrus/v1/project/{p}/input/view/list"
UPDATE = "/api/walrus/v1/project/{p}/input/update"
CURE = "On SDK?: Some types of errors may be resolved by updating to latest."
IMAGE = {"url": "http://127.0.0.1:1/x.jpg", "type": "image"}


def test_an_import_succeeds_and_hides_its_url(imported: Callable[..., Json], dataset: int) -> None:
    row = imported("/img/a1.jpg?signature=secret")
    assert row["status"] == "success"
    assert row["original_filename"] == "a1.jpg"
    assert (row["percent_complete"], row["status_text"], row["source"]) == (100.0, "Version: 1.0.0", "from_url")
    assert "secret" not in str(row)
    assert len(row) == 29


@pytest.mark.parametrize(
    ("body", "error", "info"),
    [
        ({"media": IMAGE}, {"directory": "'directory_id' not supplied"}, {}),
        (
            {"media": {"type": "image"}, "directory_id": 1},
            {"file_name": "Provide file_name along with directory_id"},
            "Started processing",
        ),
        (
            {"media": {"url": IMAGE["url"]}, "directory_id": 1},
            {"file_name": "Provide file_name along with directory_id"},
            "Started processing",
        ),
        (
            {"media": IMAGE, "directory_id": 1, "instance_list": []},
            {"instance_list": "List must not be empty"},
            {},
        ),
        ({"media": IMAGE, "directory_id": 1, "instance_list": {"a": 1}}, {"instance_list": "Must be a list"}, {}),
    ],
    ids=["no dataset", "no url", "no type", "empty instances", "instances no list"],
)
def test_packets_that_are_refused_at_once(call: Call, body: Json, error: Json, info: object) -> None:
    response = call(PACKET, body)
    assert (response.status_code, response.json()) == (400, {"log": {"error": error, "info": info, "success": False}})


def test_the_directory_header_is_dead(call: Call) -> None:
    response = call(PACKET, {"media": IMAGE}, headers={"directory_id": "1"})
    assert response.json()["log"]["error"] == {"directory": "'directory_id' not supplied"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"media": IMAGE, "directory_id": 99999}, "gkpj"),
        ({"media": IMAGE, "directory_id": "abc"}, "9h9h"),
        ({"media": IMAGE, "directory_id": 1, "job_id": 99999}, "gkpj"),
        ({"file_id": 99999, "mode": "update", "instance_list": [{"type": "box"}]}, "gkpj"),
    ],
    ids=["dataset", "dataset no number", "job", "file"],
)
def test_unknown_ids_break_the_status_line(call: Call, body: Json, code: str) -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        call(PACKET, body)
    assert f"BadStatusLine('HTTP/1.0 0 {code}\\r\\n')" in repr(caught.value)
    assert call(LIST).status_code == 200


@pytest.mark.parametrize(
    ("path", "packet", "text", "name"),
    [
        ("/404/c.jpg", {}, "Exceeded retry limit, no valid response (404) from {u} Response: no such", "c.jpg"),
        ("/403/c.jpg?k=v", {}, "Exceeded retry limit, no valid response (403) from {u} Response: denied", "c.jpg"),
        ("/text/c.jpg", {}, "Could not open file", "c.jpg"),
        ("/cut/c.jpg", {}, "Could not open file", "c.jpg"),
        ("/bomb/c.png", {}, "Could not open file", "c.png"),
        ("/img/c", {}, "Invalid extension, check filename", "c"),
        ("/img/c.jpg", {"media": {"url": "http://x.example/c.jpg", "type": "picture"}}, "Invalid media type: .jpg",
         "c.jpg"),
        ("", {"media": {"url": "s3://bucket/c.jpg", "type": "image"}}, "Invalid url (Did not start with http)", None),
        ("", {"media": {"url": "http://127.0.0.1:1/c.jpg", "type": "image"}}, "Error downloading media.", "c.jpg"),
    ],
    ids=["404", "403", "text", "truncated", "bomb", "no extension", "media type", "scheme", "refused"],
)  # fmt: skip
def test_imports_that_fail_later(
    imported: Callable[..., Json], images: str, path: str, packet: Json, text: str, name: str | None
) -> None:
    row = imported(path, **packet)
    assert (row["status"], row["status_text"]) == ("failed", text.replace("{u}", images + path))
    assert (row["percent_complete"], row["file_id"], row["original_filename"]) == (0.0, None, name)


@pytest.mark.parametrize(
    ("path", "packet", "name"),
    [
        ("/redirect/c9.jpg", {}, "c9.jpg"),
        ("/img/c8b", {"original_filename": "c8b.jpg"}, "c8b.jpg"),
        ("/img/x.jpg", {"original_filename": "größe 12 (a).jpg"}, "größe 12 (a).jpg"),
        ("/img/y.jpg", {"original_filename": "a/b/slash.jpg", "instance_list": None}, "a/b/slash.jpg"),
    ],
    ids=["redirect", "name has the extension", "unicode", "slash"],
)
def test_names_of_imports(imported: Callable[..., Json], path: str, packet: Json, name: str) -> None:
    row = imported(path, **packet)
    assert (row["status"], row["original_filename"]) == ("success", name)


def test_a_twin_fails_and_names_the_existing_file(imported: Callable[..., Json]) -> None:
    first, second = imported("/img/a.jpg"), imported("/img/a.jpg")
    text = f"Filename a.jpg Already Exists in Dir. Existing ID is:{first['file_id']}"
    assert (second["status"], second["status_text"], second["file_id"]) == ("failed", text, None)
    assert second["update_log"]["error"] == {"status_text": text}


def test_twenty_twins_at_once_give_one_file(
    call: Call, rows: Callable[..., list[Json]], images: str, dataset: int
) -> None:
    body = {"media": {"url": f"{images}/img/same.jpg", "type": "image"}, "directory_id": dataset}
    threads = [threading.Thread(target=call, args=(PACKET, body)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = [row["status"] for row in rows(dataset, at_least=20)]
    assert (statuses.count("success"), statuses.count("failed")) == (1, 19)


def test_a_name_of_300_characters_hangs_for_ever(call: Call, images: str, dataset: int) -> None:
    body = {"media": {"url": f"{images}/img/l.jpg", "type": "image"}, "directory_id": dataset}
    call(PACKET, {**body, "original_filename": "L" * 300 + ".jpg"})
    for _ in range(100):
        row = call(LIST, {"limit": 1}).json()["input_list"][0]
        if row["status"] == "processing":
            break
        time.sleep(0.02)
    time.sleep(0.2)
    row = call(f"/api/walrus/v1/project/{{p}}/input/view/{row['id']}").json()["input"]
    assert (row["status"], row["percent_complete"], row["update_log"]["error"]) == ("processing", 0.0, {})
    call(UPDATE, {"id_list": [row["id"]], "mode": "ARCHIVE"})


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (
            {"label_file_id": 9999},
            "Instance List Error:{'valid_label_file': 'Label File ID9999does not belong to project sandbox. Ensure you "
            "are using the correct label_file_id (and not the label ID). They are different!'} " + CURE,
        ),
        ({"label_file_id": None}, "Instance List Error:{'label_file_id': 'Missing label_file_id'} " + CURE),
        ({"x_min": 1.5, "y_max": 9.5}, "Instance List Error:{'x_min': 'Must be an int', 'y_max': 'Must be an int'} "
         + CURE),
        ({"x_max": 2}, "Instance List Error:{'width': 'Width: -8 less than 1 pixels or negative. xmin: 10 xmax: 2'} "
         + CURE),
        (
            {"y_max": None},
            "Instance List Creation error: Traceback (most recent call last): <frames removed> "
            "TypeError: type NoneType doesn't define __round__ method",
        ),
    ],
    ids=["wrong label", "no label", "float", "inverted", "missing corner"],
)  # fmt: skip
def test_a_bad_instance_leaves_the_image_and_the_earlier_boxes(
    imported: Callable[..., Json],
    stored: Callable[[int], list[Json]],
    box: Callable[..., Json],
    wrong: Json,
    text: str,
) -> None:
    row = imported("/img/b.jpg", instance_list=[box(300, 200), {**box(), **wrong}, box(1, 1)])
    assert (row["status"], row["status_text"], row["percent_complete"]) == ("failed", text, 100.0)
    assert [each["x_max"] for each in stored(row["file_id"])] == [400]


def test_a_null_instance_fails_in_its_own_way(imported: Callable[..., Json]) -> None:
    row = imported("/img/b13.jpg", instance_list=[None])
    assert (row["status"], row["percent_complete"], row["status_text"]) == ("failed", 0.0, "Version: 1.0.0")
    assert row["update_log"]["error"]["process_one_image"] == "Instance cannot be None"
    assert row["instance_list"] == {}
    assert row["file_id"] is not None


def test_stored_instances(
    imported: Callable[..., Json], stored: Callable[[int], list[Json]], box: Callable[..., Json], labels: Json
) -> None:
    points = [{"x": 10, "y": 10}, {"x": 100, "y": 12}, {"x": 60, "y": 90}]
    sent = [
        box(-30, -20),
        {"type": "polygon", "label_file_id": labels["person"], "points": points},
        {"type": "tag", "label_file_id": labels["person"]},
    ]
    negative, polygon, tag = stored(imported("/img/b.jpg", instance_list=sent)["file_id"])
    assert (negative["x_min"], negative["y_min"], negative["x_max"], negative["width"]) == (0, 0, 70, 70)
    assert len(negative) == 60
    assert (negative["machine_made"], negative["member_created_id"]) == (False, None)
    assert [polygon[key] for key in ("x_min", "y_min", "x_max", "y_max")] == [10, 10, 100, 90]
    assert polygon["points"][0] == {"figure_id": None, "x": 10, "y": 10}
    assert [tag[corner] for corner in ("x_min", "y_min", "x_max", "y_max", "width", "height")] == [
        0,
        0,
        0,
        0,
        None,
        None,
    ]
    assert tag["label_file"]["label"]["name"] == "person"


def test_predictions_are_appended_with_their_model(
    call: Call,
    imported: Callable[..., Json],
    rows: Callable[..., list[Json]],
    stored: Callable[[int], list[Json]],
    box: Callable[..., Json],
    dataset: int,
) -> None:
    file_id = imported("/img/p.jpg", instance_list=[box()])["file_id"]
    marks = {"machine_made": True, "model_ref": "detector", "model_run_ref": "run-1", "score": "0.77"}
    by_id = {"file_id": str(file_id), "directory_id": dataset, "mode": "update", "instance_list": [box(50, **marks)]}
    by_name = {**by_id, "file_name": "p.jpg"}
    del by_name["file_id"]
    for number, packet in enumerate((by_id, by_name), 2):
        assert call(PACKET, packet).status_code == 200
        row = rows(dataset, at_least=number)[0]
        assert (row["status"], row["mode"], row["file_id"]) == ("success", "update", file_id)
    human, *machine = stored(file_id)
    assert human["machine_made"] is False
    assert [(each["machine_made"], each["score"], each["x_min"]) for each in machine] == [(True, 0.77, 50)] * 2
    runs = call("/api/v1/project/{p}/model-runs/list", {"id_list": [machine[0]["model_run_id"]]}).json()
    assert [each["reference_id"] for each in runs["model_run_list"]] == ["run-1"]
    assert runs["model_run_list"][0]["model_id"] == machine[0]["model_id"]


def test_update_with_existing_erases_everything_else(
    call: Call,
    imported: Callable[..., Json],
    rows: Callable[..., list[Json]],
    stored: Callable[[int], list[Json]],
    box: Callable[..., Json],
    dataset: int,
) -> None:
    file_id = imported("/img/p.jpg", instance_list=[box(1), box(2)])["file_id"]
    packet = {"file_id": file_id, "mode": "update_with_existing", "instance_list": [box(2), box(3, machine_made=True)]}
    assert call(PACKET, packet).json()["log"]["error"] == {"directory": "'directory_id' not supplied"}
    kept = stored(file_id)[1]["id"]
    call(PACKET, {**packet, "directory_id": dataset})
    rows(dataset, at_least=2)
    assert [(each["id"] == kept, each["x_min"]) for each in stored(file_id)] == [(True, 2), (False, 3)]


def test_a_file_id_without_mode_fails(
    call: Call, imported: Callable[..., Json], rows: Callable[..., list[Json]], box: Callable[..., Json], dataset: int
) -> None:
    file_id = imported("/img/p.jpg")["file_id"]
    call(PACKET, {"file_id": file_id, "directory_id": dataset, "instance_list": [box()]})
    row = rows(dataset, at_least=2)[0]
    assert (row["status"], row["status_text"]) == ("failed", "Invalid url (None provided)")


def test_lists_of_imports(call: Call, imported: Callable[..., Json]) -> None:
    good, bad = imported("/img/1.jpg"), imported("/text/2.jpg")
    newest = call(LIST, {"limit": 1}).json()["input_list"]
    assert [row["id"] for row in newest] == [bad["id"]]
    succeeded = call(LIST, {"limit": 1, "status_filter": "Success"}).json()["input_list"]
    assert [row["id"] for row in succeeded] == [good["id"]]
    of_file = call(LIST, {"file_id": good["file_id"]}).json()["input_list"]
    assert [row["id"] for row in of_file] == [good["id"]]
    for status, ids in (("Failed", [bad["id"]]), ("Base_Object_Created", [])):
        listed = call(LIST, {"limit": 1, "status_filter": status}).json()["input_list"]
        assert [row["id"] for row in listed] == ids
    refusal = call(LIST, {"status_filter": "failed"})
    known = "['All', 'Success', 'Failed', 'Processing', 'Base_Object_Created', 'Init']"
    assert refusal.json()["log"]["error"] == {"valid_values_list": f"failed not in {known}"}
    unknown = call("/api/walrus/v1/project/{p}/input/view/99999")
    assert (unknown.status_code, unknown.json()) == (500, {"error": "'NoneType' object has no attribute 'project_id'"})


def test_retry_makes_a_new_file(call: Call, imported: Callable[..., Json], rows: Callable[..., list[Json]],
                                dataset: int, box: Callable[..., Json]) -> None:  # fmt: skip
    first = imported("/img/r.jpg", instance_list=[box(label_file_id=9999)])
    reply = call(UPDATE, {"id_list": [first["id"]], "mode": "RETRY"})
    assert (reply.status_code, reply.json()["log"]["success"]) == (200, False)
    (again,) = rows(dataset)
    assert (again["status"], again["retry_count"]) == ("failed", 1)
    assert again["file_id"] > first["file_id"]
    (attempt,) = again["retry_log"].values()
    assert attempt["info"] == {"prior_file_id": first["file_id"]}


def test_archive_frees_the_name(call: Call, imported: Callable[..., Json], dataset: int) -> None:
    first = imported("/img/z.jpg")
    assert call(UPDATE, {"id_list": [first["id"]], "mode": "ARCHIVE"}).json()["log"]["success"] is True
    missing = call("/api/v1/project/{p}/file/exists", {"file_id_list": ["z.jpg"], "directory_id": dataset}).json()
    assert missing == {"result": {"exists": False, "missing_files": ["z.jpg"]}}
    assert imported("/img/z.jpg")["status"] == "success"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"id_list": [999999], "mode": "RETRY"}, {"id_list": "None found."}),
        ({"id_list": [1], "mode": "XX"}, {"valid_values_list": "XX not in ['ARCHIVE', 'RETRY']"}),
    ],
    ids=["unknown id", "unknown mode"],
)
def test_updates_that_are_refused(call: Call, body: Json, error: Json) -> None:
    response = call(UPDATE, body)
    assert (response.status_code, response.json()["log"]["error"]) == (400, error)
