from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from diffgram_flows import Project
from diffgram_flows.errors import AuthenticationError, ConfigurationError
from diffgram_flows.sandbox import SandboxProcess

VARIABLES = ("DIFFGRAM_URL", "DIFFGRAM_PROJECT", "DIFFGRAM_CLIENT_ID", "DIFFGRAM_CLIENT_SECRET")


def test_making_a_project_does_nothing(calls: list[str], tmp_path: Path) -> None:
    project = Project("https://diffgram.example.com/", "cars", "LIVE__a", "top-secret", workdir=tmp_path / "work")
    for part in ("directory", "file", "label", "job", "task", "export", "input", "train", "member", "connection"):
        getattr(project, part)
    assert calls == []
    assert not (tmp_path / "work").exists()
    assert repr(project) == "Project(host='https://diffgram.example.com', project_string_id='cars')"
    assert "top-secret" not in f"{project!r}{project.client!r}{project.train!r}{vars(project)['_context']!r}"


def test_the_environment_names_the_project(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    values = (sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret)
    for name, value in zip(VARIABLES, values, strict=True):
        monkeypatch.setenv(name, value)
    with Project.from_environment() as project:
        assert project.client.view_project().project == sandbox.project
    with Project.from_environment(client_secret="wrong") as project, pytest.raises(AuthenticationError):
        project.directory.list()


def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "x")
    monkeypatch.delenv("DIFFGRAM_PROJECT")
    with pytest.raises(ConfigurationError, match="DIFFGRAM_PROJECT not given"):
        Project.from_environment(host="https://diffgram.example.com")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"host": "diffgram.example.com"}, "URL of the Diffgram server", id="no scheme"),
        pytest.param({"project_string_id": " "}, "project", id="no project"),
        pytest.param({"client_secret": ""}, "client secret", id="no secret"),
    ],
)
def test_bad_settings_are_refused(changed: dict[str, str], said: str) -> None:
    good: dict[str, Any] = {
        "host": "http://localhost:8085",
        "project_string_id": "cars",
        "client_id": "a",
        "client_secret": "b",
    }
    with pytest.raises(ConfigurationError, match=said):
        Project(**(good | changed))
