"""What a receiver of webhooks gets."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from diffgram_flows.diffgram import WebhookEvent
from diffgram_flows.errors import AuthenticationError, DiffgramError, InvalidRequest, UnexpectedReply

TOKEN = "tok-größe"


def body(**changes: Any) -> str:
    event: dict[str, Any] = {
        "id": 284,
        "kind": "task_completed",
        "project_id": 1,
        "task_id": 3,
        "job_id": 1,
        "file_id": None,
        "time_created": "2026-11-22",
        "extra_metadata": {"project_string_id": "contract-project"},
        "token": TOKEN,
    }
    return json.dumps(event | changes)


def test_an_event() -> None:
    event = WebhookEvent.parse(body().encode(), token=TOKEN)
    assert (event.kind, event.task_id, event.job_id, event.file_id) == ("task_completed", 3, 1, None)
    assert (event.project, event.day, event.about) == ("contract-project", date(2026, 11, 22), "task 3")


def test_an_event_of_another_kind_is_taken_as_it_comes() -> None:
    event = WebhookEvent.parse(body(kind="file_copy", task_id=None, job_id=None, new_of_tomorrow=[1]), token=TOKEN)
    assert (event.kind, event.about) == ("file_copy", "the project")


def test_the_twin_without_a_job_has_the_same_key_and_others_have_not() -> None:
    key = WebhookEvent.parse(body(), token=TOKEN).key
    assert WebhookEvent.parse(body(id=287, job_id=None, extra_metadata=None), token=TOKEN).key == key
    for other in ({"task_id": 4}, {"kind": "task_created"}, {"project_id": 2}, {"time_created": "2026-11-23"}):
        assert WebhookEvent.parse(body(**other), token=TOKEN).key != key


@pytest.mark.parametrize("token", ["", "tok", TOKEN + "x", None, 1, ["tok"]], ids=repr)
def test_a_wrong_token_is_refused_and_not_told(token: Any) -> None:
    with pytest.raises(AuthenticationError, match="token") as caught:
        WebhookEvent.parse(body(token=token), token=TOKEN)
    assert TOKEN not in f"{caught.value!r}"


def test_without_a_token_of_our_own_nothing_is_trusted() -> None:
    with pytest.raises(AuthenticationError, match="No token is set"):
        WebhookEvent.parse(body(token=""), token="")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("", InvalidRequest),
        ("[]", InvalidRequest),
        (b"\xff\xfe", InvalidRequest),
        ("[" * 100_000, InvalidRequest),
        (body(text="x" * 2**20), InvalidRequest),
        (body(kind=None), UnexpectedReply),
        (body(task_id="three"), UnexpectedReply),
    ],
    ids=["empty", "list", "no text", "deep", "large", "no kind", "text for an id"],
)
def test_what_is_no_event_is_refused(content: bytes | str, kind: type[DiffgramError]) -> None:
    with pytest.raises(kind) as caught:
        WebhookEvent.parse(content, token=TOKEN)
    assert TOKEN not in f"{caught.value!r}{caught.value.__dict__}"
    assert caught.value.__context__ is None


def test_the_token_is_nowhere_in_an_event() -> None:
    event = WebhookEvent.parse(body(), token=TOKEN)
    assert TOKEN not in f"{event!r} {event} {event.model_dump_json()}"
