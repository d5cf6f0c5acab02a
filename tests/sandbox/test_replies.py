"""Who may do what, and what is said to those who may not; unknown paths and broken bodies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from diffgram_flows.sandbox import SandboxProcess

Call = Callable[..., requests.Response]
VIEW = "/api/project/{p}/view"
PACKET = "/api/walrus/v1/project/{p}/input/packet"
SCOPE = "403 Forbidden: (Project Scope) No access. "
READERS = "['allow_if_project_is_public', 'admin', 'annotator', 'Editor', 'Viewer']"


@pytest.mark.parametrize(
    ("user", "secret", "text"),
    [
        (None, "wrong", f"{SCOPE}[Basic Auth Based] Failed API Permissions. Allowed roles are only: {READERS}"),
        ("nobody", None, f"{SCOPE}[Basic Auth Based] Failed API Permissions. Allowed roles are only: {READERS}"),
        (None, "", f"{SCOPE}[Basic Auth Based]  No password. (client_secret)"),
    ],
    ids=["wrong secret", "unknown client", "no secret"],
)
def test_bad_credentials_are_forbidden(
    call: Call, sandbox: SandboxProcess, user: str | None, secret: str | None, text: str
) -> None:
    auth = (user or sandbox.client_id, sandbox.client_secret if secret is None else secret)
    response = call(VIEW, method="GET", auth=auth)
    assert (response.status_code, response.json()) == (403, {"error": text})


def test_a_wrong_password_lets_nobody_in(call: Call, sandbox: SandboxProcess) -> None:
    response = call("/api/user/login", {"email": sandbox.email, "password": "wrong", "mode": "password"}, auth=None)
    assert (response.status_code, "set-cookie" in response.headers) == (400, False)
    assert response.json()["log"]["error"] == {"login": "Invalid email or password."}


@pytest.mark.parametrize(
    ("agent", "status", "text"),
    [
        (
            "python-requests/2",
            403,
            "403 Forbidden: Check client_id client_secret - Missing sending basic auth while using python SDK.",
        ),
        ("my-client/1.0", 401, "401 Unauthorized: (Project Scope) No access. [Human User Based]  Failed LoggedIn "),
    ],
    ids=["python", "another agent"],
)
def test_without_credentials_the_user_agent_decides(call: Call, agent: str, status: int, text: str) -> None:
    response = call(VIEW, method="GET", auth=None, headers={"User-Agent": agent})
    assert (response.status_code, response.json()) == (status, {"error": text})


def test_an_unknown_project_is_forbidden_with_its_own_text(call: Call) -> None:
    response = call("/api/project/no-such-project/view", method="GET")
    assert (response.status_code, response.json()) == (403, {"error": "403 Forbidden: Can't find project"})


def test_credentials_have_levels(sandbox: SandboxProcess, call: Call) -> None:
    issue = "/api/v1/project/{p}/auth/api/new"
    made = call(issue, {"permission_level": "Viewer", "is_live": True}).json()["auth"]
    viewer = (made["client_id"], made["client_secret"])
    assert call(VIEW, method="GET", auth=viewer).status_code == 200
    refusal = call(PACKET, {}, auth=viewer)
    text = f"{SCOPE}[Basic Auth Based] Failed API Permissions. Allowed roles are only: ['admin', 'Editor']"
    assert (refusal.status_code, refusal.json()) == (403, {"error": text})
    misspelt = call(issue, {"permission_level": "viewer"})
    assert (misspelt.status_code, misspelt.json()) == (500, {"error": "'errors'"})


def test_the_project_shows_its_people_and_not_its_credentials(call: Call, sandbox: SandboxProcess) -> None:
    project = call(VIEW, method="GET").json()["project"]
    assert [(each["member_id"], each["email"]) for each in project["member_list"]] == [(1, sandbox.email)]
    assert project["project_string_id"] == sandbox.project


def test_a_person_registers_and_makes_a_project(sandbox: SandboxProcess) -> None:
    with requests.Session() as browser:
        body = {"email": "new@sandbox.example", "password": "pw", "password_check": "pw"}
        user = browser.post(f"{sandbox.url}/api/v1/user/new", json=body, timeout=30).json()["user"]
        wanted = {"project_name": "Mine", "project_string_id": "mine", "goal": "x"}
        made = browser.post(f"{sandbox.url}/api/project/new", json=wanted, timeout=30).json()
        assert made["project"]["member_list"][0]["member_id"] == user["member_id"]
        assert made["schema"]["is_default"] is True
        foreign = browser.get(f"{sandbox.url}/api/project/{sandbox.project}/view", timeout=30)
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("POST", "/api/v1/project/{p}/nope", 405, "Not found."),
        ("GET", "/api/v1/project/{p}/nope", 500, '{"error":"index.html"}\n'),
        ("GET", "/api/v1/job/1/builder/info", 500, '{"error":"index.html"}\n'),
        (
            "GET",
            "/api/walrus/v1/project/{p}/nope",
            404,
            '{"error":"404 Not Found: The requested URL was not found on the server. '
            'If you entered the URL manually please check your spelling and try again."}\n',
        ),
        (
            "DELETE",
            PACKET,
            405,
            '{"error":"405 Method Not Allowed: The method is not allowed for the requested URL."}\n',
        ),
    ],
    ids=["unknown post", "unknown get", "get of a post", "unknown walrus", "walrus method"],
)
def test_unknown_paths(call: Call, method: str, path: str, status: int, body: str) -> None:
    response = call(path, method=method)
    assert (response.status_code, response.text) == (status, body)


@pytest.mark.parametrize(
    ("body", "text"),
    [('{"media": ', "Expecting json in request"), ("", "Expecting json in request"), ("null", "Expecting dict"),
     ("[]", "Expecting dict")],
    ids=["cut", "empty", "null", "list"],
)  # fmt: skip
def test_bodies_that_are_no_object(call: Call, body: str, text: str) -> None:
    response = call(PACKET, data=body)
    expected = {"log": {"error": {"input": text}, "info": {}, "success": False}}
    assert (response.status_code, response.json()) == (400, expected)


def test_an_oversized_body_meets_the_proxy(call: Call) -> None:
    response = call("/api/v1/project/{p}/directory/list", data=b" " * (50 * 1024 * 1024 + 1))
    assert response.status_code == 502
    assert "nginx" in response.text


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, {"access_type": "Missing access_type", "nickname": "Missing nickname"}),
        ({"nickname": "second"}, {"access_type": "Missing access_type"}),
        ({"nickname": "Default", "access_type": "project"}, {"name": "Existing with same name in project."}),
    ],
    ids=["nothing", "no access type", "twin"],
)
def test_datasets_that_are_refused(call: Call, body: object, error: object) -> None:
    response = call("/api/v1/project/{p}/directory/new", body)
    assert (response.status_code, response.json()["log"]["error"]) == (400, error)


def test_datasets_are_found_by_a_part_of_the_name(call: Call) -> None:
    call("/api/v1/project/{p}/directory/new", {"nickname": "Needle in hay", "access_type": "project"})
    found = call("/api/v1/project/{p}/directory/list", {"limit": 50, "nickname": "needle"}).json()["directory_list"]
    assert [each["nickname"] for each in found] == ["Needle in hay"]
    missing = call("/api/project/{p}/user/legacy/working_dir/view", method="GET", params={"name": "nope"})
    assert (missing.status_code, missing.text) == (400, "Dataset not found")


def test_label_twins_are_made_and_the_newest_wins(call: Call) -> None:
    first, second = (call("/api/v1/project/{p}/label/new", {"name": "twin"}).json()["label"] for _ in range(2))
    assert first["id"] < second["id"]
    assert first["label"]["id"] == second["label"]["id"]
    names = call("/api/v1/project/{p}/labels/view/name_to_file_id", method="GET").json()["name_to_file_id"]
    assert names["twin"] == second["id"]
    listed = call("/api/project/{p}/labels", method="GET", params={"schema_id": 1}).json()
    assert {first["id"], second["id"]} <= {each["id"] for each in listed["labels_out"]}
    assert listed["log"]["success"] is False


def test_schemas(call: Call) -> None:
    made = call("/api/v1/project/{p}/labels-schema/new", {"name": "vehicles"}).json()
    again = call("/api/v1/project/{p}/labels-schema/new", {"name": "vehicles"})
    assert again.json()["log"]["error"] == {"schema_exists": 'Label Schema "vehicles" already exists.'}
    listed = call("/api/v1/project/{p}/labels-schema", method="GET").json()
    ids = [each["id"] for each in listed]
    assert (ids, ids[0], ids[-1]) == (sorted(ids), 1, made["id"])
    unknown = call("/api/v1/project/{p}/label/new", {"name": "x", "schema_id": 9999})
    assert (unknown.status_code, unknown.json()) == (500, {"error": "schema Required"})
