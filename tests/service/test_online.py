"""``project.get_model(local=False)``, and trainings that are ordered over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from PIL import Image
from service.conftest import Client

from diffgram_flows import Project
from diffgram_flows.brains import BrainRecord
from diffgram_flows.errors import (
    AuthenticationError,
    BrainNotFound,
    ConfigurationError,
    ImageRejected,
    ServerUnreachable,
    UnexpectedReply,
)
from diffgram_flows.project import Brain
from diffgram_flows.project.context import Context
from diffgram_flows.sandbox import SandboxProcess


@pytest.fixture
def project(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Project]:
    keys = (sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret)
    with Project(*keys, workdir=tmp_path / "work", packets_per_second=0) as opened:
        yield opened


@pytest.fixture
def brain(project: Project, service: str, monkeypatch: pytest.MonkeyPatch) -> Brain:
    monkeypatch.setenv("DIFFGRAM_BRAIN_SERVICE_URL", service)
    return project.get_model("detector", local=False)


def test_a_brain_elsewhere_sees_what_one_here_sees(
    brain: Brain, project: Project, learned: BrainRecord, picture: bytes, tmp_path: Path
) -> None:
    here = Brain(Context(project.client, tmp_path), "detector", record=learned)
    path = tmp_path / "known.png"
    path.write_bytes(picture)
    file = project.file.from_local(path)
    wanted = here.run(picture)
    assert len(wanted)
    with Image.open(path) as image:
        ways = [brain.run(picture), brain.predict_from_local(path), brain.run(image), brain.predict_from_file(file.id)]
    for seen in ways:
        assert (seen.width, seen.height, seen.method) == (wanted.width, wanted.height, wanted.method)
        assert [one.annotation.points for one in seen] == [one.annotation.points for one in wanted]
        assert [one.score for one in seen] == pytest.approx([one.score for one in wanted], rel=1e-4)
        assert [one.label for one in seen] == [one.label for one in wanted]
    assert ways[0].brain == "detector@1"
    assert len(brain.run(picture, score_threshold=0.01)) > len(wanted)
    assert brain.visual(picture, ways[0]).size == (96, 96)
    assert (brain.version, brain.labels) == (1, learned.manifest.label_map)
    assert brain.check_status().state == "ready"
    assert project.get_model(version=1, local=False).run(picture) == ways[0]
    assert not (project.workdir / "brains").exists()


def test_refusals_are_our_errors(
    brain: Brain, project: Project, sandbox: SandboxProcess, picture: bytes, service: str, tmp_path: Path
) -> None:
    for ask, kind, said in (
        (lambda: brain.run(b"a text"), ImageRejected, "not an image"),
        (lambda: brain.run(tmp_path / "gone.png"), ImageRejected, "gone.png cannot be read"),
        (lambda: brain.run(bytes(2**21)), ImageRejected, "1,048,576 bytes"),
        (lambda: brain.predict_from_url("http://127.0.0.1/x"), ImageRejected, "not public"),
        (lambda: brain.run(picture, tile="auto"), ConfigurationError, "not at tiles"),
        (lambda: project.get_model("nobody", local=False).run(picture), BrainNotFound, "There is detector"),
        (lambda: project.get_model("x", local=False, service_url="nowhere"), ConfigurationError, "is no URL"),
        (lambda: project.get_model(local=False, service_url="http://127.0.0.1:9"), ServerUnreachable, "not answer"),
        (lambda: project.get_model(local=False, service_url=sandbox.url), UnexpectedReply, sandbox.url),
    ):
        with pytest.raises(kind, match=said):
            ask()
    other = Project(sandbox.url, sandbox.project, "nobody", "wrong", workdir=tmp_path / "other")
    with pytest.raises(AuthenticationError, match="credential is wrong"):
        other.get_model("detector", local=False).run(picture)


def test_a_training_is_ordered_and_tells_why_it_failed(
    client: Client, project: Project, sandbox: SandboxProcess
) -> None:
    wrong = client.post("/v1/brains/fresh/train", json={"options": {"stepz": 3}})
    assert (wrong.status_code, "stepz" in wrong.text) == (400, True)
    directory = project.directory.new("nothing finished")
    order = {"ai_name": "fresh", "training_options": {"steps": 5}, "directory_id": directory.id}
    base = f"/api/walrus/project/{sandbox.project}"
    began = time.monotonic()
    reply = client.post(f"{base}/machine_learning/training/run", json=order)
    assert reply.status_code == 200, reply.text
    assert time.monotonic() - began < 5
    assert reply.json()["ai"]["name"] == "fresh"
    assert reply.json()["ai"]["status"] in ("queued", "exporting")
    status = f"/api/walrus/v1/project/{sandbox.project}/brain/status"
    ends_at = time.monotonic() + 60
    while (found := client.post(status, json={"ai_name": "fresh"}).json()["ai"])["state"] != "failed":
        assert time.monotonic() < ends_at
        time.sleep(0.1)
    assert (found["status"], "No file of the dataset is finished" in found["reason"]) == ("failed", True)
    told = client.get("/v1/brains/fresh/status").json()
    assert (told["state"], "No file" in told["reason"]) == ("failed", True)
    assert requests.get(f"{client.url}/v1/brains/fresh/status", timeout=10).status_code == 401
