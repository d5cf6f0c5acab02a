"""Making a client, and what every call carries."""

from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows import __version__
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import (
    ConfigurationError,
)

Server = Any  # conftest.ScriptedServer; folders of tests are no packages to import from

STAT = {"completed": 4, "in_progress": 0, "in_review": 0, "instances_created": 5, "requires_changes": 0, "total": 6}


def test_a_call_carries_the_credential_and_names_this_package(server: Server, client: DiffgramClient) -> None:
    server.answer(STAT)
    assert client.job_stat(1).completed == 4
    assert server.last.headers["User-Agent"] == f"diffgram-flows/{__version__}"
    assert server.last.headers["Authorization"] == "Basic Y2xpZW50LWlkOnRoZS1jbGllbnQtc2VjcmV0"


@pytest.mark.parametrize(
    "url",
    ["diffgram.local", "ftp://diffgram.local", "http://", "http://me:pw@diffgram.local", "http://a?b=c", "http://a:x"],
    ids=["no scheme", "other scheme", "no host", "password", "query", "port"],
)
def test_a_malformed_url_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DiffgramClient(url, "contract-project", "client-id", "secret")
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [{"project": " "}, {"client_id": ""}, {"client_secret": ""}, {"timeout": 0}, {"retries": -1}, {"pool_size": 0}],
    ids=lambda settings: next(iter(settings)),
)
def test_a_missing_setting_is_refused_at_once(settings: dict[str, Any]) -> None:
    given = {"url": "http://127.0.0.1", "project": "p", "client_id": "c", "client_secret": "s"} | settings
    with pytest.raises(ConfigurationError):
        DiffgramClient(**given)


def test_letters_of_any_language_are_allowed_in_a_secret(server: Server) -> None:
    server.answer(STAT)
    with DiffgramClient(server.url, "p", "c", "geheim-ключ") as client:
        assert client.job_stat(1).total == 6


def test_a_project_name_cannot_leave_its_place_in_the_path(server: Server) -> None:
    server.answer({"project": {"id": 1}})
    with DiffgramClient(f"{server.url}/", "a/b?c", "c", "s") as client:
        client.view_project()
    assert server.last.path == "/api/project/a/b?c/view"
    assert server.last.query == {}
