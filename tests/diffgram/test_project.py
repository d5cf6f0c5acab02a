"""Projects and datasets against recorded replies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import InvalidRequest, UnexpectedReply

Server = Any  # conftest.ScriptedServer

LOG = {"error": {}, "info": {}, "success": True}
EXISTS = {"log": {"error": {"name": "Existing with same name in project."}, "info": {}, "success": False}}
LIST = "/api/v1/project/contract-project/directory/list"
NEW = "/api/v1/project/contract-project/directory/new"


def directory(number: int, name: str) -> dict[str, Any]:
    return {
        "created_time": "2026-11-22T06:30:54.301195",
        "directory_id": number,
        "has_changes": None,
        "id": number,
        "jobs_to_sync": {"job_ids": []},
        "nickname": name,
    }


def listed(*directories: dict[str, Any]) -> dict[str, Any]:
    return {"directory_list": list(directories), "log": LOG}


def test_the_project(server: Server, client: DiffgramClient) -> None:
    person = {"email": "annotator.admin@example.com", "id": 1, "member_id": 1, "member_kind": "human"}
    default = {"created_time": "2026-11-22T06:28:11.494238", "directory_id": 1, "nickname": "Default", "project_id": 1}
    view = {
        "id": 1,
        "name": "Contract Project",
        "project_string_id": "contract-project",
        "member_list": [person],
        "directory_list": [default],
        "readme": None,
    }
    server.answer({"project": view, "user_permission_level": None})
    project = client.view_project()
    assert (server.last.method, server.last.path) == ("GET", "/api/project/contract-project/view")
    assert (project.id, project.name, project.project) == (1, "Contract Project", "contract-project")
    member = project.members[0]
    assert (member.member_id, member.kind, member.email) == (1, "human", "annotator.admin@example.com")
    assert [(entry.id, entry.name) for entry in project.directories] == [(1, "Default")]
    assert project.directories[0].created == datetime(2026, 11, 22, 6, 28, 11, 494238, tzinfo=UTC)


def test_a_dataset_is_found_by_its_whole_name(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(directory(9, "raw-images-2"), directory(7, "Raw-images"), directory(2, "raw-images")))
    found = client.find_directory("raw-images")
    assert found is not None
    assert found.id == 2
    assert server.last.path == LIST
    assert server.last.json["nickname"] == "raw-images"
    assert server.last.json["nickname_match_type"] == "ilike"
    assert client.find_directory("raw") is None


def test_the_default_dataset(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(directory(3, "Default"), directory(2, "raw"), directory(1, "Default")))
    assert client.default_directory().id == 1
    assert "nickname" not in server.last.json


def test_a_project_without_datasets(server: Server, client: DiffgramClient) -> None:
    server.answer(listed())
    with pytest.raises(UnexpectedReply, match="no dataset"):
        client.default_directory()


def test_a_dataset_that_exists_is_not_made(server: Server, client: DiffgramClient) -> None:
    server.answer(listed(directory(2, "raw-images")))
    assert client.ensure_directory("raw-images").id == 2
    assert len(server.sent) == 1


def test_a_dataset_is_made(server: Server, client: DiffgramClient) -> None:
    server.answer(listed()).answer({"log": LOG, "new_directory": directory(2, "raw-images")})
    assert client.ensure_directory("raw-images").id == 2
    assert server.last.path == NEW
    assert server.last.json == {"nickname": "raw-images", "access_type": "project"}


def test_a_dataset_that_somebody_else_just_made_is_taken(server: Server, client: DiffgramClient) -> None:
    server.answer(listed()).answer(EXISTS, status=400).answer(listed(directory(5, "raw-images")))
    assert client.ensure_directory("raw-images").id == 5
    assert [sent.path for sent in server.sent] == [LIST, NEW, LIST]


def test_a_refused_dataset_name_stays_refused(server: Server, client: DiffgramClient) -> None:
    server.answer(listed()).answer(EXISTS, status=400).answer(listed())
    with pytest.raises(InvalidRequest, match=r"'raw-images'.*Existing with same name"):
        client.ensure_directory("raw-images")


def test_the_people_of_a_project(server: Server, client: DiffgramClient) -> None:
    member = {"email": "ada@example.com", "id": 1, "member_id": 1, "member_kind": "human"}
    server.answer({"project": {"id": 1, "member_list": [member]}})
    assert [(who.member_id, who.kind, who.email) for who in client.members()] == [(1, "human", "ada@example.com")]


def test_connections_as_the_official_sdk_asks_for_them(server: Server, client: DiffgramClient) -> None:
    row = {"id": 3, "name": "our bucket", "integration_name": "amazon_aws", "private_secret": "hidden"}
    server.answer({"connection_list": [row]})
    (found,) = client.connections()
    assert (found.id, found.name, found.kind) == (3, "our bucket", "amazon_aws")
    assert server.last.path == "/api/project/contract-project/connections"
    assert "hidden" not in repr(found)
