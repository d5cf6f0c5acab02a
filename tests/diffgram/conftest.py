"""Clients of a server that gives scripted answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from servers.scripted import ScriptedServer

from diffgram_flows.diffgram import DiffgramClient


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.fixture
def store() -> Iterator[ScriptedServer]:
    """A second server, which signed links point at."""
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.fixture
def make_client(server: ScriptedServer) -> Iterator[Callable[..., DiffgramClient]]:
    """Makes clients of the scripted server; give settings to overrule."""
    made: list[DiffgramClient] = []

    def make(**settings: Any) -> DiffgramClient:
        given = {"timeout": 5.0, "retries": 2} | settings
        url = given.pop("url", server.url)
        made.append(DiffgramClient(url, "contract-project", "client-id", "the-client-secret", **given))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., DiffgramClient]) -> DiffgramClient:
    return make_client()


@pytest.fixture
def input_row() -> Callable[..., dict[str, Any]]:
    """Rows of ``input/view`` as recorded, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        row: dict[str, Any] = {
            "archived": False,
            "batch_id": None,
            "created_time": "Sun, 22 Nov 2026 06:36:49 GMT",
            "description": None,
            "directory": {"id": 2, "nickname": "raw-images"},
            "file_id": None,
            "id": 43,
            "instance_list": None,
            "media_type": "image",
            "mode": None,
            "newly_copied_file_id": None,
            "original_filename": "a1.jpg",
            "percent_complete": 0.0,
            "processing_deferred": False,
            "retry_count": 0,
            "retry_log": None,
            "source": "from_url",
            "status": "failed",
            "status_text": "Filename a1.jpg Already Exists in Dir. Existing ID is:7",
            "time_last_attempted": 1795329410,
            "time_updated": "Sun, 22 Nov 2026 06:36:50 GMT",
            "total_time": "0:00:00.545389",
            "update_log": {"error": {"status_text": "Filename a1.jpg Already Exists in Dir. Existing ID is:7"}},
        }
        return row | changes

    return make
