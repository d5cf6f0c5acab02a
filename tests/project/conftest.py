"""A project on a sandbox server of its own, a bucket whose URLs it can fetch, and every request counted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from brains.conftest import learned, learning, make_samples, make_snapshot, snapshot, tiny
from PIL import Image
from requests.adapters import HTTPAdapter
from servers.pages import Sign

from diffgram_flows import Project
from diffgram_flows.brains import BrainRecord, Registry
from diffgram_flows.project import Directory
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.storage import ObjectStore, open_store

__all__ = ["learned", "learning", "make_samples", "make_snapshot", "snapshot", "tiny"]
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture
def project(sandbox: SandboxProcess, tmp_path: Path) -> Iterator[Project]:
    with project_of(sandbox, tmp_path / "work") as opened:
        yield opened


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
