"""What becomes of the files of completed tasks, and of jobs and exports that are put away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

Json = dict[str, Any]
Call = Callable[..., requests.Response]
LIST = "/api/project/{p}/user/sdk/file/list"


@pytest.fixture
def finished(
    call: Call,
    person: Callable[..., Json],
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    box: Callable[..., Json],
    dataset: int,
    new_dataset: Callable[[], int],
) -> Callable[[str], tuple[int, int]]:
    """Complete the one task of a job with an output action; return the file and the output dataset."""

    def completing(action: str) -> tuple[int, int]:
        file_id = imported("/img/one.jpg", instance_list=[box()])["file_id"]
        job_id, target = job_of(dataset, 1), new_dataset()
        body = {"job_id": job_id, "output_dir": target, "output_dir_action": action}
        assert call("/api/v1/project/{p}/job/set-output-dir", body).json()["job"]["id"] == job_id
        info = call(f"/api/v1/job/{job_id}/builder/info").json()["job"]
        assert (info["output_dir_action"], info["completion_directory_id"]) == (action, target)
        person(f"/api/v1/task/{tasks_of(job_id)[0]['id']}/complete")
        return file_id, target

    return completing


def files_of(call: Call, directory_id: int) -> list[Json]:
    wanted = {"directory_id": directory_id, "limit": 100, "page": 1, "file_view_mode": "base"}
    found: list[Json] = call(LIST, {"metadata": wanted}).json()["file_list"]
    return found


def test_a_completed_task_copies_its_file_with_what_is_drawn_on_it(
    call: Call, finished: Callable[[str], tuple[int, int]], stored: Callable[[int], list[Json]], dataset: int
) -> None:
    file_id, target = finished("copy")
    [copy] = files_of(call, target)
    assert copy["id"] != file_id
    assert copy["original_filename"] == "one.jpg"
    assert [each["x_min"] for each in stored(copy["id"])] == [10]
    assert [each["id"] for each in files_of(call, dataset)] == [file_id]
    rows = call("/api/walrus/v1/project/{p}/input/view/list", {"limit": 1000}).json()["input_list"]
    [row] = [each for each in rows if each["directory"] and each["directory"]["id"] == target]
    seen = {name: row[name] for name in ("mode", "status", "file_id", "newly_copied_file_id", "original_filename")}
    assert seen == {
        "mode": "copy_file", "status": "success", "file_id": file_id, "newly_copied_file_id": copy["id"],
        "original_filename": "one.jpg",
    }  # fmt: skip
    call("/api/walrus/v1/project/{p}/input/update", {"id_list": [row["id"]], "mode": "ARCHIVE"})
    assert files_of(call, target) == []
    assert [each["id"] for each in files_of(call, dataset)] == [file_id]


def test_a_completed_task_moves_its_file(call: Call, finished: Callable[[str], tuple[int, int]], dataset: int) -> None:
    file_id, target = finished("move")
    assert [each["id"] for each in files_of(call, target)] == [file_id]
    assert files_of(call, dataset) == []


def test_a_task_completed_twice_delivers_once(
    call: Call,
    person: Callable[..., Json],
    finished: Callable[[str], tuple[int, int]],
    tasks_of: Callable[[int], list[Json]],
) -> None:
    _, target = finished("copy")
    job_id = call("/api/v1/job/list", {"metadata": {"project_string_id": "sandbox"}}).json()["Job_list"][0]["id"]
    [task] = tasks_of(job_id)
    person(f"/api/v1/task/{task['id']}/complete")
    assert len(files_of(call, target)) == 1


def test_a_taken_name_in_the_output_dataset_stays_and_the_copy_fails(
    call: Call,
    person: Callable[..., Json],
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    images: str,
    dataset: int,
    new_dataset: Callable[[], int],
    rows: Callable[..., list[Json]],
) -> None:
    imported("/img/taken.jpg")
    target, job_id = new_dataset(), job_of(dataset, 1)
    media = {"url": f"{images}/img/taken.jpg", "type": "image"}
    call("/api/walrus/v1/project/{p}/input/packet", {"media": media, "directory_id": target})
    existing = rows(target)[0]["file_id"]
    body = {"job_id": job_id, "output_dir": target, "output_dir_action": "copy"}
    call("/api/v1/project/{p}/job/set-output-dir", body)
    person(f"/api/v1/task/{tasks_of(job_id)[0]['id']}/complete")
    newest = rows(target, at_least=2)[0]
    reason = f"Filename taken.jpg Already Exists in Dir. Existing ID is:{existing}"
    assert (newest["mode"], newest["status"], newest["status_text"]) == ("copy_file", "failed", reason)
    assert [each["id"] for each in files_of(call, target)] == [existing]


def test_an_archived_job_takes_no_file_and_shows_no_task(
    call: Call,
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
) -> None:
    imported("/img/a.jpg")
    job_id = job_of(dataset, 1)
    assert call("/api/v1/job/cancel", {"job_list": [{"id": job_id}], "mode": "archive"}).status_code == 200
    info = call(f"/api/v1/job/{job_id}/builder/info").json()["job"]
    attached = info["attached_directories_dict"]["attached_directories_list"]
    assert (info["status"], info["stat_count_tasks"], attached[0]["selected"]) == ("archived", 0, "archived")
    assert tasks_of(job_id) == []
    imported("/img/b.jpg")
    assert call(f"/api/job/{job_id}/stat", method="GET").json()["total"] == 0


def test_an_archived_export_leaves_the_list(call: Call, imported: Callable[..., Json], dataset: int) -> None:
    imported("/img/a.jpg")
    body = {"kind": "Annotations", "source": "directory", "file_comparison_mode": "latest", "masks": False}
    more = {"directory_id": dataset, "wait_for_export_generation": True, "return_type": "url"}
    call("/api/walrus/project/{p}/export/to_file", {**body, **more})
    listing = "/api/walrus/project/{p}/export/working_dir/list"
    export = call(listing, method="GET").json()["export_list"][0]
    done = call("/api/walrus/project/{p}/export/update", {"id": export["id"], "mode": "ARCHIVE"})
    assert done.json() == {"error": {}, "info": {}, "success": True}
    assert export["id"] not in [each["id"] for each in call(listing, method="GET").json()["export_list"]]


def test_a_guide_belongs_to_a_job_until_it_is_removed(call: Call) -> None:
    job_id = call("/api/v1/project/{p}/job/new", {"name": "guided"}).json()["job"]["id"]
    guide = call("/api/v1/project/{p}/guide/new", {"name": "how", "description_markdown": "draw"}).json()["guide"]
    change = {"guide_id": guide["id"], "job_id": job_id, "kind": "default"}
    for action, wanted in (("update", "draw"), ("remove", None)):
        assert call("/api/v1/guide/attach/job", {**change, "update_or_remove": action}).json()["log"]["success"]
        shown = call(f"/api/v1/job/{job_id}/builder/info").json()["job"]["guide"]
        assert (shown and shown["description_markdown"]) == wanted


def test_a_draft_is_changed_and_datasets_are_attached_to_it(call: Call, new_dataset: Callable[[], int]) -> None:
    job_id = call("/api/v1/project/{p}/job/new", {"name": "before"}).json()["job"]["id"]
    first, second = new_dataset(), new_dataset()
    attached = {"attached_directories_list": [{"directory_id": first, "selected": "sync"}]}
    body = {"job_id": job_id, "name": "after", "label_schema_id": 1, "attached_directories_dict": attached}
    assert call("/api/v1/project/{p}/job/update", body).json()["job"]["name"] == "after"
    more = {"job_id": job_id, "directory_list": [{"directory_id": second, "selected": "sync"}]}
    call("/api/v1/project/{p}/job/dir/attach", more)
    info = call(f"/api/v1/job/{job_id}/builder/info").json()["job"]
    found = info["attached_directories_dict"]["attached_directories_list"]
    assert [each["directory_id"] for each in found] == [first, second]
    assert info["label_schema_id"] == 1
