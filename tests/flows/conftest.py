"""Flows through a real Prefect API, against a sandbox in a process of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_SERVER_ANALYTICS_ENABLED, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from diffgram_flows.datasets import split_of
from diffgram_flows.demo import digits
from diffgram_flows.parameters import (
    AnnotationOptions,
    Bucket,
    CycleParameters,
    ExportOptions,
    ImportOptions,
    ImportParameters,
    Target,
    TrainOptions,
)
from diffgram_flows.sandbox import Annotator, SandboxProcess
from diffgram_flows.sandbox.truth import CocoTruth
from diffgram_flows.tasks.workspace import Workspace, open_workspace

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def prefect_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Prefect server for the whole run; a heartbeat would only cost a second a flow."""
    quiet = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_SERVER_ANALYTICS_ENABLED: False}
    with temporary_settings(quiet), prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture
def credentials(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox's, in the environment, as a user would have them."""
    monkeypatch.setenv("DIFFGRAM_URL", sandbox.url)
    monkeypatch.setenv("DIFFGRAM_PROJECT", sandbox.project)
    monkeypatch.setenv("DIFFGRAM_CLIENT_ID", sandbox.client_id)
    monkeypatch.setenv("DIFFGRAM_CLIENT_SECRET", sandbox.client_secret)


@dataclass
class Site:
    """A bucket with pictures of digits, a dataset of its own, and a person who knows the digits.

    Training is as short as it can be: these tests are about the cycle, not about the brain.
    """

    folder: Path
    sandbox: SandboxProcess
    dataset: str
    truth: Path
    train: dict[str, Any] = field(default_factory=lambda: {"steps": 6, "warm_steps": 6, "image_size": 64})

    @property
    def bucket(self) -> Path:
        return self.folder / "bucket"

    @property
    def target(self) -> Target:
        return Target(dataset=self.dataset, workdir=self.folder / "work", packets_per_second=0)

    def arrive(self, start: int, stop: int) -> None:
        """Let pictures ``start`` to ``stop`` (excluded) arrive in the bucket."""
        digits.write_pictures(self.bucket, range(start, stop), split_of)
        digits.write_truth(self.truth, range(stop), split_of)

    def prepare_labels(self) -> None:
        """The schema has a label for every digit, before anybody annotates."""
        client = open_workspace(self.target, create=True).client
        schema = next(schema for schema in client.schemas() if schema.is_default)
        client.ensure_labels(schema.id, [str(digit) for digit in range(10)])

    def import_parameters(self, uri: str = "", **bucket: Any) -> ImportParameters:
        return ImportParameters(
            target=self.target,
            bucket=Bucket(uri=uri or f"file://{self.bucket}", **bucket),
            importing=ImportOptions(timeout_minutes=1, stuck_minutes=0.2),
            annotation=AnnotationOptions(job_name=f"label {self.dataset}", task_timeout_seconds=20),
        )

    def cycle_parameters(self, min_new_files: int) -> CycleParameters:
        p = self.import_parameters()
        return CycleParameters(
            target=p.target,
            bucket=p.bucket,
            importing=p.importing,
            annotation=p.annotation,
            exporting=ExportOptions(min_new_files=min_new_files),
            training=TrainOptions(min_new_images=1, **self.train),
        )

    def annotate(self, limit: int | None = None) -> int:
        """Let a person do tasks of all jobs; how many."""
        person = Annotator(self.sandbox.url, self.sandbox.email, self.sandbox.password, CocoTruth.load(self.truth))
        done = 0
        for job in self.workspace.ledger.work.jobs():
            assert job.job_id is not None
            done += person.annotate(job.job_id, limit=None if limit is None else limit - done).images
        return done

    @property
    def workspace(self) -> Workspace:
        return open_workspace(self.target)

    def file_names(self) -> list[str]:
        workspace = self.workspace
        return sorted(file.name for file in workspace.client.files(workspace.directory_id))


@pytest.fixture
def make_site(
    tmp_path: Path, sandbox: SandboxProcess, credentials: None, prefect_api: None
) -> Callable[[SandboxProcess], Site]:
    """Builds a site on any sandbox."""

    def make(server: SandboxProcess) -> Site:
        number = next(_numbers)
        folder = tmp_path / str(number)
        (folder / "bucket").mkdir(parents=True)
        return Site(folder, server, f"digits {number}", folder / "truth.json")

    return make


@pytest.fixture
def site(make_site: Callable[[SandboxProcess], Site], sandbox: SandboxProcess) -> Site:
    made = make_site(sandbox)
    made.arrive(0, 12)
    made.prepare_labels()
    return made
