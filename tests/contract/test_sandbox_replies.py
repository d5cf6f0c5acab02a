"""Each recorded request, sent to a sandbox in the recorded state, gets the recorded status and shape."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest
from contract.left_out import SANDBOX
from contract.preparing import prepare
from contract.recorded import Exchange, exchanges
from contract.shapes import Shape, differences, merged, shape_of, texts_of
from contract.stage import Stage

CALLS = [each for each in exchanges() if each.method and each.id not in SANDBOX]


@pytest.mark.parametrize("recorded", CALLS, ids=lambda each: each.id)
def test_a_recorded_request_gets_the_recorded_reply(recorded: Exchange, stage: Stage) -> None:
    stage.reset()
    prepare(recorded, stage)
    answer = stage.ask(recorded)
    assert answer.status == recorded.status, answer.document
    if "json" not in recorded.response:
        return
    wanted = recorded.response["json"]
    assert differences(shape_of(answer.document), shape_of(wanted), seen(operation(recorded))) == []
    assert said(answer.document, recorded.status) == said(wanted, recorded.status)


def said(document: Any, status: int) -> Any:
    """What a reply says in words: all of an error, the log of a good one."""
    if status >= 400:
        return texts_of(document)
    log = document.get("log") if isinstance(document, dict) else None
    return {name: texts_of(log.get(name)) for name in ("success", "error", "info")} if log else None


def operation(recorded: Exchange) -> tuple[str, str, int]:
    """What an exchange is one example of."""
    return recorded.method, re.sub(r"/\d+(?=/|$)", "/<id>", recorded.path), recorded.status


@cache
def seen(wanted: tuple[str, str, int]) -> Shape:
    """Everything that was recorded for an operation and status."""
    return merged([shape_of(each.response.get("json")) for each in CALLS if operation(each) == wanted])
