"""The server's error shapes as recorded."""

from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient, maybe_delivered
from diffgram_flows.errors import (
    AuthenticationError,
    DiffgramError,
    InvalidRequest,
    ProjectNotFound,
    SessionRequired,
    UnexpectedReply,
)

Server = Any  # conftest.ScriptedServer; folders of tests are no packages to import from


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        pytest.param(
            403,
            {
                "error": "403 Forbidden: (Project Scope) No access. [Basic Auth Based] Failed API Permissions. "
                "Allowed roles are only: ['admin', 'Editor']"
            },
            AuthenticationError,
            "Allowed roles",
            id="role or secret",
        ),
        pytest.param(403, {"error": "403 Forbidden: Can't find project"}, ProjectNotFound, "string id", id="project"),
        pytest.param(403, {"error": "403 Forbidden: No job"}, InvalidRequest, "No job", id="no job"),
        pytest.param(
            401, {"error": "401 Unauthorized: Please login [No user_id]."}, SessionRequired, "browser", id="session"
        ),
        pytest.param(
            401,
            {"error": "401 Unauthorized: (Project Scope) No access. [Human User Based]  Failed LoggedIn "},
            AuthenticationError,
            "client secret",
            id="no credential",
        ),
        pytest.param(
            400,
            {"log": {"error": {"mode_data": "Missing mode_data"}, "info": {}, "success": False}},
            InvalidRequest,
            "mode_data: Missing mode_data",
            id="checked input",
        ),
        pytest.param(
            400,
            {"log": {"error": "Bad directory_id: 9999", "info": {}, "success": False}},
            InvalidRequest,
            "Bad directory_id: 9999",
            id="plain string in the log",
        ),
        pytest.param(400, "Error with directory", InvalidRequest, "Error with directory", id="bare string"),
        pytest.param(
            400,
            {"message": " File not in valid project directory.", "success": False},
            InvalidRequest,
            "File not in valid project directory",
            id="message",
        ),
        pytest.param(
            400,
            {"error": {"export": "Export not ready yet."}, "export": {"id": 17}, "info": {}, "success": False},
            InvalidRequest,
            "export: Export not ready yet.",
            id="without the wrapper",
        ),
        pytest.param(
            500,
            {"error": "'NoneType' object has no attribute 'id'"},
            InvalidRequest,
            "ids in the call exist",
            id="unknown id",
        ),
        pytest.param(500, {"error": "schema Required"}, InvalidRequest, "ids in the call exist", id="unknown schema"),
        pytest.param(500, {"error": "index.html"}, UnexpectedReply, "address", id="unknown path asked with GET"),
        pytest.param(404, {"error": "404 Not Found: ..."}, UnexpectedReply, "address", id="unknown path"),
    ],
)
def test_a_refusal_becomes_one_error_at_once(
    server: Server, client: DiffgramClient, status: int, body: Any, kind: type[DiffgramError], words: str
) -> None:
    server.answer(body, status=status)
    with pytest.raises(kind) as caught:
        client.job_stat(7)
    assert words in str(caught.value)
    assert "job 7" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.status == status
    assert not maybe_delivered(caught.value)
    assert len(server.sent) == 1
