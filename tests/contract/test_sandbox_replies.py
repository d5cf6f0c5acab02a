"""Each recorded request, sent to a sandbox in the recorded state, gets the recorded reply."""

from __future__ import annotations

import re

import pytest
from contract.exported import filled, is_export
from contract.left_out import SANDBOX
from contract.preparing import prepare
from contract.recorded import Exchange, calls
from contract.stage import Answer, Stage
from contract.values import deviations

CALLS = [each for each in calls() if each.id not in SANDBOX]
_MAKES = re.compile(r"/(new|from_local|to_file|action|annotation/update)$")
# Headers that depend on when and how often somebody calls.
_COUNTED = {"x-ratelimit-reset", "x-ratelimit-remaining", "retry-after"}


@pytest.mark.parametrize("recorded", CALLS, ids=lambda each: each.id)
def test_a_recorded_request_gets_the_recorded_reply(recorded: Exchange, stage: Stage) -> None:
    stage.reset()
    prepare(recorded, stage)
    answer = stage.ask(recorded)
    assert answer.status == recorded.status, answer.document
    assert deviations_of(answer, recorded) == []


def deviations_of(answer: Answer, recorded: Exchange) -> list[str]:
    """What distinguishes a reply from the recorded one by value."""
    found = _deviations_of_headers(answer, recorded)
    if is_export(recorded):
        got, wanted = filled(answer.document, recorded)
        return found + deviations(got, wanted, makes=_MAKES.search(recorded.path) is not None)
    if "json" in recorded.response:
        makes = _MAKES.search(recorded.path) is not None
        return found + deviations(answer.document, recorded.response["json"], makes=makes)
    if recorded.status and "text" in recorded.response:
        return found + deviations(answer.document, recorded.response["text"])
    return found


def _deviations_of_headers(answer: Answer, recorded: Exchange) -> list[str]:
    got = {name.lower(): value for name, value in answer.headers.items()}
    wanted = {name.lower(): value for name, value in recorded.response.get("headers", {}).items()}
    missing = [name for name in wanted if name not in got]
    exact = wanted.keys() - (_COUNTED if recorded.status == 200 else _COUNTED - {"x-ratelimit-remaining"}) - {*missing}
    return [*missing, *(f"{name}: {each}" for name in exact for each in deviations(got[name], wanted[name]))]
