"""What a terminal shows of a flow that ends early, and what Prefect keeps of it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.sorting import FlowRunSort
from prefect.settings import PREFECT_API_URL

from diffgram_flows.cli_output import MISUSED, STOPPED, UNREACHABLE

ROOT = Path(__file__).parents[2]
TRAIN = [sys.executable, "-m", "diffgram_flows.cli", "train", "--workdir"]


@pytest.fixture
def terminal(prefect_api: None) -> dict[str, str]:
    """The environment of a person who has forgotten the credentials."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DIFFGRAM_", "PREFECT_"))}
    url = str(PREFECT_API_URL.value())
    return {**kept, "PREFECT_API_URL": url, "PREFECT_LOGGING_TO_API_ENABLED": "true", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def log_of_newest_run(least: int = logging.ERROR) -> str:
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(sort=FlowRunSort.START_TIME_DESC, limit=1)
        of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run.id]))
        for _ in range(40):
            logs = client.read_logs(of_run)
            if any(log.level >= logging.ERROR for log in logs):  # its last one: it ended
                return "\n".join(log.message for log in logs if log.level >= least)
            time.sleep(0.25)  # logs are sent in batches
    return ""


def test_our_own_error_is_told_once_and_prefect_has_all_of_it(terminal: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run([*TRAIN, str(tmp_path)], env=terminal, cwd=tmp_path, capture_output=True, text=True)
    told = " ".join(done.stderr.split())
    assert done.returncode == MISUSED
    assert told.startswith("Nothing says which Diffgram to use")
    assert told.endswith("block.")
    assert "Traceback" in log_of_newest_run()
    assert "Beginning flow run" in log_of_newest_run(logging.INFO)
    assert "Beginning flow run" not in told


IN_A_TASK = """
import os
os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING"
from prefect import flow, task
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.reports import own_errors_told_once

@task
def train(error):
    raise error

refused = task(retries=3, retry_condition_fn=lambda *_: False)(train.fn)

@flow
def ended_by(error):
    refused(error) if isinstance(error, NotEnoughData) and "none" in str(error) else train(error)

for error in (NotEnoughData("too few"), NotEnoughData("too few: none"), KeyboardInterrupt(), ValueError("a bug")):
    with own_errors_told_once():
        try:
            ended_by(error)
        except BaseException as found:
            assert found is error or type(found) is type(error)
"""


def test_a_task_that_fails_is_silent_about_our_own_errors_only(terminal: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", IN_A_TASK], env=terminal, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0
    assert "too few" not in done.stderr
    assert "Crash" not in done.stderr
    assert done.stderr.count("ERROR") == 3
    assert done.stderr.count("Traceback") == 2


def test_who_looks_for_a_bug_sees_the_traceback(terminal: dict[str, str], tmp_path: Path) -> None:
    debug = {**terminal, "DIFFGRAM_FLOWS_DEBUG": "1"}
    done = subprocess.run([*TRAIN, str(tmp_path)], env=debug, cwd=tmp_path, capture_output=True, text=True)
    assert "Traceback" in done.stderr


def test_ctrl_c_says_how_it_goes_on(terminal: dict[str, str], tmp_path: Path, silent_server: str) -> None:
    names = {"URL": silent_server, "PROJECT": "cars", "CLIENT_ID": "id", "CLIENT_SECRET": "secret"}
    waiting = {**terminal, **{f"DIFFGRAM_{name}": value for name, value in names.items()}}
    process = subprocess.Popen(
        [*TRAIN, str(tmp_path)], env=waiting, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    ledger = tmp_path / "ledger.db"
    for _ in range(600):
        if ledger.exists():  # it is in the flow, and asks the server next
            break
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == STOPPED
    assert told.split("\n")[0] == "Stopped. The next run goes on from here."


def test_a_prefect_server_that_is_away_is_named(terminal: dict[str, str], tmp_path: Path) -> None:
    nowhere = {**terminal, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    done = subprocess.run([*TRAIN, str(tmp_path)], env=nowhere, cwd=tmp_path, capture_output=True, text=True)
    told = " ".join(done.stderr.split())
    assert done.returncode == UNREACHABLE, told
    assert "There is no Prefect server: Failed to reach API at http://127.0.0.1:9/api/" in told
    assert "unset PREFECT_API_URL" in told


@pytest.mark.slow
def test_the_first_command_on_a_new_machine_makes_its_own_prefect_server(
    terminal: dict[str, str], tmp_path: Path
) -> None:
    alone = {name: value for name, value in terminal.items() if not name.startswith("PREFECT_")}
    new = {**alone, "PREFECT_HOME": str(tmp_path / "prefect")}
    done = subprocess.run([*TRAIN, str(tmp_path)], env=new, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == MISUSED, done.stderr
    assert done.stderr.startswith("Nothing says which Diffgram to use")
