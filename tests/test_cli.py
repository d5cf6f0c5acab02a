from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from rich.text import Text

from diffgram_flows.cli import main
from diffgram_flows.cli_output import MISUSED, PARTLY, STOPPED, UNREACHABLE, show, show_failures
from diffgram_flows.models import Failure


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "PROJECT", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"DIFFGRAM_{name}", raising=False)


def test_help_names_every_command_and_the_exit_codes(capsys: Any) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in (
        *("demo", "cycle", "import", "export", "train", "predict", "update", "status", "sandbox"),
        *("plan", "apply", "trace", "preflight", "import-annotations"),
    ):
        assert command in text
    assert "Exit codes: 0 done" in text
    assert "130 stopped by Ctrl+C" in " ".join(text.split())


def test_brackets_in_names_are_brackets(capsys: Any) -> None:
    show("[b]", {"file": "photos/[red]/[/].jpg", "loud": Text("CHANGED", "red bold")})
    code = show_failures([Failure("photos/[/].jpg", "its label [green] is gone")])
    printed = capsys.readouterr()
    assert code == PARTLY
    assert "photos/[red]/[/].jpg" in printed.out
    assert "[b]" in printed.out
    assert "photos/[/].jpg: its label [green] is gone" in printed.err


def test_a_message_with_brackets_is_whole(tmp_path: Any, capsys: Any) -> None:
    odd = tmp_path / "[red]" / "[/]"
    odd.mkdir(parents=True)
    assert main(["snapshot", "show", "latest", "--workdir", str(odd)]) != 0
    assert "[red]/[/]" in "".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", ["import", "cycle", "export", "train", "predict", "update", "status", "demo"])
def test_help_of_a_command_explains_its_options(command: str, capsys: Any) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "--workdir" in text
    assert "Folder" in text or "folder" in text


def test_missing_credentials_end_with_the_variables_to_set(capsys: Any) -> None:
    assert main(["status"]) == MISUSED
    error = " ".join(capsys.readouterr().err.split())
    assert "DIFFGRAM_URL" in error
    assert "Set these environment variables" in error


def test_an_unreachable_server_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: Any
) -> None:
    monkeypatch.setenv("DIFFGRAM_CLIENT_ID", "id")
    monkeypatch.setenv("DIFFGRAM_CLIENT_SECRET", "secret")
    options = ["--diffgram-url", "http://127.0.0.1:9", "--project", "cars", "--workdir", str(tmp_path)]
    assert main(["status", *options]) == UNREACHABLE
    error = capsys.readouterr().err
    assert "127.0.0.1:9" in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "tokens",
    [
        ["import"],
        ["import", "ftp://photos"],
        ["train", "--image-size", "100"],
        ["train", "--steps", "many"],
        ["nonsense"],
    ],
    ids=["no bucket", "not a bucket", "out of range", "not a number", "no such command"],
)
def test_a_wrong_command_line_is_told_from_a_failure(tokens: list[str], capsys: Any) -> None:
    assert main(tokens) == MISUSED
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err + shown.out


@pytest.mark.parametrize(
    ("tokens", "lines"),
    [
        (
            ["train", "--image-size", "100", "--steps", "0"],
            ["--image-size is '100': must be a multiple of 32.", "--steps is '0': must be greater than or equal to 1."],
        ),
        (["train", "--method", "nope"], ["--method is 'nope': must be 'object_detection', 'retinanet'"]),
        (["cycle", "s3://a", "--export.test-share", "3"], ["--export.test-share is '3': must be less than 1."]),
        (["predict", "photos", "--out", "r"], ["bucket is 'photos': write s3://bucket/prefix, gs://bucket/prefix"]),
    ],
    ids=["two fields", "choices", "a group", "a bucket"],
)
def test_a_refused_value_is_one_clear_line(tokens: list[str], lines: list[str], capsys: Any) -> None:
    assert main(tokens) == MISUSED
    told = capsys.readouterr().err
    assert "pydantic" not in told
    assert "pattern" not in told
    for line in lines:
        assert line in " ".join(told.replace("│", " ").split())


def test_ctrl_c_says_how_it_goes_on(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def stopped(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("diffgram_flows.tasks.workspace.open_workspace", stopped)
    assert main(["status"]) == STOPPED
    assert "The next run goes on from here" in capsys.readouterr().err


@pytest.mark.parametrize(("set_by_user", "found"), [(None, "false"), ("true", "true")])
def test_a_command_lets_its_own_prefect_server_send_no_telemetry(
    set_by_user: str | None, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", "restored afterwards")
    if set_by_user is None:
        monkeypatch.delenv("PREFECT_SERVER_ANALYTICS_ENABLED")
    else:
        monkeypatch.setenv("PREFECT_SERVER_ANALYTICS_ENABLED", set_by_user)
    main(["--version"])
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == found


def test_the_console_script_says_its_version() -> None:
    done = subprocess.run([sys.executable, "-m", "diffgram_flows.cli", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "0.1.0")
