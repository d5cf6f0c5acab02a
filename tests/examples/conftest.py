"""The examples as a person runs them: from a folder of their own, with the environment that says which server."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from servers.pages import Page, draw_pages

from diffgram_flows import Project
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.storage import open_store

ROOT = Path(__file__).parents[2]
Run = Callable[..., str]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the scripts run, one after the other, as one person would."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def pages(folder: Path) -> list[Page]:
    return draw_pages(folder / "pages", 24)


@pytest.fixture
def environment(sandbox: SandboxProcess, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFGRAM_URL", sandbox.url)
    monkeypatch.setenv("DIFFGRAM_PROJECT", sandbox.project)
    monkeypatch.setenv("DIFFGRAM_CLIENT_ID", sandbox.client_id)
    monkeypatch.setenv("DIFFGRAM_CLIENT_SECRET", sandbox.client_secret)
    monkeypatch.chdir(folder)


@pytest.fixture
def project(environment: None) -> Iterator[Project]:
    with Project.from_environment() as opened:
        yield opened


@pytest.fixture
def run(environment: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs an example in this process, where TensorFlow is loaded once, and gives what it printed."""

    def start(name: str, *arguments: str | Path) -> str:
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(ROOT / "examples" / name), run_name="__main__")
        return capsys.readouterr().out

    return start


@pytest.fixture
def spawn(environment: None) -> Run:
    """A function that runs an example as a process of its own."""

    def start(name: str, *arguments: str | Path) -> str:
        command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, timeout=300, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return start


@pytest.fixture
def url_of(pages: list[Page], folder: Path) -> Iterator[Callable[[Page], str]]:
    """A function that gives a URL of a page."""
    with open_store(f"file://{folder / 'pages'}")[0] as store:

        def sign(page: Page) -> str:
            (stored,) = store.iter_objects(page.path.name)
            return store.lease(stored, timedelta(hours=1)).url

        yield sign
