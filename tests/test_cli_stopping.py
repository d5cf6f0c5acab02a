"""Ctrl+C in a terminal, which sends its signal to the command and to the Prefect server that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from diffgram_flows.cli_output import STOPPED

COMMAND = """
import sys, time, types
from pathlib import Path
from prefect import flow
from diffgram_flows import cli

@flow
def wait(form):
    Path(sys.argv[1]).touch()
    time.sleep(600)

sys.modules["flows.wait"] = types.SimpleNamespace(wait=wait)
cli.app.command(lambda: cli.run("wait", None), name="wait")
sys.exit(cli.main(["wait"]))
"""


@pytest.mark.slow
def test_a_flow_that_is_stopped_ends_at_once_and_says_so(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment["PREFECT_HOME"] = str(tmp_path / "prefect")
    environment["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "180"
    mark = tmp_path / "running"
    command = [sys.executable, "-c", COMMAND, str(mark)]
    with subprocess.Popen(
        command, env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            ends_at = time.monotonic() + 240
            while not mark.exists():
                assert process.poll() is None, "it ended by itself"
                assert time.monotonic() < ends_at, "it never began"
                time.sleep(0.1)
            os.killpg(process.pid, signal.SIGINT)
            _, told = process.communicate(timeout=45)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == STOPPED
    assert "Stopped. The next run goes on from here." in told
    assert "bug" not in told
