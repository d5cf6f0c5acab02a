from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.pages import Page

from diffgram_flows import Project
from diffgram_flows.brains import BrainRecord
from diffgram_flows.errors import (
    BrainError,
    BrainNotFound,
    Busy,
    ConfigurationError,
    LabelMapChanged,
    NotEnoughData,
)
from diffgram_flows.project import Brain
from diffgram_flows.project.training_run import TrainingRun
from diffgram_flows.project.training_status import FOLDER, StatusFile, TrainingStatus
from diffgram_flows.sandbox import SandboxProcess

QUICK: dict[str, Any] = {"steps": 100, "image_size": 64, "learning_rate": 6e-3, "augmentation": 0.0, "averaging": 0.9}
LONG: dict[str, Any] = {"steps": 1_000_000, "image_size": 64}


@pytest.fixture
def start(project: Project) -> Iterator[Callable[..., Brain]]:
    """``project.train.start``, whose trainings are over when the test is."""
    started: list[Brain] = []

    def begin(name: str, **options: Any) -> Brain:
        started.append(project.train.start(name, **options))
        return started[-1]

    yield begin
    for brain in started:
        brain.stop()


def states(brain: Brain, until: str = "", patience: float = 240.0) -> list[str]:
    """The states that it goes through until it is done, or in the given one."""
    seen: list[str] = []
    ends_at = time.monotonic() + patience
    while not (status := brain.check_status()).done and status.state != until:
        assert time.monotonic() < ends_at, f"it is {status} for ever"
        if seen[-1:] != [status.state]:
            seen.append(status.state)
        time.sleep(0.02)
    return [*seen, status.state]


