"""The recorded limits (``15_throughput``), one by one, against the sandbox's server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from contract import world
from contract.recorded import exchange
from contract.stage import Stage

from diffgram_flows.sandbox.ratelimit import RULES, UNITS

RECORDED: dict[str, str] = {
    name: text for name, text in exchange("15/rate_limits").extra.items() if isinstance(text, str)
}
P, W = f"/api/v1/project/{world.PROJECT}", f"/api/walrus/project/{world.PROJECT}"
WHERE = {
    "input_packet": ("POST", f"/api/walrus/v1/project/{world.PROJECT}/input/packet"),
    "upload_large": ("POST", f"{W}/upload/large"),
    "input_update": ("POST", f"/api/walrus/v1/project/{world.PROJECT}/input/update"),
    "job_builder_info": ("POST", "/api/v1/job/1/builder/info"),
    "task_by_id": ("POST", "/api/v1/task"),
    "attribute_group_new": ("POST", f"{P}/attribute/group/new"),
    "job_dir_attach": ("POST", f"{P}/job/dir/attach"),
    "job_cancel": ("POST", "/api/v1/job/cancel"),
    "export_to_file": ("POST", f"{W}/export/to_file"),
    "directory_update": ("POST", f"{P}/directory/update"),
    "project_new": ("POST", "/api/project/new"),
    "action_new": ("POST", f"{P}/actions/workflow/1/action"),
    "action_update": ("PUT", f"{P}/actions/1"),
    "user_login": ("POST", "/api/user/login"),
}
CHEAP = {name: where for name, where in WHERE.items() if name != "export_to_file"}  # 1000 calls


def test_every_recorded_limit_has_an_endpoint() -> None:
    assert RECORDED.keys() == WHERE.keys()


@pytest.mark.parametrize(("name", "where"), WHERE.items(), ids=WHERE)
def test_the_rules_are_the_recorded_ones(name: str, where: tuple[str, str]) -> None:
    rule = next(rule for rule in RULES if rule.path.fullmatch(where[1]))
    shown = {f"{calls} per {UNITS[seconds]}" for calls, seconds in rule.windows}
    assert shown == set(RECORDED[name].split(", "))


@pytest.mark.parametrize(("name", "where"), CHEAP.items(), ids=CHEAP)
def test_one_call_more_than_the_limit_is_too_much(name: str, where: tuple[str, str], stage: Stage) -> None:
    stage.reset()
    stage.behave(rate_limits=True)
    first = RECORDED[name].split(",")[0]
    found = re.match(r"(\d+) per (\w+)", first)
    assert found is not None
    limit, unit = int(found[1]), found[2]
    left = list(replies_until_429(stage.url, where, most=3 * limit))
    too_many = left.pop()
    assert (too_many.status_code, too_many.json()) == (429, {"error": f"429 Too Many Requests: {limit} per 1 {unit}"})
    assert left[-1].headers["X-RateLimit-Remaining"] == "0"
    if unit != "second":  # a window of a second may have begun earlier
        assert [int(reply.headers["X-RateLimit-Remaining"]) for reply in left] == list(range(limit))[::-1]
    for reply in (*left, too_many):
        assert reply.headers["X-RateLimit-Limit"] == str(limit)
        assert float(reply.headers["X-RateLimit-Reset"]) > 0
        assert int(reply.headers["Retry-After"]) >= 1


def replies_until_429(url: str, where: tuple[str, str], most: int) -> Iterator[requests.Response]:
    with requests.Session() as session:
        for _ in range(most + 1):
            reply = session.request(where[0], url + where[1], timeout=20)
            yield reply
            if reply.status_code == 429:
                return
