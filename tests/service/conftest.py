"""A brain that has learned a little, a service that serves it, and a sandbox as Diffgram."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from brains.conftest import make_samples, make_snapshot, snapshot
from PIL import Image
from project.conftest import adopt
from servers.brain_service import serving

from diffgram_flows.brains import BrainRecord, Registry, TrainingOptions, train_brain
from diffgram_flows.models import Snapshot
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings

__all__ = ["make_samples", "make_snapshot", "snapshot"]


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture(scope="session")
def learned(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> BrainRecord:
    """A brain that sees something, good or not; its folder must not be changed."""
    options = TrainingOptions(
        image_size=64, width=8, head=16, batch_size=8, steps=40, learning_rate=6e-3, augmentation=0, averaging=0.5
    )
    registry = Registry(tmp_path_factory.mktemp("learned"))
    record = train_brain(snapshot, name="detector", registry=registry, options=options)
    return replace(record, manifest=replace(record.manifest, score_threshold=0.1))


@pytest.fixture(scope="session")
def registry(learned: BrainRecord, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One brain with a champion, not to be changed."""
    return registry_of(learned, tmp_path_factory.mktemp("served") / "brains")


def registry_of(record: BrainRecord, folder: Path, name: str = "detector") -> Registry:
    registry = Registry(folder)
    registry.promote(adopt(registry, record, name).ref)
    return registry


@pytest.fixture(scope="session")
def settings(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> ServiceSettings:
    """A service that asks the sandbox about credentials."""
    return ServiceSettings(
        workdir=tmp_path_factory.mktemp("work"),
        diffgram_url=sandbox.url,
        project=sandbox.project,
        token="a token for tests",
        max_upload=2**20,
        max_pixels=1_000_000,
        poll=0.05,
    )


@dataclass(frozen=True)
class Client:
    """Whoever asks, with a credential."""

    url: str
    auth: tuple[str, str]

    def post(self, path: str, **more: Any) -> requests.Response:
        return requests.post(f"{self.url}{path}", auth=self.auth, timeout=30, **more)

    def get(self, path: str, **more: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", auth=self.auth, timeout=30, **more)

    def predict(self, content: bytes | Iterator[bytes], brain: str = "detector", **more: Any) -> requests.Response:
        return self.post(f"/v1/brains/{brain}/predict", data=content, **more)


@pytest.fixture(scope="session")
def service(registry: Registry, settings: ServiceSettings) -> Iterator[str]:
    with serving(registry, settings) as url:
        yield url


@pytest.fixture
def client(service: str, sandbox: SandboxProcess) -> Client:
    return Client(service, (sandbox.client_id, sandbox.client_secret))


@pytest.fixture(scope="session")
def picture(snapshot: Snapshot) -> bytes:
    """An image that the brain has learned from."""
    return snapshot.samples[0].path.read_bytes()


@pytest.fixture
def open_settings(settings: ServiceSettings) -> Callable[..., ServiceSettings]:
    """The same settings with others."""
    return lambda **changes: replace(settings, **changes)


def image_of(width: int, height: int, kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (width, height), (10, 200, 30)).save(content, kind)
    return content.getvalue()