def test_from_finished_tasks_to_a_brain_that_sees(
    project: Project, sandbox: SandboxProcess, start: Callable[..., Brain], annotated: tuple[str, list[Page]]
) -> None:
    dataset, pages = annotated
    began = time.monotonic()
    brain = start("graphs", method="object_detection", directory=dataset, **QUICK)
    assert time.monotonic() - began < 10
    with pytest.raises(BrainError, match=r"'graphs' is not ready: it is .*brain\.wait"):
        brain.run(pages[0].path)
    with pytest.raises(Busy, match="being trained"):
        project.train.start("graphs", directory=dataset)
    assert project.train.get("graphs").check_status().state in ("queued", "exporting", "training")
    order = ["queued", "exporting", "training", "evaluating", "ready"]
    seen = states(brain)
    assert seen == [state for state in order if state in seen]
    assert {"training", "ready"} <= set(seen)
    status = brain.wait(1)
    assert (status.brain, status.promoted) == ("graphs@1", True)
    assert status.map50 is not None
    assert status.map50 > 0.5
    (found,) = brain.run(pages[0].path)
    truth = pages[0].graph
    assert found.label == "graph"
    assert abs(found.points[0][0] - truth.x_min) < 12
    assert project.get_model("graphs").run(pages[0].path) == brain.run(pages[0].path)
    again = project.train.get("graphs")
    assert again.check_status() == status
    assert again.version == 1
    written = [path for path in (project.workdir / FOLDER).iterdir() if path.is_file()]
    assert {path.suffix for path in written} == {".json", ".lock", ".log"}
    assert not [path for path in written if sandbox.client_secret.encode() in path.read_bytes()]
    job = project.job.get("mark graphs")
    # The job's only dataset is meant.
    second = start("graphs", job=job, min_score=1.0, **(QUICK | {"steps": 2})).wait(240)
    assert (second.brain, second.promoted) == ("graphs@2", False)
    assert "is below the required 1.0000" in second.reason
    assert project.get_model("graphs", version=2)._ready().manifest.parent == "graphs@1"


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        pytest.param({"directory": "unfinished"}, NotEnoughData, "No file of the dataset is finished", id="nothing"),
        pytest.param({"test_share": 0.0}, NotEnoughData, "is a test image.*raise test_share", id="no test image"),
    ],
)
def test_a_failed_training_tells_why(
    project: Project,
    start: Callable[..., Brain],
    annotated: tuple[str, list[Page]],
    options: dict[str, Any],
    error: type[Exception],
    said: str,
) -> None:
    project.directory.new("unfinished")
    brain = start("graphs", **({"directory": annotated[0]} | options))
    assert states(brain)[-1] == "failed"
    for ask in (lambda: brain.wait(1), lambda: brain.run(b""), lambda: brain.version):
        with pytest.raises(error, match=said):
            ask()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"method": "magic"}, "no training method 'magic'", id="method"),
        pytest.param({"stepz": 3}, "no option 'stepz'.*steps", id="option"),
        pytest.param({"image_size": 100}, "image_size is 100", id="size"),
        pytest.param({"test_share": 0.95}, "leave nothing to train on", id="shares"),
        pytest.param({"steps": "100"}, "steps is '100'", id="kind"),
        pytest.param({"min_score": 1.5}, r"floors \(1\.5, 0\.0\)", id="floor"),
        pytest.param({"confidence": "sure"}, "confidence 'sure'", id="confidence"),
        pytest.param({"directory": "nowhere"}, "no dataset 'nowhere'", id="dataset"),
        pytest.param({"name": "../evil"}, "cannot be the name", id="name"),
    ],
)
def test_wrong_settings_are_refused_at_once(project: Project, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        project.train.start(**({"name": "graphs"} | options))
    assert not (project.workdir / FOLDER).exists()


def test_a_method_that_finds_something_else_than_the_champion(
    project: Project, learned: BrainRecord, promote: Callable[[BrainRecord, str], None]
) -> None:
    promote(learned, "colours")
    with pytest.raises(ConfigurationError, match=r"colours finds boxes: its champion colours@1 .*another name"):
        project.train.start("colours", method="classification")
    assert not (project.workdir / FOLDER).exists()


def test_a_training_can_be_stopped_and_started_again(
    project: Project, start: Callable[..., Brain], annotated: tuple[str, list[Page]]
) -> None:
    brain = start("graphs", directory=annotated[0], **LONG)
    assert states(brain, until="training")[-1] == "training"
    with pytest.raises(BrainError, match=r"not ready after 0\.1 s .*its training goes on"):
        brain.wait(0.1)
    brain.stop()
    with pytest.raises(BrainError, match="was stopped"):
        brain.wait(1)
    assert not list((project.workdir / "brains" / "graphs").glob(".draft-*"))
    assert start("graphs", directory=annotated[0], **LONG).check_status().state in ("queued", "exporting")


def test_a_killed_training_has_failed(
    project: Project, start: Callable[..., Brain], annotated: tuple[str, list[Page]]
) -> None:
    brain = start("graphs", directory=annotated[0], **LONG)
    states(brain, until="exporting")
    assert isinstance(brain._run, TrainingRun)
    assert brain._run._process is not None
    os.kill(brain._run._process.pid, signal.SIGKILL)
    with pytest.raises(BrainError, match="its process is gone"):
        brain.wait(60)


SCRIPT = """
import sys
from diffgram_flows import Project
url, project, client_id, secret, workdir, dataset = sys.argv[1:]
project = Project(url, project, client_id, secret, workdir=workdir)
brain = project.train.start("graphs", directory=dataset, steps={steps}, image_size=64)
print("started", flush=True)
{then}
"""


def script(sandbox: SandboxProcess, workdir: Path, dataset: str, steps: int, then: str = "") -> list[str]:
    keys = [sandbox.url, sandbox.project, sandbox.client_id, sandbox.client_secret]
    return [sys.executable, "-c", SCRIPT.format(steps=steps, then=then), *keys, str(workdir), dataset]


def test_a_script_that_ends_waits_for_its_training(
    sandbox: SandboxProcess, project: Project, annotated: tuple[str, list[Page]]
) -> None:
    done = subprocess.run(
        script(sandbox, project.workdir, annotated[0], 1), capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "started\n", "")
    assert project.train.get("graphs").check_status().brain == "graphs@1"


def test_a_training_ends_with_the_process_that_started_it(
    sandbox: SandboxProcess, project: Project, annotated: tuple[str, list[Page]]
) -> None:
    command = script(sandbox, project.workdir, annotated[0], 1_000_000, "import time; time.sleep(600)")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        elsewhere = project.train.get("graphs")
        states(elsewhere, until="training")
        with pytest.raises(Busy):
            project.train.start("graphs", directory=annotated[0])
        parent.kill()
    with pytest.raises(BrainError, match="was stopped"):
        elsewhere.wait(60)


def test_nothing_was_trained_yet(project: Project) -> None:
    with pytest.raises(BrainNotFound, match=r"No training of 'graphs'.*project\.train\.start"):
        project.train.get("graphs")


def test_a_status_survives_being_written(tmp_path: Path) -> None:
    file = StatusFile(tmp_path, "graphs")
    assert file.read() is None
    failed = TrainingStatus("training", 40).failed(LabelMapChanged("Gone: cat.", cure="Put it back."))
    file.write(failed)
    assert file.read() == failed
    assert str(failed) == "failed: Gone: cat. Put it back."
    with pytest.raises(LabelMapChanged, match=r"Gone: cat\. Put it back\."):
        raise failed.as_error()
    (tmp_path / "graphs.json").write_text("{}")
    with pytest.raises(BrainError, match="cannot be read"):
        file.read()
    assert [str(status) for status in (TrainingStatus("training", 40), TrainingStatus("ready", 100))] == [
        "training 40 %",
        "ready",
    ]
