"""A project on a sandbox server of its own, a bucket whose URLs it can fetch, and every request counted."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import requests
from brains.conftest import learned, learning, make_samples, make_snapshot, snapshot, tiny
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import State
from prefect.deployments.runner import RunnerDeployment
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness
from requests.adapters import HTTPAdapter
from servers.gcs import GoogleServer, gcs_server
from servers.pages import Page, Sign, annotate, draw_pages
from servers.s3 import S3Server, s3_server

from diffgram_flows import Project
from diffgram_flows.brains import BrainRecord, Registry
from diffgram_flows.parameters import Target, TrainOptions, TrainParameters
from diffgram_flows.project import Directory
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.storage import ObjectStore, open_store
from flows.train_brain import train_brain

__all__ = ["gcs_server", "learned", "learning", "make_samples", "make_snapshot", "s3_server", "snapshot", "tiny"]
_numbers = itertools.count(1)
PAGES = 24
Deploy = Callable[[Target], str]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture
def project(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Project]:
    with project_of(sandbox, tmp_path / "work") as opened:
        yield opened


@pytest.fixture(scope="module")
def annotated(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Page]]:
    """A dataset whose files people finished, and what is on them."""
    folder = tmp_path_factory.mktemp("annotated")
    pages = draw_pages(folder / "pages", PAGES)
    keys = (sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret)
    with Project(*keys, workdir=folder / "work") as project:
        project.label.new("graph")
        directory = project.directory.new("annotated")
        for page in pages:
            project.file.from_local(page.path, directory=directory)
        job = project.job.new("mark graphs", sync_directories=[directory])
        ends_at = time.monotonic() + 30
        while annotate(sandbox, job.id, pages, "graph") < PAGES and job.stat().completed < PAGES:
            assert time.monotonic() < ends_at
    return directory.name, pages


@pytest.fixture(scope="module")
def prefect_api() -> Iterator[None]:
    """A real Prefect server; a heartbeat would only cost a second a flow."""
    quiet = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_SERVER_ANALYTICS_ENABLED: False}
    with temporary_settings(quiet), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def deploy(prefect_api: None) -> Deploy:
    """A function that makes a deployment of a target, and gives its name."""

    def make(target: Target) -> str:
        form = TrainParameters(target=target, training=TrainOptions(min_class_count=1))
        parameters = {"parameters": form.model_dump(mode="json", exclude_defaults=True)}
        made = train_brain.to_deployment("on demand", parameters=parameters)
        assert isinstance(made, RunnerDeployment)
        made.apply()
        return "train brain/on demand"

    return make


@pytest.fixture
def s3_store(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty ``store_uri`` on a real S3 server, which the environment says how to reach."""
    s3_server.reached_by(monkeypatch)
    name = f"b-{uuid.uuid4().hex}"
    s3_server.client.create_bucket(Bucket=name)
    return f"s3://{name}/ours"


@pytest.fixture
def gs_store(gcs_server: GoogleServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty ``store_uri`` on a stand-in for Google that checks who asks."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_server.endpoint)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(gcs_server.key_file))
    name = f"b-{uuid.uuid4().hex}"
    gcs_server.client.create_bucket(name)
    return f"gs://{name}/ours"


@pytest.fixture
def directory(project: Project) -> Directory:
    """A dataset that nobody has used."""
    return project.directory.new(f"dataset {next(_numbers)}")


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[ObjectStore]:
    (tmp_path / "bucket").mkdir()
    with open_store(f"file://{tmp_path / 'bucket'}")[0] as store:
        yield store


@pytest.fixture
def sign(bucket: ObjectStore, tmp_path: Path) -> Sign:
    """A function that puts an image of 64 x 48 pixels into the bucket and signs a URL of it."""

    def put(key: str) -> str:
        color = tuple(sum(key.encode()) * factor % 256 for factor in (7, 29, 101))
        Image.new("RGB", (64, 48), color).save(tmp_path / "bucket" / key)
        (stored,) = bucket.iter_objects(key)
        return bucket.lease(stored, timedelta(hours=1)).url

    return put


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The path of every request that leaves this process."""
    seen: list[str] = []
    real = HTTPAdapter.send

    def send(self: HTTPAdapter, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        seen.append(request.path_url.partition("?")[0])
        return real(self, request, **more)

    monkeypatch.setattr(HTTPAdapter, "send", send)
    return seen


@pytest.fixture
def promote(project: Project) -> Callable[[BrainRecord, str], None]:
    """A function that adds a copy of a brain to the project's work folder and makes it the champion."""

    def add(record: BrainRecord, name: str) -> None:
        registry = Registry(project.workdir / "brains")
        registry.promote(adopt(registry, record, name).ref)

    return add


def adopt(registry: Registry, record: BrainRecord, name: str) -> BrainRecord:
    with registry.draft(name) as draft:
        for file in record.manifest.files:
            (draft / file).parent.mkdir(parents=True, exist_ok=True)
            (draft / file).write_bytes((record.folder / file).read_bytes())
        return registry.add(name, draft, record.manifest)


def project_of(sandbox: SandboxProcess, workdir: Path, **settings: Any) -> Project:
    keys = (sandbox.project, sandbox.client_id, sandbox.client_secret)
    return Project(sandbox.url, *keys, workdir=workdir, packets_per_second=0, **settings)


def flow_run_of(workdir: Path, name: str) -> UUID:
    """The newest training of a brain that a deployment does for a work folder."""
    return UUID((workdir / "trainings" / f"{name}.flow-run.json").read_text().split('"')[3])


def reach(workdir: Path, state: State, *, judged: str = "") -> None:
    """Tell Prefect about the newest training of the brain "detector" what its worker would.

    Args:
        workdir: For which the training was ordered.
        state: What becomes of the flow run.
        judged: The version that it has judged.
    """
    flow_run = flow_run_of(workdir, "detector")
    with get_client(sync_client=True) as client:
        if judged:
            rows = f'[{{"brain": "{judged}", "mAP50": 0.5}}, {{"brain": "detector@1", "mAP50": 0.4}}]'
            client.create_artifact(ArtifactCreate(key="evaluation", type="table", data=rows, flow_run_id=flow_run))
        client.set_flow_run_state(flow_run, state, force=True)
