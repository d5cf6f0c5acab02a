"""Jobs, their tasks, and what a person does to instances."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from diffgram_flows.sandbox import SandboxProcess

Json = dict[str, Any]
Call = Callable[..., requests.Response]
LOGIN = {"error": "401 Unauthorized: Please login [No user_id]."}


def until(check: Callable[[], bool]) -> bool:
    for _ in range(150):
        if check():
            return True
        time.sleep(0.02)
    return False


def test_a_draft_is_launched_once_and_makes_its_tasks_later(
    call: Call,
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
) -> None:
    first, second = imported("/img/1.jpg")["file_id"], imported("/img/2.jpg")["file_id"]
    job_id = job_of(dataset, 2)
    again = call("/api/v1/job/launch", {"job_id": job_id})
    assert (again.status_code, again.json()["log"]["error"]) == (400, {"job_status": "Job already launched."})
    tasks = tasks_of(job_id)
    assert [(task["file"]["id"], task["status"]) for task in tasks] == [(first, "available"), (second, "available")]
    assert tasks[0]["incoming_directory"]["id"] == dataset
    assert tasks[0]["file"]["ann_is_complete"] is False
    info = call(f"/api/v1/job/{job_id}/builder/info").json()["job"]
    assert (info["status"], info["tasks_remaining"], len(info)) == ("active", 2, 37)


@pytest.mark.parametrize(
    ("body", "status", "reply"),
    [
        ({"job_id": 99999}, 500, {"error": "'NoneType' object has no attribute 'id'"}),
        (None, 400, {"log": {"error": {"job_status": "Job must have a label schema"}, "info": {}, "success": False}}),
    ],
    ids=["unknown", "no schema"],
)
def test_launches_that_are_refused(call: Call, body: Json | None, status: int, reply: Json) -> None:
    if body is None:
        body = {"job_id": call("/api/v1/project/{p}/job/new", {"name": "bare"}).json()["job"]["id"]}
    response = call("/api/v1/job/launch", body)
    assert (response.status_code, response.json()) == (status, reply)


def test_a_job_with_an_unknown_member_is_refused_and_stays(call: Call) -> None:
    refusal = call("/api/v1/project/{p}/job/new", {"name": "bad member", "member_list_ids": [999]})
    assert refusal.json()["log"]["error"] == {"update_member_list": {"999": "Invalid member_id 999"}}
    wanted = {"project_string_id": "sandbox", "search": "bad member", "status": ["draft"], "limit": 10}
    listed = call("/api/v1/job/list", {"metadata": wanted}).json()
    assert [job["name"] for job in listed["Job_list"]] == ["bad member"]
    assert (len(listed["Job_list"][0]), listed["metadata"]["total_job_number"]) == (27, 1)
    nameless = call("/api/v1/project/{p}/job/new", {}).json()["job"]
    assert float(nameless["name"]) > 0


def test_an_unknown_dataset_breaks_the_reply_and_leaves_no_job(call: Call) -> None:
    attached = {"attached_directories_list": [{"directory_id": 9999, "selected": "sync"}]}
    with pytest.raises(requests.ConnectionError, match="gkpj"):
        call("/api/v1/project/{p}/job/new", {"name": "ghost", "attached_directories_dict": attached})
    wanted = {"project_string_id": "sandbox", "search": "ghost"}
    assert call("/api/v1/job/list", {"metadata": wanted}).json()["Job_list"] == []


@pytest.mark.parametrize(
    ("path", "body", "status", "reply"),
    [
        ("/api/v1/job/list", {}, 400,
         {"log": {"error": {"metadata": "Missing metadata"}, "info": {}, "success": False}}),
        (
            "/api/v1/job/list",
            {"metadata": {"limit": 10}},
            403,
            {"error": "403 Forbidden: (Project Scope) No access. "
             "[ First Sanity Checks ] project_string_id None, null, etc."},
        ),
        (
            "/api/v1/job/99999/builder/info",
            {},
            403,
            {"error": "403 Forbidden: You don't have the permission to access the requested resource. "
             "It is either read-protected or not readable by the server."},
        ),
        ("/api/v1/task", {"task_id": 99999}, 403, {"error": "403 Forbidden: No access to this task."}),
    ],
    ids=["no metadata", "no project", "unknown job", "unknown task"],
)  # fmt: skip
def test_questions_that_are_refused(call: Call, path: str, body: Json, status: int, reply: Json) -> None:
    response = call(path, body)
    assert (response.status_code, response.json()) == (status, reply)


def test_task_lists_need_the_job_in_the_body(
    call: Call, imported: Callable[..., Json], job_of: Callable[..., int], dataset: int
) -> None:
    for number in range(3):
        imported(f"/img/{number}.jpg")
    job_id = job_of(dataset, 3)
    path = f"/api/v1/job/{job_id}/task/list"
    assert call(path, {"job_id": job_id}).json()["log"]["error"] == {"mode_data": "Missing mode_data"}
    wanted = {"mode_data": "direct_route", "job_id": job_id, "limit_count": 2}
    pages = [call(path, {**wanted, "page_number": page}).json() for page in range(2)]
    assert [len(page["task_list"]) for page in pages] == [2, 1]
    assert "total_count" not in pages[0]
    everything = call(path, {"mode_data": "direct_route", "limit_count": 1000}).json()
    assert everything["log"]["success"] is False
    assert everything["total_count"] == len(everything["task_list"]) >= 3
    done = call(path, {**wanted, "status": "complete"}).json()["task_list"]
    assert done == []


@pytest.mark.parametrize("way", ["sync", "job_id", "add-files"])
def test_files_come_into_an_active_job(
    call: Call,
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    new_dataset: Callable[[], int],
    dataset: int,
    way: str,
) -> None:
    elsewhere = new_dataset()
    job_id = job_of(dataset if way == "sync" else elsewhere, 0)
    file_id = imported("/img/late.jpg", **({"job_id": job_id} if way == "job_id" else {}))["file_id"]
    if way == "add-files":
        assert call(f"/api/v1/job/{job_id}/add-files", {"file_id_list": [file_id]}).json() == [file_id]
    assert until(lambda: [task["file"]["id"] for task in tasks_of(job_id)] == [file_id])


def test_a_draft_takes_a_file_when_it_is_launched(
    call: Call, imported: Callable[..., Json], tasks_of: Callable[[int], list[Json]]
) -> None:
    job_id = call("/api/v1/project/{p}/job/new", {"name": "draft", "label_schema_id": 1}).json()["job"]["id"]
    imported("/img/d.jpg", job_id=job_id)
    time.sleep(0.2)
    assert tasks_of(job_id) == []
    call("/api/v1/job/launch", {"job_id": job_id})
    assert until(lambda: len(tasks_of(job_id)) == 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/task", True),
        ("/api/v1/task/{t}/annotation/list", False),
        ("/api/v1/task/{t}/annotation/update", False),
        ("/api/v1/task/{t}/complete", False),
        ("/api/v1/task/{t}/review", False),
    ],
    ids=["view", "list", "update", "complete", "review"],
)
def test_tasks_want_a_person(
    call: Call,
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
    path: str,
    body: bool,
) -> None:
    imported("/img/t.jpg")
    task_id = tasks_of(job_of(dataset, 1))[0]["id"]
    response = call(path.replace("{t}", str(task_id)), {"task_id": task_id} if body else {})
    assert (response.status_code, response.json()) == (401, LOGIN)


def test_a_person_keeps_ids_and_marks_only_of_what_is_unchanged(
    call: Call,
    person: Callable[..., Json],
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    box: Callable[..., Json],
    dataset: int,
) -> None:
    marks = {"machine_made": True, "model_ref": "m", "model_run_ref": "r", "score": 0.9}
    imported("/img/t.jpg", instance_list=[box(1, **marks), box(2, **marks), box(3, **marks)])
    job_id = job_of(dataset, 1)
    task_id = tasks_of(job_id)[0]["id"]
    labels = person("/api/v1/task", {"task_id": task_id})["task"]["label_dict"]["label_file_list_serialized"]
    assert {"car", "person"} <= {each["label"]["name"] for each in labels}
    kept, moved, dropped = person(f"/api/v1/task/{task_id}/annotation/list")["file_serialized"]["instance_list"]
    sent = [kept, {**moved, "x_min": 50}, {**dropped, "soft_delete": True}, box(4, creation_ref_id="new")]
    body = {"instance_list": sent, "and_complete": True}
    reply = person(f"/api/v1/task/{task_id}/annotation/update", body)
    assert reply["deleted_instances"] == [dropped["id"], moved["id"]]
    drawn = person(f"/api/v1/task/{task_id}/annotation/list")["file_serialized"]["instance_list"]
    shown = [(each["x_min"], each["machine_made"], each["member_created_id"]) for each in drawn]
    assert shown == [(1, True, None), (50, False, 1), (4, False, 1)]
    assert drawn[0]["id"] == kept["id"]
    assert drawn[1]["id"] > dropped["id"]

    (task,) = tasks_of(job_id)
    assert (task["status"], task["file"]["ann_is_complete"]) == ("complete", False)
    assert task["time_completed"] != "None"
    assert call(f"/api/v1/job/{job_id}/builder/info").json()["job"]["status"] == "complete"
    stat = call(f"/api/job/{job_id}/stat", method="GET").json()
    assert (stat["completed"], stat["total"], stat["instances_created"]) == (1, 1, 3)


def test_a_refused_save_changes_nothing(
    sandbox_person_status: Callable[[str, object], int],
    person: Callable[..., Json],
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    box: Callable[..., Json],
    dataset: int,
) -> None:
    imported("/img/t.jpg", instance_list=[box()])
    task_id = tasks_of(job_of(dataset, 1))[0]["id"]
    body = {"instance_list": [box(7), box(label_file_id=999)], "and_complete": True}
    assert sandbox_person_status(f"/api/v1/task/{task_id}/annotation/update", body) == 400
    reply = person("/api/v1/task", {"task_id": task_id})
    assert reply["task"]["status"] == "available"
    drawn = person(f"/api/v1/task/{task_id}/annotation/list")["file_serialized"]["instance_list"]
    assert [each["x_min"] for each in drawn] == [10]


def test_reviews_and_deferrals(
    person: Callable[..., Json],
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
) -> None:
    imported("/img/t.jpg")
    job_id = job_of(dataset, 1, allow_reviews=True, reviewer_list_ids=[1])
    task_id = tasks_of(job_id)[0]["id"]
    statuses = []
    for path, body in (
        ("complete", {}),
        ("review", {"action": "request_change"}),
        ("review", {"action": "approve"}),
    ):
        statuses.append(person(f"/api/v1/task/{task_id}/{path}", body)["task"]["status"])
    assert statuses == ["in_review", "requires_changes", "complete"]
    person("/api/v1/task/update", {"task_id": task_id, "mode": "toggle_deferred"})
    assert tasks_of(job_id)[0]["status"] == "deferred"


@pytest.fixture
def sandbox_person_status(sandbox: Any) -> Callable[[str, object], int]:
    def status(path: str, body: object) -> int:
        with requests.Session() as session:
            login = {"email": sandbox.email, "password": sandbox.password, "mode": "password"}
            session.post(f"{sandbox.url}/api/user/login", json=login, timeout=30)
            return session.post(sandbox.url + path, json=body, timeout=30).status_code

    return status


def test_a_person_turns_the_flag_of_a_file_around(
    call: Call, person: Callable[..., Json], imported: Callable[..., Json]
) -> None:
    file_id = imported("/img/flag.jpg")["file_id"]
    view = {"file_id": file_id, "project_string_id": "sandbox"}
    for wanted in (True, False):
        person(f"/api/project/sandbox/file/{file_id}/annotation/is_complete_toggle")
        assert call("/api/v1/file/view", view).json()["file"]["ann_is_complete"] is wanted


def test_a_person_finds_no_flag_on_an_unknown_file(sandbox: SandboxProcess) -> None:
    with requests.Session() as session:
        login = {"email": sandbox.email, "password": sandbox.password, "mode": "password"}
        session.post(f"{sandbox.url}/api/user/login", json=login, timeout=30)
        path = "/api/project/sandbox/file/99999/annotation/is_complete_toggle"
        reply = session.post(sandbox.url + path, json={}, timeout=30)
    assert (reply.status_code, reply.json()) == (500, {"error": "'NoneType' object has no attribute 'id'"})


def test_an_active_job_takes_what_is_imported_into_its_dataset(
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
) -> None:
    imported("/img/1.jpg")
    job_id = job_of(dataset, 1)
    later = imported("/img/2.jpg")["file_id"]
    assert until(lambda: [task["file"]["id"] for task in tasks_of(job_id)][1:] == [later])
