"""``project.train.start(deployment=...)`` through a real Prefect API; what a worker would set is set here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments.runner import RunnerDeployment
from prefect.states import Cancelled, Completed, Failed, Running

from diffgram_flows import Project
from diffgram_flows.errors import BrainError, ConfigurationError
from diffgram_flows.parameters import Target, TrainOptions, TrainParameters
from diffgram_flows.project import Brain
from flows.train_brain import train_brain


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project("http://127.0.0.1:9", "cars", "id", "secret", workdir=tmp_path) as opened:
        yield opened


@pytest.fixture
def deployment(prefect_api: None) -> str:
    form = TrainParameters(target=Target(dataset="photos"), training=TrainOptions(min_score=0.3))
    parameters = {"parameters": form.model_dump(mode="json", exclude_defaults=True)}
    made = train_brain.to_deployment("for tests", parameters=parameters)
    assert isinstance(made, RunnerDeployment)
    made.apply()
    return "train brain/for tests"


def run_of(project: Project) -> FlowRun:
    found = (project.workdir / "trainings" / "detector.flow-run.json").read_text()
    with get_client(sync_client=True) as client:
        return client.read_flow_run(UUID(found.split('"')[3]))


def reach(project: Project, state: State) -> None:
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run_of(project).id, state, force=True)


def test_a_deployment_trains(project: Project, deployment: str) -> None:
    brain = project.train.start("detector", deployment=deployment, steps=30, image_size=64)
    assert brain.check_status().state == "queued"
    assert run_of(project).parameters == {
        "parameters": {
            "target": {"dataset": "photos"},
            "training": {
                "min_score": 0.3,
                "brain": "detector",
                "method": "object_detection",
                "from_champion": True,
                "steps": 30,
                "warm_steps": 30,
                "image_size": 64,
            },
        }
    }
    reach(project, Running())
    assert str(brain.check_status()) == "training 0 %"
    with pytest.raises(BrainError, match="is not ready: it is training"):
        brain.run(b"")
    elsewhere = project.train.get("detector")
    reach(project, Failed(message="There is no snapshot to train on."))
    for same in (brain, elsewhere):
        assert same.check_status().state == "failed"
        with pytest.raises(BrainError, match="There is no snapshot to train on"):
            same.wait(1)


def test_other_ends(project: Project, deployment: str) -> None:
    def start() -> Brain:
        return project.train.start("detector", deployment=deployment)

    cancelled = start()
    reach(project, Cancelled())
    assert "was cancelled" in cancelled.check_status().reason
    done = start()
    reach(project, Completed())
    assert done.check_status().state == "ready"
    assert "not in the registry of this work folder" in done.check_status().reason


def test_wrong_orders(project: Project, deployment: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no Prefect deployment 'train brain/other'.*prefect deployment ls"):
        project.train.start("detector", deployment="train brain/other")
    with pytest.raises(ConfigurationError, match="takes no option 'augmentation'"):
        project.train.start("detector", deployment=deployment, augmentation=0.0)
    assert not (project.workdir / "trainings").exists()
