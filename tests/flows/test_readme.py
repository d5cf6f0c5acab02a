"""The README's commands, as a new user types them."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL
from servers.postgres import PostgresServer, postgres

from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE

__all__ = ["postgres"]
ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]

ELSEWHERE = {
    "make demo": "what a person runs; tests/demo runs the same command line",
    "make test": "this",
    ".venv/bin/diffgram-flows demo --images photos --truth coco.json --rounds 2": "tests/demo",
    "pip install --constraint constraints.txt '.[tensorflow]'": "what make does, with another extra",
    "prefect server start": "the session's Prefect API",
    "pip install --constraint constraints.txt '.[postgres]'": "what make does, with another extra",
}


@pytest.fixture
def environment(prefect_api: None) -> dict[str, str]:
    """A terminal whose Prefect is that of the tests."""
    return {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value()), "PYTHONPATH": str(ROOT)}


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[None]:
    with background("prefect worker start --pool diffgram --type process", environment):
        yield


class background:  # noqa: N801 - reads as a verb
    """A command of the README that runs until it is stopped."""

    def __init__(self, command: str, environment: dict[str, str], more: tuple[str, ...] = (), cwd: Path = ROOT) -> None:
        assert command in COMMANDS
        line = [*words(command), *more]
        self.process = subprocess.Popen(
            line, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.communicate(timeout=60)


def words(command: str) -> list[str]:
    parts = shlex.split(command)
    if parts[0] == "prefect":
        return [sys.executable, "-m", *parts]
    if parts[0] == "diffgram-flows":
        return [sys.executable, "-m", "diffgram_flows.cli", *parts[1:]]
    return [sys.executable, *parts[1:]] if parts[0] == "python" else parts


def run(command: str, environment: dict[str, str]) -> str:
    assert command in COMMANDS
    done = subprocess.run(words(command), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def deployments() -> set[str]:
    with get_client(sync_client=True) as client:
        return {str(deployment.name) for deployment in client.read_deployments()}


def wait_for(names: set[str]) -> None:
    end = time.monotonic() + 90
    while not names <= deployments():
        assert time.monotonic() < end, f"only {deployments()} are there"
        time.sleep(0.5)


def test_a_worker_and_one_command_deploy_everything(environment: dict[str, str], worker: None) -> None:
    end = time.monotonic() + 90
    with get_client(sync_client=True) as client:
        while "diffgram" not in {pool.name for pool in client.read_work_pools()}:
            assert time.monotonic() < end, "the worker did not create its pool"
            time.sleep(0.5)
    run("prefect --no-prompt deploy --all --prefect-file deployments/prefect.yaml", environment)
    assert {"hourly", "nightly", "on-demand"} <= deployments()
    run("prefect event emit diffgram.work.finished --resource-id diffgram.project.cars", environment)


def test_one_process_serves_everything(environment: dict[str, str]) -> None:
    with background("python deployments/serve.py s3://my-bucket/images --dataset cars", environment) as process:
        wait_for({"hourly", "nightly", "on-demand"})
        assert process.poll() is None


def test_the_cycle_and_its_status_from_a_terminal(site: Any, capsys: Any) -> None:
    assert "diffgram-flows cycle s3://my-bucket/images --dataset cars --brain cars" in COMMANDS
    place = ["--workdir", str(site.target.workdir), "--dataset", site.dataset]
    quick = ["--packets-per-second", "0", "--brain", "cars"]
    assert main(["cycle", f"file://{site.bucket}", *place, *quick]) == DONE
    assert "12 files have an open task" in " ".join(capsys.readouterr().out.split())
    assert main(["status", *place]) == DONE
    assert "none yet" in capsys.readouterr().out


def test_a_large_import_is_planned_shared_and_traced(site: Any, postgres: PostgresServer, capsys: Any) -> None:
    for command in (
        "diffgram-flows preflight s3://my-bucket/images",
        "diffgram-flows plan s3://my-bucket/images --dataset cars --json plan.json",
        "diffgram-flows apply 3f2a9c71d04e --dataset cars",
        "diffgram-flows import s3://my-bucket/images --dataset cars --ledger-url postgresql://flows@db/ledger",
        "diffgram-flows trace s3://my-bucket/images/0001.jpg --dataset cars",
    ):
        assert command in COMMANDS
    ledger = postgres.new_database("TEMPLATE template0").replace("+psycopg", "")
    bucket, out = f"file://{site.bucket}", site.folder / "plan.json"
    place = ["--workdir", str(site.target.workdir), "--dataset", site.dataset, "--ledger-url", ledger]
    assert main(["preflight", bucket]) == DONE
    assert main(["plan", bucket, *place, "--json", str(out)]) == DONE
    assert main(["apply", json.loads(out.read_text())["id"], *place]) == DONE
    assert main(["import", bucket, *place]) == DONE
    capsys.readouterr()
    assert main(["trace", f"{bucket}/photo-00000.jpg", *place]) == DONE
    assert "imported" in capsys.readouterr().out
    assert len(site.file_names()) == 12


def test_training_data_and_brains_from_a_terminal(site: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (
        "diffgram-flows export s3://my-bucket/images --dataset cars",
        "diffgram-flows snapshot list",
        "diffgram-flows snapshot show latest",
        "diffgram-flows snapshot diff 5d41402a latest",
        "diffgram-flows export --format coco --out coco --dataset cars",
        "diffgram-flows import-annotations old/instances.json --format coco --as ground-truth --dataset cars --dry-run",
        "diffgram-flows train --dataset cars --brain cars --method object_detection",
        "diffgram-flows brain list",
        "diffgram-flows brain compare cars@1 cars@2",
        "diffgram-flows brain lineage cars@2 --dataset cars",
        "diffgram-flows brain rollback cars --dataset cars",
        "diffgram-flows predict s3://my-bucket/new --out results --brain cars",
    ):
        assert command in COMMANDS
    bucket, here = f"file://{site.bucket}", ["--workdir", str(site.target.workdir)]
    place = [*here, "--dataset", site.dataset, "--packets-per-second", "0"]
    monkeypatch.chdir(site.folder)

    def said(*words: str, code: int = DONE) -> str:
        capsys.readouterr()
        assert main(words) == code, capsys.readouterr().err
        return " ".join(re.sub("[│┃|]", " ", capsys.readouterr().out).split())

    said("import", bucket, *place, "--job-name", f"label {site.dataset}")
    site.annotate(limit=10)  # two of twelve are left, so one of the three test images is in
    assert "images 10 boxes" in said("export", bucket, *place)
    first = json.loads(said("snapshot", "list", *here, "--json"))[0]["snapshot_id"]
    quick = [
        "--brain",
        "cars",
        "--method",
        "object_detection",
        "--image-size",
        "64",
        "--steps",
        "4",
        "--warm-steps",
        "4",
    ]
    assert "It is the first one" in said("train", *place, *quick)
    site.annotate()
    said("export", bucket, *place)
    assert first[:8] in said("snapshot", "show", first[:8], *here)
    assert "images 2 0 0" in said("snapshot", "diff", first[:8], "latest", *here)
    said("train", *place, *quick)
    assert "cars@1" in said("brain", "list", *here)
    assert "cars@2" in said("brain", "compare", "cars@1", "cars@2", *here)
    assert "snapshot" in said("brain", "lineage", "cars@2", *place)
    said("brain", "promote", "cars@2", *place)
    assert "cars@1" in said("brain", "rollback", "cars", *place)
    said("export", "--format", "coco", "--out", "coco", *place)
    truth = next((site.folder / "coco").rglob("instances_train.json"))
    known = ["import-annotations", str(truth), "--format", "coco", "--as", "ground-truth", *place, "--dry-run"]
    assert "matched" in said(*known)
    said("predict", bucket, "--out", "results", "--brain", "cars", *here)
    assert list((site.folder / "results").rglob("*.jsonl"))


@pytest.mark.parametrize(
    "command",
    [
        "diffgram-flows sandbox serve",
        "diffgram-flows sandbox serve --fault-rate 0.1 --worker-death-rate 0.05 --seed 7",
    ],
)
def test_a_sandbox_prints_what_another_terminal_needs(
    command: str, prefect_api: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with background(command, environment, ("--port", "0"), tmp_path) as process:
        assert process.stdout is not None
        for line in process.stdout:
            setting = re.fullmatch(r"export (DIFFGRAM_\w+)=(\S+)\n", line)
            if setting:
                monkeypatch.setenv(setting[1], setting[2])
            if line.startswith("Ctrl+C"):
                break
        if "--seed" not in command:
            people_do_their_tasks(tmp_path, monkeypatch, capsys)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == DONE
    assert (tmp_path / "sandbox-data" / "credentials.json").exists()


def people_do_their_tasks(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Import a picture, let the stand-in's person draw in it, and export that."""
    for command in (
        "diffgram-flows sandbox labels coco.json",
        "diffgram-flows import s3://my-bucket/images --dataset cars",
        "diffgram-flows sandbox annotate coco.json",
    ):
        assert command in COMMANDS
    Image.new("RGB", (64, 48)).save(folder / "1.jpg")
    place = ["--workdir", str(folder / "work"), "--dataset", "photos"]
    image = {"id": 1, "file_name": "1.jpg", "width": 64, "height": 48}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
    (folder / "coco.json").write_text(
        json.dumps({"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "car"}]})
    )
    monkeypatch.chdir(folder)
    assert main(["sandbox", "labels", "coco.json"]) == DONE
    assert main(["import", f"file://{folder}", *place]) == DONE
    capsys.readouterr()
    assert main(["sandbox", "annotate", "coco.json"]) == DONE
    assert "1 tasks done: 1 boxes drawn" in capsys.readouterr().out
    assert main(["export", f"file://{folder}", *place]) == DONE
    assert "boxes 1" in " ".join(re.sub("[│┃|]", " ", capsys.readouterr().out).split())


def test_a_brain_service_is_ready(site: Any, environment: dict[str, str], tmp_path: Path) -> None:
    del site  # a Diffgram whose credentials are in the environment
    with background(
        "diffgram-flows brain serve --brain cars", {**environment, **os.environ}, ("--port", "0"), tmp_path
    ) as process:
        assert process.stdout is not None
        address = next(found[0] for line in process.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        assert requests.get(f"{address}/healthz", timeout=10).ok
        assert "cars" in requests.get(f"{address}/readyz", timeout=10).text
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == DONE


def test_every_command_of_the_readme_is_run_somewhere() -> None:
    source = Path(__file__).read_text()
    setting = re.compile(r"export \w+=")
    forgotten = [c for c in COMMANDS if c not in ELSEWHERE and c not in source and not setting.match(c)]
    assert forgotten == []
    assert ELSEWHERE.keys() <= set(COMMANDS)
