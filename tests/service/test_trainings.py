"""Which trainings the service takes, what it says of them, and what becomes of their brains."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from project.conftest import adopt
from pydantic import SecretStr
from servers.brain_service import serving, wait_for
from service.conftest import Client, registry_of

from diffgram_flows import Project
from diffgram_flows.blocks import DiffgramCredentials
from diffgram_flows.brains import BrainRecord, Registry
from diffgram_flows.cli_service import serve
from diffgram_flows.parameters import Target
from diffgram_flows.project.training_status import FOLDER, StatusFile, TrainingStatus
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings

OFFICIAL = "/api/walrus/project/{project}/machine_learning/training/run"
STATUS = "/api/walrus/v1/project/{project}/brain/status"
FROM_FILE = "/api/walrus/project/{project}/inference/add"
OpenSettings = Callable[..., ServiceSettings]


@pytest.fixture
def keys(sandbox: SandboxProcess) -> tuple[str, str]:
    return sandbox.client_id, sandbox.client_secret


@pytest.fixture
def order(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """One that fails after some seconds: nothing is finished."""
    with Project(sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret, workdir=tmp_path) as project:
        yield {"directory_id": project.directory.new(f"nothing for {tmp_path.name}").id, "options": {"steps": 1}}


def test_what_is_not_served_is_not_trained(
    registry: Registry, open_settings: OpenSettings, keys: tuple[str, str], order: dict[str, Any], tmp_path: Path
) -> None:
    settings = open_settings(brains=("detector",), workdir=tmp_path / "work")
    with serving(registry, settings) as url:
        client = Client(url, keys)
        reply = client.post("/v1/brains/viahttp/train", json=order)
        assert (reply.status_code, reply.json()["error"]["kind"]) == (404, "BrainNotFound")
        assert "does not serve the brain 'viahttp'" in reply.json()["error"]["what"]
        assert "It serves detector" in reply.json()["error"]["cure"]
        reply = client.post(OFFICIAL.format(project=settings.project), json={"ai_name": "viahttp"})
        assert (reply.status_code, "does not serve the brain 'viahttp'" in reply.text) == (400, True)
    assert not (settings.workdir / FOLDER).exists()


def test_one_training_at_a_time_and_its_brain_is_served_soon(
    learned: BrainRecord, open_settings: OpenSettings, keys: tuple[str, str], order: dict[str, Any], tmp_path: Path
) -> None:
    registry = registry_of(learned, tmp_path / "brains")
    settings = open_settings(workdir=tmp_path / "work")
    with serving(registry, settings) as url:
        client = Client(url, keys)
        assert client.post("/v1/brains/fresh/train", json=order).status_code == 202
        reply = client.post("/v1/brains/other/train", json=order)
        assert (reply.status_code, reply.json()["error"]["kind"]) == (429, "Busy")
        assert "trains 1 brain at a time, and is training fresh (" in reply.json()["error"]["what"]
        official = {"ai_name": "other", "directory_id": order["directory_id"]}
        reply = client.post(OFFICIAL.format(project=settings.project), json=official)
        assert (reply.status_code, "is training fresh (" in reply.text) == (400, True)
        reply = client.post("/v1/brains/fresh/train", json=order)
        assert (reply.status_code, "being trained" in reply.text) == (409, True)
        assert client.get("/v1/brains/fresh").status_code == 404
        began = time.monotonic()
        registry.promote(adopt(registry, learned, "fresh").ref)  # what the end of such a training does
        wait_for(url, serving="fresh@1")
        assert time.monotonic() - began < 20  # all of the registry is listed every 30 seconds
    assert not (settings.workdir / FOLDER / "other.json").exists()


def test_the_sdk_is_told_a_state_that_programs_can_compare(
    registry: Registry, open_settings: OpenSettings, keys: tuple[str, str], tmp_path: Path
) -> None:
    settings = open_settings(workdir=tmp_path)
    with serving(registry, settings) as url:

        def told() -> dict[str, Any]:
            reply = Client(url, keys).post(STATUS.format(project=settings.project), json={"ai_name": "detector"})
            found: dict[str, Any] = reply.json()["ai"]
            return found

        trained_elsewhere = told()
        file = StatusFile(tmp_path / FOLDER, "detector")
        (tmp_path / FOLDER).mkdir()
        file.write(TrainingStatus("ready", 100, "detector@1", True, 0.5, "It is the first one, with mAP50 0.5."))
        trained_here = told()
    for found in (trained_elsewhere, trained_here):
        assert (found["status"], found["state"], found["percent"]) == ("ready", "ready", 100)
    assert (trained_elsewhere["reason"], trained_here["reason"]) == ("", "It is the first one, with mAP50 0.5.")


def test_a_file_that_does_not_exist(client: Client, settings: ServiceSettings) -> None:
    reply = client.post("/v1/brains/detector/predict", json={"file_id": 99_999})
    assert (reply.status_code, reply.json()["error"]["kind"]) == (404, "FileNotFound")
    assert reply.json()["error"]["what"] == f"The project {settings.project} has no file 99999."
    body = {"ai_name": "detector", "file_list": [{"id": 99_999}]}
    reply = client.post(FROM_FILE.format(project=settings.project), json=body)
    assert (reply.status_code, "has no file 99999" in reply.json()["log"]["error"]["FileNotFound"]) == (400, True)


def test_a_misspelt_brain_is_told_at_once(
    registry: Registry,
    open_settings: OpenSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    learned: BrainRecord,
) -> None:
    problem = "The brain 'detectr' has no version yet; the registry has detector."
    with serving(registry, open_settings(brains=("detectr",)), ready=False) as url:
        reply = requests.get(f"{url}/readyz", timeout=10)
    assert (reply.status_code, reply.json()["brains"][0]["problem"]) == (503, problem)

    def announced(_registry: Registry, _settings: ServiceSettings, _host: str, _port: int, announce: Any) -> None:
        announce("http://there")

    monkeypatch.setattr("diffgram_flows.service.serve", announced)
    monkeypatch.setenv("DIFFGRAM_BRAIN_SERVICE_TOKEN", "a token")
    adopt(registry_of(learned, tmp_path / "brains"), learned, "unused")
    serve(target=Target(workdir=tmp_path), brain=["detector", "detectr", "unused"])
    out = capsys.readouterr().out
    assert "is not ready: http://there" in out
    assert "Warning: The brain 'detectr' has no version yet; the registry has detector, unused." in out
    assert "Warning: No version of the brain 'unused' was promoted yet." in out
    serve(target=Target(workdir=tmp_path), brain=["detector"])
    assert "is ready: http://there" in (out := capsys.readouterr().out)
    assert "Warning" not in out


def test_a_service_uses_a_saved_block_and_says_who_is_let_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[ServiceSettings] = []

    def announced(_registry: Registry, settings: ServiceSettings, _host: str, _port: int, announce: Any) -> None:
        used.append(settings)
        announce("http://there")

    def found(target: Target) -> DiffgramCredentials:
        assert target.credentials_block == "cars"
        secret = SecretStr("hidden")
        return DiffgramCredentials(
            diffgram_url="https://diffgram.test", project="cars", client_id="id", client_secret=secret
        )

    monkeypatch.setattr("diffgram_flows.service.serve", announced)
    monkeypatch.setattr("diffgram_flows.blocks.find_credentials", found)
    for name in [name for name in os.environ if name.startswith("DIFFGRAM_")]:
        monkeypatch.delenv(name)
    serve(target=Target(workdir=tmp_path, credentials_block="cars"))
    (settings,) = used
    assert (settings.diffgram_url, settings.project) == ("https://diffgram.test", "cars")
    assert (settings.client_id, settings.client_secret) == ("id", "hidden")
    assert "It lets in who has a credential of the project cars." in (out := capsys.readouterr().out)
    assert "hidden" not in out
    monkeypatch.setenv("DIFFGRAM_BRAIN_SERVICE_TOKEN", "hidden")
    serve(target=Target(workdir=tmp_path, project="cars"))  # no Diffgram that could be asked about it
    assert "It lets in who has the token in DIFFGRAM_BRAIN_SERVICE_TOKEN." in capsys.readouterr().out
