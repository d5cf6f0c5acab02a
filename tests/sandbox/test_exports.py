"""Exports: their layout, their life, and the faults that can be switched on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from diffgram_flows.sandbox import SandboxProcess

Json = dict[str, Any]
Call = Callable[..., requests.Response]
TO_FILE = "/api/walrus/project/{p}/export/to_file"
LINK = "/api/walrus/project/{p}/export/link"
ANNOTATIONS = {"kind": "Annotations", "file_comparison_mode": "latest", "masks": False}
OTHERS = {"attribute_groups_reference", "export_info", "label_colour_map", "label_map", "readme"}


def finished(call: Call, body: Json) -> Json:
    export: Json = call(TO_FILE, body).json()["export"]
    for _ in range(200):
        export = call(f"/api/walrus/project/{{p}}/export/{export['id']}/status", method="GET").json()["export"]
        if export["status"] == "complete":
            break
        time.sleep(0.02)
    return export


def test_an_export_says_nothing_of_who_drew(
    call: Call, imported: Callable[..., Json], box: Callable[..., Json], labels: Json, dataset: int
) -> None:
    marks = {"machine_made": True, "model_ref": "m", "model_run_ref": "r", "score": 0.9}
    points = [{"x": 1, "y": 2}, {"x": 30, "y": 2}, {"x": 30, "y": 40}]
    polygon = {"type": "polygon", "label_file_id": labels["person"], "points": points}
    file_id = imported("/img/e.jpg", instance_list=[box(**marks), polygon])["file_id"]
    empty_id = imported("/img/empty.jpg")["file_id"]
    export = finished(call, {**ANNOTATIONS, "source": "directory", "directory_id": dataset})
    assert (export["percent_complete"], export["file_list_length"]) == (100.0, 2)
    content = call(LINK, {"id": export["id"], "return_type": "data", "format": "JSON"}).json()
    assert set(content) - OTHERS == {str(file_id), str(empty_id)}
    drawn, outline = content[str(file_id)]["instance_list"]
    assert drawn == {"attribute_groups": None, "id": drawn["id"], "label_file_id": labels["car"], "type": "box",
                     "x_min": 10, "y_min": 20, "x_max": 110, "y_max": 120}  # fmt: skip
    assert set(outline) == {*drawn, "points"}
    assert content[str(empty_id)]["instance_list"] == []
    image, file = content[str(file_id)]["image"], content[str(file_id)]["file"]
    assert set(file) == {"ann_is_complete", "blob_url", "created_time", "id", "original_filename", "type"}
    assert (image["width"], image["height"], image["original_filename"]) == (320, 240, "e.jpg")
    assert time.time() + 6 * 3600 < image["image_signed_expiry"] < time.time() + 8 * 3600
    assert requests.get(image["image_signed_url"], timeout=30).status_code == 200
    assert content["label_map"][str(labels["car"])] == "car"
    assert content["export_info"]["file_list_length"] == 2
    for word in ("machine_made", "score", "model_id", "member_created_id"):
        assert f'"{word}"' not in json.dumps(content)


def test_only_complete_means_files_of_complete_tasks(
    call: Call,
    person: Callable[..., Json],
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
) -> None:
    done, still_open = imported("/img/1.jpg")["file_id"], imported("/img/2.jpg")["file_id"]
    job_id = job_of(dataset, 2)
    person(f"/api/v1/task/{tasks_of(job_id)[0]['id']}/complete")
    body = {**ANNOTATIONS, "source": "job", "job_id": job_id, "wait_for_export_generation": True, "return_type": "data"}
    found = {
        flag: set(call(TO_FILE, {**body, "ann_is_complete": flag}).json()) - OTHERS for flag in (True, False, None)
    }
    everything = {str(done), str(still_open)}
    assert found == {True: {str(done)}, False: everything, None: everything}


def test_a_link_is_a_bare_string_that_needs_no_credentials(call: Call, dataset: int) -> None:
    body = {**ANNOTATIONS, "source": "directory", "directory_id": dataset, "wait_for_export_generation": True}
    url = call(TO_FILE, {**body, "return_type": "url"}).json()
    assert "/diffgram-static/export/" in url
    content = requests.get(url, timeout=30).json()
    assert set(content) == OTHERS
    again = call(LINK, {"id": content["export_info"]["id"], "return_type": "url", "format": "JSON"}).json()
    assert requests.get(again, timeout=30).json() == content
    yaml = call(LINK, {"id": content["export_info"]["id"], "return_type": "url", "format": "YAML"})
    assert (yaml.status_code, yaml.json()) == (200, None)


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"kind": None}, 400, {"kind": "Missing kind"}),
        ({"masks": None, "source": None}, 400, {"masks": "Missing masks", "source": "Missing source"}),
        ({"kind": "COCO"}, 400, {"kind": "Invalid kind"}),
        ({"kind": "TF Records"}, 500, ""),
        ({"source": "job", "job_id": 99999}, 403, "403 Forbidden: No job"),
        ({"source": "directory", "directory_id": 99999}, 500, "'bool' object has no attribute 'id'"),
        ({"source": "nope"}, 400, {"export": "Export not ready yet."}),
    ],
    ids=["no kind", "no masks, no source", "kind", "tf records", "job", "dataset", "source"],
)
def test_exports_that_are_refused(call: Call, changes: Json, status: int, error: object) -> None:
    body = {**ANNOTATIONS, "source": "directory", "wait_for_export_generation": True, "return_type": "data", **changes}
    response = call(TO_FILE, body)
    reply = response.json()
    assert (response.status_code, reply["log"]["error"] if "log" in reply else reply["error"]) == (status, error)


def test_unknown_exports(call: Call) -> None:
    crash = {"error": "'NoneType' object has no attribute 'project_id'"}
    status = call("/api/walrus/project/{p}/export/99999/status", method="GET")
    link = call(LINK, {"id": 99999, "return_type": "url", "format": "JSON"})
    assert [(each.status_code, each.json()) for each in (status, link)] == [(500, crash), (500, crash)]
    refusal = call(LINK, {"id": 1, "return_type": "url", "format": "XML"}).json()
    assert refusal["log"]["error"] == {"valid_values_list": "XML not in ['JSON', 'YAML']"}


def exported(server: SandboxProcess, images: str) -> tuple[Json, bytes]:
    """The row and the bytes of an export of two images; the link before it was ready must be refused."""
    with requests.Session() as session:
        session.auth = (server.client_id, server.client_secret)
        walrus = f"{server.url}/api/walrus"
        for number in range(2):
            media = {"url": f"{images}/img/{number}.jpg", "type": "image"}
            packet = f"{walrus}/v1/project/{server.project}/input/packet"
            session.post(packet, json={"media": media, "directory_id": 1}, timeout=30)
        for _ in range(200):
            listing = f"{walrus}/v1/project/{server.project}/input/view/list"
            body = {"status_filter": "Success"}
            if len(session.post(listing, json=body, timeout=30).json()["input_list"]) == 2:
                break
            time.sleep(0.02)
        exports = f"{walrus}/project/{server.project}/export"
        row = session.post(f"{exports}/to_file", json={**ANNOTATIONS, "source": "directory"}, timeout=30).json()[
            "export"
        ]
        link = {"id": row["id"], "return_type": "url", "format": "JSON"}
        early = session.post(f"{exports}/link", json=link, timeout=30)
        assert (early.status_code, early.json()["error"]) == (400, {"export": "Export not ready yet."})
        for _ in range(200):
            row = session.get(f"{exports}/{row['id']}/status", timeout=30).json()["export"]
            if row["status"] == "complete":
                break
            time.sleep(0.02)
        url = session.post(f"{exports}/link", json=link, timeout=30).json()
    return row, requests.get(url, timeout=30).content


@pytest.mark.parametrize("fault", ["missing_file", "truncated"])
def test_faulty_exports_call_themselves_complete(folder: Path, images: str, fault: str) -> None:
    with SandboxProcess(folder, rate_limits=False, export_fault=fault, export_delay=0.3) as server:
        row, data = exported(server, images)
    assert (row["status"], row["percent_complete"], row["file_list_length"]) == ("complete", 100.0, 2)
    if fault == "truncated":
        with pytest.raises(json.JSONDecodeError):
            json.loads(data)
    else:
        content = json.loads(data)
        assert content["export_info"]["file_list_length"] == 2
        assert len(set(content) - OTHERS) == 1
