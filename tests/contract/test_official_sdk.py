"""The official SDK 0.15.0 against the sandbox: it sends, gets and makes of it what was recorded with a real server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from contract import world
from contract.exported import filled, is_export
from contract.moments import during
from contract.prepare_work import state_before_the_sdk
from contract.recorded import Exchange, calls, exchange, exchanges
from contract.shapes import Shape, differences, merged, shape_of
from contract.stage import Stage, picture
from contract.values import deviations, plain

RECORDED = [each for each in exchanges() if each.group == "14"]
DRIVER = Path(__file__).parent / "sdk_driver.py"
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_HOST = re.compile(r"http://(127\.0\.0\.1:\d+|[a-z]+\.local)")


@pytest.fixture(scope="module")
def report(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the SDK did in one run of all recorded calls."""
    stage.reset()
    stage.travel(exchange("14/Project#1"))
    state_before_the_sdk(stage)
    path = tmp_path_factory.mktemp("sdk") / "sdk_local.jpg"
    path.write_bytes(picture())
    key = world.KEYS["admin"]
    arguments = [stage.url, key.client_id, key.client_secret, stage.images, str(path)]
    command = [sys.executable, "-I", str(DRIVER), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(ran.stderr[ran.stderr.index('[{"name"') :])
    return {each["name"]: each for each in found}


def test_every_recorded_call_was_made(report: dict[str, Any]) -> None:
    assert [*report] == [each.name for each in RECORDED]


@pytest.mark.parametrize("name", [each.name for each in RECORDED])
def test_the_sdk_makes_of_it_what_it_made_of_a_real_server(report: dict[str, Any], name: str) -> None:
    wanted, got = str(exchange(f"14/{name}").extra["result"]), str(report[name]["result"])
    if name == "get_model":  # which of the missing modules it meets first depends on what is installed
        assert got.startswith("EXC ModuleNotFoundError: ")
        return
    assert comparable(got[: len(wanted)] if not wanted.startswith("EXC") else got) == comparable(wanted)


@pytest.mark.parametrize("name", [each.name for each in RECORDED])
def test_the_sdk_sends_the_recorded_requests_and_gets_the_recorded_replies(report: dict[str, Any], name: str) -> None:
    wanted = exchange(f"14/{name}").extra.get("exchanges", [])
    got = report[name]["exchanges"]
    assert [asked(each["request"]) for each in got] == [asked(each["request"]) for each in wanted]
    for number, mine in enumerate(got, 1):
        recorded = exchange(f"14/{name}#{number}")
        assert mine["response"]["status"] == recorded.status
        reply = json.loads(mine["response"]["text"])
        if is_export(recorded) and name != "export.list":  # one in the list was not made yet then, and is now
            assert deviations(*filled(reply, recorded), makes=True) == []
            continue
        assert differences(shape_of(reply), shape_of(recorded.response["json"]), seen(operation(recorded))) == []


def operation(recorded: Exchange) -> tuple[str, str, int]:
    """What an exchange is one example of."""
    path = recorded.path.partition("?")[0]
    return recorded.method, re.sub(r"/\d+(?=/|$)", "/<id>", path), recorded.status


@cache
def seen(wanted: tuple[str, str, int]) -> Shape:
    """Everything that was recorded for an operation and status."""
    return merged([shape_of(each.response.get("json")) for each in calls() if operation(each) == wanted])


def asked(request: dict[str, Any]) -> Any:
    """A request without hosts, and without ids that the server chose."""
    body = "<multipart>" if str(request["json"]).startswith("<multipart") else request["json"]
    text = json.dumps([request["method"], request["path"], request["headers"], body], sort_keys=True)
    return _HOST.sub("<host>", re.sub(r'"file_id": \d{3}', '"file_id": "<new>"', text))


def comparable(text: str) -> str:
    """A result without addresses, hosts and moments; servers write the words of a status in their own case."""
    text = re.sub(r"(?<=Error: )[\w ]+(?= for url)", lambda words: words[0].lower(), text)
    return plain(_HOST.sub("<host>", _ADDRESS.sub("<address>", text.strip())))


def test_the_calls_were_recorded_in_this_order() -> None:
    moments = [during(exchange(f"{each.id}#1")) for each in RECORDED if each.extra.get("exchanges")]
    assert moments == sorted(moments)
