"""Brains in an object store: trained by a Prefect deployment on another machine, asked about and used on this one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from prefect.settings import PREFECT_API_URL
from prefect.states import Completed, Running
from project.conftest import Deploy, adopt, flow_run_of, project_of, reach
from servers.pages import Page

from diffgram_flows import Project
from diffgram_flows.brains import BrainRecord, Registry
from diffgram_flows.errors import BrainNotFound, ConfigurationError
from diffgram_flows.importing import refresh_jobs
from diffgram_flows.models import BrainRef, Snapshot
from diffgram_flows.parameters import ExportParameters, Target
from diffgram_flows.project import Brain
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.storage import open_folder
from diffgram_flows.tasks.workspace import open_workspace
from flows.export_annotations import export_annotations

STEPS = 40
ROOT = Path(__file__).parents[2]
Open = Callable[..., Project]


@pytest.fixture(params=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> str:
    uri: str = request.getfixturevalue(f"{request.param}_store")
    return uri


@pytest.fixture
def opening(tmp_path: Path) -> Iterator[Open]:
    """Opens a project that asks no Diffgram."""
    opened: list[Project] = []

    def open_one(store_uri: str = "", workdir: str = "mine") -> Project:
        keys = ("http://127.0.0.1:9", "cars", "id", "secret")
        opened.append(Project(*keys, workdir=tmp_path / workdir, store_uri=store_uri))
        return opened[-1]

    yield open_one
    for project in opened:
        project.close()


@contextmanager
def working(flow_run: UUID, log: Path) -> Iterator[None]:
    """A worker in a process of its own that does one flow run; it is over when the block is."""
    environment = os.environ | {"PREFECT_API_URL": PREFECT_API_URL.value(), "PREFECT_HOME": str(log.parent / "prefect")}
    command = [sys.executable, "-m", "prefect.engine", str(flow_run)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


def watched(brain: Brain, log: Path) -> tuple[list[str], list[int]]:
    """The states that a brain goes through until it is done, and the percents of its training."""
    states: list[str] = []
    percents: list[int] = []
    ends_at = time.monotonic() + 240
    while True:
        status = brain.check_status()
        assert status.state != "failed", f"{status}\n{log.read_text()}"
        if states[-1:] != [status.state]:
            states.append(status.state)
        if status.state == "training":
            percents.append(status.percent)
        if status.done:
            return states, percents
        assert time.monotonic() < ends_at, log.read_text()
        time.sleep(0.25)  # each look costs the Prefect server something


def test_a_deployment_on_another_machine_trains_and_the_brain_predicts_here(
    deploy: Deploy,
    s3_store: str,
    sandbox: SandboxProcess,
    annotated: tuple[str, list[Page]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset, pages = annotated
    for name, value in {
        "DIFFGRAM_URL": sandbox.url,
        "DIFFGRAM_PROJECT": sandbox.project,
        "DIFFGRAM_CLIENT_ID": sandbox.client_id,
        "DIFFGRAM_CLIENT_SECRET": sandbox.client_secret,
    }.items():
        monkeypatch.setenv(name, value)
    target = Target(dataset=dataset, workdir=tmp_path / "worker", store_uri=s3_store, packets_per_second=0)
    with project_of(sandbox, tmp_path / "mine", store_uri=s3_store) as project:
        there = open_workspace(target)
        refresh_jobs(there.client, there.ledger, [job.id for job in there.client.jobs()])
        export_annotations(ExportParameters(target=target))
        brain = project.train.start("graphs", deployment=deploy(target), steps=STEPS, image_size=64, learning_rate=6e-3)
        assert brain.check_status().state == "queued"
        log = tmp_path / "worker.log"
        with working(flow_run_of(project.workdir, "graphs"), log):
            states, percents = watched(brain, log)
        assert states == [state for state in ("queued", "training", "evaluating", "ready") if state in states]
        assert {"training", "evaluating"} <= set(states)
        assert percents == sorted(percents)
        assert 0 < percents[-1] <= 100
        status = brain.wait(1)
        assert (status.brain, status.promoted, status.reason) == ("graphs@1", True, "")
        seen = brain.run(pages[0].path, score_threshold=0.01)
        assert {found.label for found in seen} == {"graph"}
        for same in (project.get_model("graphs"), project.train.get("graphs")):
            assert same.run(pages[0].path, score_threshold=0.01) == seen
        here, original = brain._ready(), there.registry.get(BrainRef("graphs", 1))
        assert here.manifest == original.manifest
        assert here.folder == tmp_path / "mine" / "brains" / "graphs" / "1"  # a copy
    with project_of(sandbox, tmp_path / "mine") as blind:  # the same work folder, without the store
        with pytest.raises(BrainNotFound) as told:
            blind.train.get("graphs").loaded()
        assert f"keeps the brain 'graphs' in the store {s3_store}" in told.value.what
        assert f"looks in the work folder {tmp_path / 'mine'} (it has no store_uri)" in told.value.what
        assert f"store_uri='{s3_store}'" in told.value.cure


def test_its_own_version_is_found_among_those_of_others(
    deploy: Deploy, store: str, opening: Open, learned: BrainRecord, snapshot: Snapshot, tmp_path: Path
) -> None:
    elsewhere = Registry(open_folder(store).child("brains"), tmp_path / "worker")
    adopt(elsewhere, learned, "detector")
    project = opening(store)
    deployment = deploy(Target(workdir=tmp_path / "worker", store_uri=f"{store}/"))
    brain = project.train.start("detector", deployment=deployment)
    assert str(brain.check_status()) == "queued"
    reach(project.workdir, Running())
    assert str(brain.check_status()) == "training 0 %"
    second = adopt(elsewhere, learned, "detector")
    elsewhere.promote(second.ref)
    adopt(elsewhere, learned, "detector")  # of somebody who was faster at the end
    reach(project.workdir, Completed(), judged="detector@2")
    image = snapshot.samples[0].path
    for one in (brain, opening(store).train.get("detector")):
        status = one.check_status()
        assert (status.state, status.brain, status.promoted) == ("ready", "detector@2", True)
        assert one.run(image).instances
        assert one.run(image).brain == "detector@2"

    left = project.train.start("detector", deployment=deployment)
    reach(project.workdir, Completed(), judged="detector@1")  # trained before, and left unjudged by a crash
    assert (left.version, left.check_status().promoted) == (1, False)
    untold = project.train.start("detector", deployment=deployment)
    adopt(elsewhere, learned, "detector")
    reach(project.workdir, Completed())  # its artifacts were removed
    assert untold.version == 4
    gone = project.train.start("detector", deployment=deployment)
    reach(project.workdir, Completed(), judged="detector@9")
    assert gone.check_status().state == "ready"
    with pytest.raises(BrainNotFound, match=f"its version is not in the store {store} any more"):
        gone.run(image)


@pytest.mark.parametrize(
    ("theirs", "ours", "said", "cure"),
    [
        pytest.param("s3://a/b", "", "store s3://a/b, .* work folder", r"store_uri='s3://a/b'", id="theirs"),
        pytest.param("s3://a/b", "s3://a/c", "store s3://a/b, .* store s3://a/c", r"store_uri='s3://a/b'", id="two"),
        pytest.param("az://a/b", "gs://a/c", "store az://a/b, .* store gs://a/c", r"store_uri='az://a/b'", id="kind"),
        pytest.param("", "gs://a/c", "work folder elsewhere .* store gs://a/c", r"target to 'gs://a/c'", id="ours"),
    ],
)
def test_stores_that_differ_are_told_from_the_beginning(
    deploy: Deploy,
    opening: Open,
    monkeypatch: pytest.MonkeyPatch,
    theirs: str,
    ours: str,
    said: str,
    cure: str,
) -> None:
    monkeypatch.setattr(Registry, "numbers", lambda registry, name: [])  # nobody is at these addresses
    monkeypatch.setattr(Registry, "champion_ref", lambda registry, name: None)
    project = opening(ours)
    brain = project.train.start("detector", deployment=deploy(Target(workdir=Path("elsewhere"), store_uri=theirs)))
    told = f"keeps the brain 'detector' in the {said}.*{cure}"
    for state, name in ((None, "queued"), (Running(), "training 0 %"), (Completed(), "ready")):
        if state is not None:
            reach(project.workdir, state)
        status = brain.check_status()
        assert str(status).startswith(f"{name}: ")
        assert re.search(told, status.reason)
    assert brain.wait(1).brain == ""
    for ask in (lambda: brain.run(b""), lambda: brain.version, lambda: brain.loaded()):
        with pytest.raises(BrainNotFound, match=told):
            ask()


def test_the_same_place_in_other_words(deploy: Deploy, opening: Open, learned: BrainRecord, tmp_path: Path) -> None:
    """A folder that both reach, as a work folder of one and as the store of the other."""
    project = opening(f"file://{tmp_path / 'shared'}/")
    brain = project.train.start("detector", deployment=deploy(Target(workdir=tmp_path / "shared")))
    assert str(brain.check_status()) == "queued"
    adopt(Registry(tmp_path / "shared" / "brains"), learned, "detector")
    reach(project.workdir, Completed(), judged="detector@1")
    assert brain.version == 1


@pytest.mark.slow
def test_a_training_of_this_machine_goes_into_the_store(
    s3_store: str, sandbox: SandboxProcess, annotated: tuple[str, list[Page]], tmp_path: Path
) -> None:
    dataset, pages = annotated
    with project_of(sandbox, tmp_path / "mine", store_uri=s3_store) as project:
        brain = project.train.start("graphs", directory=dataset, steps=2, image_size=64)
        status = brain.wait(240)
        assert status.brain == "graphs@1"
        seen = brain.run(pages[0].path)
    store = open_folder(s3_store)
    assert "brains/graphs/1/manifest.json" in set(store.list())
    snapshot_id = brain._ready().manifest.snapshot_id
    assert any(name.startswith(f"snapshots/{snapshot_id}/") for name in store.list())
    with project_of(sandbox, tmp_path / "other", store_uri=s3_store) as other:
        assert other.get_model("graphs", version=1).run(pages[0].path) == seen


@pytest.mark.parametrize(
    ("store", "said"),
    [
        pytest.param("ftp://team", "Nothing can be kept in 'ftp://team'", id="kind"),
        pytest.param("az://account/container", "Nothing can be kept in", id="read only"),
        pytest.param("s3://", "bucket", id="no bucket"),
        pytest.param("file://relative", "three slashes", id="relative"),
    ],
)
def test_a_wrong_store_is_refused_at_once(opening: Open, store: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        opening(store)


@pytest.mark.parametrize("store", ["s3://team/ours", "gs://team/ours"])
def test_opening_a_project_with_a_store_loads_nothing_heavy(store: str) -> None:
    heavy = ("tensorflow", "boto3", "botocore", "google.cloud", "prefect", "pyarrow")
    script = (
        "import sys, diffgram_flows;"
        f"project = diffgram_flows.Project('http://127.0.0.1:9', 'cars', 'id', 'secret', store_uri={store!r});"
        f"project.train, project.close(); print([n for n in {heavy!r} if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
