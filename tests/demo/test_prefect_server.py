from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from diffgram_flows.demo.prefect_server import prefect_server


@pytest.mark.slow
def test_a_database_that_a_kill_left_half_made_is_put_aside(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "prefect.db") as connection:
        connection.execute("CREATE TABLE flow (half_made TEXT)")
    connection.close()
    with prefect_server(tmp_path) as server:
        server.wait_until_up()
        assert requests.post(f"{server.api_url}/flows/filter", json={}, timeout=10).json() == []
        url = server.api_url
    assert (tmp_path / "unusable-prefect.db").exists()
    assert refused(url)


@pytest.mark.parametrize(
    ("kind", "whole_group"),
    [(signal.SIGKILL, False), (signal.SIGTERM, True), (signal.SIGINT, True)],
    ids=["starter killed", "terminated with its group", "Ctrl-C"],
)
def test_a_guarded_command_does_not_outlive_its_starter(tmp_path: Path, kind: int, whole_group: bool) -> None:
    mark = tmp_path / "pid"
    sleeper = f"import os, time; open({str(mark)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    starter = (
        "import subprocess, sys, time\n"
        f"command = [sys.executable, '-m', 'diffgram_flows.demo.guard', sys.executable, '-c', {sleeper!r}]\n"
        "subprocess.Popen(command, stdin=subprocess.PIPE)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], start_new_session=True, stderr=subprocess.DEVNULL)
    while not mark.exists() or not mark.read_text():
        time.sleep(0.05)
    if whole_group:
        os.killpg(process.pid, kind)
    else:
        os.kill(process.pid, kind)
    process.wait()
    end = time.monotonic() + 20
    while Path(f"/proc/{mark.read_text()}").exists():
        assert time.monotonic() < end, "the command is still running"
        time.sleep(0.1)


def refused(url: str) -> bool:
    try:
        requests.get(f"{url}/health", timeout=2)
    except requests.ConnectionError:
        return True
    return False
