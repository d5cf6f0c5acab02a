"""``diffgram-flows sandbox serve``: what a newcomer is told, and how it ends."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, MISUSED
from diffgram_flows.sandbox import SandboxProcess


class Terminal:
    """A terminal in which the command runs, and what it has printed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Ctrl+C"):
                break
        self.shown = "".join(lines)
        self.exports = dict(re.findall(r"^export (\w+)=(\S+)$", self.shown, re.MULTILINE))
        self.told = dict(re.findall(r"^  (\w+) +(\S+)$", self.shown, re.MULTILINE))

    def stop(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        rest, _ = self.process.communicate(timeout=30)
        return self.process.returncode, rest


@contextmanager
def serving(data: Path, *options: str) -> Iterator[Terminal]:
    command = [sys.executable, "-m", "diffgram_flows.cli", "sandbox", "serve", "--data", str(data), "--port", "0"]
    with subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={"COLUMNS": "40"}
    ) as process:
        try:
            yield Terminal(process)
        finally:
            process.kill()


def test_a_newcomer_is_told_everything(folder: Path) -> None:
    with serving(folder) as terminal:
        keys = terminal.exports
        assert list(keys) == ["DIFFGRAM_URL", "DIFFGRAM_PROJECT", "DIFFGRAM_CLIENT_ID", "DIFFGRAM_CLIENT_SECRET"]
        page = requests.get(terminal.told["page"], timeout=30)
        assert "<title>Diffgram sandbox</title>" in page.text
        login = {"email": terminal.told["email"], "password": terminal.told["password"], "mode": "password"}
        user = requests.post(f"{terminal.told['page']}api/user/login", json=login, timeout=30).json()["user"]
        assert user["current_project_string_id"] == keys["DIFFGRAM_PROJECT"]
        url = f"{keys['DIFFGRAM_URL']}/api/project/{keys['DIFFGRAM_PROJECT']}/view"
        auth = (keys["DIFFGRAM_CLIENT_ID"], keys["DIFFGRAM_CLIENT_SECRET"])
        reply = requests.get(url, auth=auth, timeout=30)
        assert (reply.status_code, reply.headers["X-RateLimit-Limit"]) == (200, "10000")
        code, rest = terminal.stop()
    assert (code, rest) == (DONE, "\nStopped. The same command goes on from here.\n")
    with serving(folder) as again:
        assert (again.exports, again.told) == (keys, terminal.told)
        again.stop()


def test_options_reach_the_server(folder: Path) -> None:
    troubles = ("--fault-rate", "1.0", "--fault-kinds", "bad_gateway", "--rate-limits", "off", "--seed", "3")
    with serving(folder, *troubles) as terminal:
        assert "100.0% of all requests meet a fault (seed 3)." in terminal.shown
        url = f"{terminal.exports['DIFFGRAM_URL']}/api/project/sandbox/view"
        reply = requests.get(url, timeout=30)
        assert reply.status_code == 502
        assert "X-RateLimit-Limit" not in reply.headers
        terminal.stop()


def test_a_folder_or_port_in_use_is_said_in_one_line(sandbox: SandboxProcess, tmp_path: Path, capsys: Any) -> None:
    assert main(["sandbox", "serve", "--data", str(sandbox.data), "--port", "0"]) == MISUSED
    assert "Another sandbox runs on" in capsys.readouterr().err
    port = sandbox.url.rpartition(":")[2]
    assert main(["sandbox", "serve", "--data", str(tmp_path / "other"), "--port", port]) == MISUSED
    assert f"cannot listen on port {port}" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main(["sandbox", "serve", "--data", str(tmp_path / "file"), "--port", "0"]) == MISUSED
    assert "cannot write to its data folder" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("options", [["--port", "70000"], ["--rate-limits", "maybe"], ["--fault-rate", "often"]])
def test_a_wrong_option_is_refused(options: list[str], tmp_path: Path, capsys: Any) -> None:
    assert main(["sandbox", "serve", "--data", str(tmp_path), *options]) == MISUSED
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out


def test_help_explains_every_setting(capsys: Any) -> None:
    assert main(["sandbox", "serve", "--help"]) == DONE
    text = capsys.readouterr().out
    for option in ("--port", "--data", "--rate-limits", "--fault-rate", "--worker-death-rate", "--cpu-gate-pause"):
        assert option in text
    assert "Probability in [0, 1]" in text
