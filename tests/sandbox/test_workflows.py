"""Workflows and webhooks as they are set up; what is posted is held to the recordings in tests/contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from diffgram_flows.sandbox import SandboxProcess

Json = dict[str, Any]
Call = Callable[..., requests.Response]
ACTIONS = "/api/v1/project/{p}/actions"
HOOK: Json = {
    "public_name": "Webhook", "kind": "Webhook", "icon": "x", "description": "x", "template_id": 5, "ordinal": 0,
    "trigger_data": {"event_name": "task_completed"}, "precondition": {"event_name": None},
    "completion_condition_data": {"event_name": "action_completed"}, "output_interface": {}, "archived": False,
    "config_data": {"url": "http://127.0.0.1:9/", "token": "t"},
}  # fmt: skip


@pytest.fixture
def browser(sandbox: SandboxProcess) -> Callable[..., requests.Response]:
    """Send a request from a browser session."""
    session = requests.Session()
    login = {"email": sandbox.email, "password": sandbox.password, "mode": "password"}
    with session.post(f"{sandbox.url}/api/user/login", json=login, timeout=30) as response:
        assert response.status_code == 200

    def calling(method: str, path: str, body: Json) -> requests.Response:
        with session:
            url = sandbox.url + path.replace("{p}", sandbox.project)
            return session.request(method, url, json=body, timeout=30)

    return calling


@pytest.fixture
def workflow(browser: Callable[..., requests.Response]) -> int:
    return int(browser("POST", f"{ACTIONS}/workflow/new", {"name": "notify"}).json()["workflow"]["id"])


def test_an_action_is_made_changed_and_archived(
    browser: Callable[..., requests.Response], call: Call, workflow: int
) -> None:
    body = {**HOOK, "workflow_id": workflow}
    made = browser("POST", f"{ACTIONS}/workflow/{workflow}/action", body).json()["action"]
    path = f"{ACTIONS}/{made['id']}"
    changed = browser("PUT", path, {**body, "description": "y"}).json()["action"]
    assert (changed["description"], changed["member_updated_id"], changed["time_updated"]) == ("y", 1, None)
    view = f"/api/v1/project/{{p}}/workflow/{workflow}"
    [shown] = call(view, method="GET").json()["workflow"]["actions_list"]
    assert shown["config_data"] == HOOK["config_data"]
    assert shown["time_updated"]
    browser("PUT", path, {**body, "archived": True})
    assert call(view, method="GET").json()["workflow"]["actions_list"] == []


def test_every_field_must_be_sent_again(browser: Callable[..., requests.Response], workflow: int) -> None:
    made = browser("POST", f"{ACTIONS}/workflow/{workflow}/action", {**HOOK, "workflow_id": workflow}).json()["action"]
    refusal = browser("PUT", f"{ACTIONS}/{made['id']}", {"config_data": HOOK["config_data"]})
    assert refusal.status_code == 400
    missing = refusal.json()["log"]["error"]
    assert missing["public_name"] == "Missing public_name"
    assert "config_data" not in missing
    assert len(missing) == 11


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{ACTIONS}/workflow/9999/action", {}),
        ("PUT", f"{ACTIONS}/9999", HOOK),
        ("PUT", f"{ACTIONS}/workflow/update", {"workflow_id": 9999, "mode": "UPDATE"}),
        ("GET", "/api/v1/project/{p}/workflow/9999", {}),
    ],
)
def test_unknown_ids_are_faults(browser: Callable[..., requests.Response], method: str, path: str, body: Json) -> None:
    reply = browser(method, path, body)
    assert (reply.status_code, reply.json()) == (500, {"error": "'NoneType' object has no attribute 'id'"})


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/workflow/new"), ("POST", "/workflow/1/action"), ("PUT", "/1"), ("PUT", "/workflow/update")],
)
def test_setting_up_needs_a_person(call: Call, method: str, path: str) -> None:
    reply = call(ACTIONS + path, HOOK, method=method)
    assert (reply.status_code, reply.json()) == (500, {"error": "'NoneType' object has no attribute 'member'"})


def test_a_workflow_is_renamed_and_archived(
    browser: Callable[..., requests.Response], call: Call, workflow: int
) -> None:
    path, change = f"{ACTIONS}/workflow/update", {"workflow_id": workflow, "active": True}
    renamed = browser("PUT", path, {**change, "name": "tell", "mode": "UPDATE"}).json()
    assert renamed["log"]["info"] == {"update": "Success"}
    assert (renamed["workflow"]["name"], renamed["workflow"]["active"]) == ("tell", True)
    assert renamed["workflow"]["string_id"].startswith("tell_")
    assert browser("PUT", path, {**change, "mode": "ERASE"}).status_code == 400


def test_a_person_of_no_project_sees_no_task(
    sandbox: SandboxProcess,
    imported: Callable[..., Json],
    job_of: Callable[..., int],
    tasks_of: Callable[[int], list[Json]],
    dataset: int,
) -> None:
    imported("/img/a.jpg")
    [task] = tasks_of(job_of(dataset, 1))
    with requests.Session() as stranger:
        new = {"email": "stranger@example.com", "password": "something long", "password_check": "something long"}
        assert stranger.post(f"{sandbox.url}/api/v1/user/new", json=new, timeout=30).status_code == 200
        reply = stranger.post(f"{sandbox.url}/api/v1/task", json={"task_id": task["id"]}, timeout=30)
    assert (reply.status_code, reply.json()) == (403, {"error": "403 Forbidden: No access to this task."})
