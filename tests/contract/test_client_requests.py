"""The client, held to the recordings: what it sends, what it makes of the replies, and how it says what went wrong."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract.client_calls import play_of
from contract.client_errors import RAISES, REFUSED
from contract.left_out import CLIENT, SANDBOX
from contract.playback import Play, answer_of, message_of, request_differences, result_differences
from contract.recorded import Exchange, calls, exchange, exchanges
from servers.scripted import ScriptedServer

from diffgram_flows.diffgram import DiffgramClient, ImportRow, Packet, WebhookEvent
from diffgram_flows.errors import AuthenticationError, DiffgramError, InvalidRequest, RateLimited
from diffgram_flows.ledger.pacing import SERVER_LIMITS, Limit

#: What is no call, and held to in a test of its own below.
TIMELINES = ("04/timeline_of_real_imports", "08/timeline_of_an_async_export")
OTHERS = (*TIMELINES, "12/received_webhook_requests", "15/rate_limits")
PLAYED = [each for each in calls() if each.id not in CLIENT]
GOOD = [each for each in PLAYED if each.id not in RAISES and each.id not in REFUSED]

MakeClient = Callable[..., DiffgramClient]


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    scripted = ScriptedServer()
    yield scripted
    scripted.close()


@pytest.fixture
def make_client(server: ScriptedServer) -> Iterator[MakeClient]:
    made: list[DiffgramClient] = []

    def make(project: str = "contract-project", **settings: Any) -> DiffgramClient:
        made.append(DiffgramClient(server.url, project, "client-id", "secret", timeout=5, **{"retries": 0} | settings))
        return made[-1]

    server.reset()
    yield make
    for client in made:
        client.close()


def prepared(recorded: Exchange, server: ScriptedServer) -> Play:
    play = play_of(recorded)
    assert play is not None, "no call sends this, and no reason is given why"
    server.script = [answer_of(reply) for reply in (*play.before, recorded, *play.after)]
    return play


def sent_for(recorded: Exchange, play: Play, server: ScriptedServer) -> list[str]:
    """How what was sent differs from what was recorded."""
    sent = server.sent[len(play.before)]
    assert sent.headers["Authorization"].startswith("Basic ")
    return request_differences(sent, play, recorded) if play.as_sent else []


@pytest.mark.parametrize("recorded", GOOD, ids=lambda each: each.id)
def test_a_recorded_call_is_sent_as_recorded_and_its_reply_is_understood(
    recorded: Exchange, server: ScriptedServer, make_client: MakeClient, tmp_path: Path
) -> None:
    play = prepared(recorded, server)
    if recorded.id == "07/job_launch_twice":
        assert recorded.status == 400  # the one refusal that is no error: what was wanted is so already
    else:
        assert 200 <= recorded.status < 300
    result = play.make(make_client(play.project), tmp_path, recorded)
    assert sent_for(recorded, play, server) == []
    assert result_differences(result, play, recorded) == []


@pytest.mark.parametrize("name", RAISES)
def test_a_recorded_refusal_becomes_one_error_that_names_the_object_and_a_cure(
    name: str, server: ScriptedServer, make_client: MakeClient, tmp_path: Path
) -> None:
    recorded, (kind, words) = exchange(name), RAISES[name]
    play = prepared(recorded, server)
    with pytest.raises(DiffgramError) as caught:
        play.make(make_client(play.project), tmp_path, recorded)
    assert sent_for(recorded, play, server) == []
    assert type(caught.value) is kind
    assert re.search(words, str(caught.value))
    assert message_of(caught.value) == []
    assert caught.value.status in (recorded.status, 0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_fail_at_the_server_is_not_even_sent(
    name: str, server: ScriptedServer, make_client: MakeClient, tmp_path: Path
) -> None:
    recorded = exchange(name)
    play = prepared(recorded, server)
    with pytest.raises(InvalidRequest, match=REFUSED[name]) as caught:
        play.make(make_client(play.project), tmp_path, recorded)
    assert message_of(caught.value) == []
    assert server.sent == []


FAILED_LATER = [each for each in exchanges() if each.later and each.later["status"] == "failed"]


@pytest.mark.parametrize("recorded", FAILED_LATER, ids=lambda each: each.id)
def test_an_import_that_fails_later_is_told_with_its_file_its_reason_and_a_cure(recorded: Exchange) -> None:
    assert recorded.later is not None
    row = ImportRow.model_validate(
        {
            "id": 12,
            "status": recorded.later["status"],
            "status_text": recorded.later["status_text"],
            "original_filename": recorded.later["stored_name"],
            "update_log": {"error": recorded.later["update_log_error"]},
            "file_id": 7 if recorded.later["file_created"] else None,
        }
    )
    assert row.finished
    assert not row.succeeded
    assert (recorded.later["stored_name"] or "12") in row.failure
    assert row.reason.rstrip(". ") in row.failure
    assert "server's log" not in row.failure  # every recorded reason has a cure of its own
    assert ("stored as file 7" in row.failure) == recorded.later["file_created"]
    assert "\n" not in row.failure
    assert row.failure.endswith(".")


def test_an_import_that_hangs_or_succeeds_has_no_failure() -> None:
    hanging = exchange("04/input_stuck_after_worker_death").response["json"]["input"]
    good = exchange("04/input_view_one").response["json"]["input"]
    assert [ImportRow.model_validate(row).failure for row in (hanging, good)] == ["", ""]


def test_every_recording_is_played_or_left_out_for_a_reason() -> None:
    known = {each.id for each in (*exchanges(), *calls())}
    played = {each.id for each in PLAYED}
    without_a_call = known - {each.id for each in calls()} - {name.partition("#")[0] for name in played}
    assert sorted(without_a_call - set(CLIENT) - set(OTHERS)) == []
    assert [name for name in (*CLIENT, *RAISES, *REFUSED, *OTHERS) if name not in known] == []
    assert [each.id for each in PLAYED if play_of(each) is None] == []
    assert [name for name in (*RAISES, *REFUSED) if name not in played] == []
    assert set(RAISES) & set(REFUSED) == set()
    assert [name for name, reason in CLIENT.items() if len(reason) < 20] == []


def test_nine_of_ten_recordings_are_held_to_on_one_side_or_the_other() -> None:
    by_the_client = {each.id.partition("#")[0] for each in PLAYED} | set(OTHERS)
    by_the_sandbox = {each.id.partition("#")[0] for each in calls()} - set(SANDBOX)
    covered = len(by_the_client | by_the_sandbox)
    assert covered >= 0.9 * len(exchanges()), f"{covered} of {len(exchanges())}"


def test_making_a_client_sends_nothing(server: ScriptedServer, make_client: MakeClient) -> None:
    with make_client() as client:
        assert repr(client)
    assert server.sent == []
    assert server.connections == 0


def test_importing_a_url_takes_one_request(server: ScriptedServer, make_client: MakeClient) -> None:
    server.script = [answer_of("03/plain_url")]
    make_client().send_packet(Packet(2, url="http://images.local/img/a1.jpg"))
    assert len(server.sent) == 1


@pytest.mark.parametrize("ids_only", [False, True], ids=["rows", "ids"])
def test_listing_ten_thousand_files_takes_eleven_requests_at_most(
    ids_only: bool, server: ScriptedServer, make_client: MakeClient
) -> None:
    row = exchange("09/list_base_mode").response["json"]["file_list"][0]
    size = 10_000 if ids_only else 1000
    for page in range(10_000 // size):
        numbers = range(page * size, (page + 1) * size)
        rows = list(numbers) if ids_only else [row | {"id": number} for number in numbers]
        following = page + 2 if (page + 1) * size < 10_000 else None
        server.script.append(answer_of({"file_list": rows, "metadata": {"next_page": following}}))
    client = make_client()
    found = list(client.file_ids(2)) if ids_only else [file.id for file in client.files(2)]
    assert found == list(range(10_000))
    assert len(server.sent) <= 11


def test_the_headers_of_a_quota_count_with_429_only(server: ScriptedServer, make_client: MakeClient) -> None:
    limits = exchange("13/packet_rate_limited").response["headers"] | {"Retry-After": "30"}
    good = answer_of("03/plain_url")
    good.headers = dict(limits)
    server.script = [good]
    client = make_client(retries=2)
    client.send_packet(Packet(2, url="http://images.local/img/a1.jpg"))  # at once, and not in half a minute
    assert len(server.sent) == 1


def test_after_the_recorded_429_a_packet_waits_and_is_sent_again(
    server: ScriptedServer, make_client: MakeClient
) -> None:
    server.script = [answer_of("13/packet_rate_limited"), answer_of("03/plain_url")]
    make_client(retries=1).send_packet(Packet(2, url="http://images.local/img/a1.jpg"))
    assert len(server.sent) == 2
    server.script = [answer_of("13/packet_rate_limited")]
    with pytest.raises(RateLimited) as caught:
        make_client().send_packet(Packet(2, url="http://images.local/img/a1.jpg"))
    assert caught.value.retryable


def test_the_recorded_webhooks_are_read() -> None:
    received = exchange("12/received_webhook_requests").extra["received"]
    events = [WebhookEvent.parse(json.dumps(request["json"]), token="tok-1") for request in received]
    assert [event.kind for event in events] == [request["path"].removeprefix("/hook/") for request in received]
    assert [event.id for event in events] == [request["json"]["id"] for request in received]
    assert [event.about for event in events] == ["task 3", "task 3", "task 12", "task 12", "file 80", "job 1"]
    assert len({event.key for event in events}) == 4  # the two task events came twice
    assert "tok-1" not in "".join(f"{event!r} {event} {event.model_dump()}" for event in events)
    with pytest.raises(AuthenticationError):
        WebhookEvent.parse(json.dumps(received[0]["json"]), token="tok-2")


@pytest.mark.parametrize("name", TIMELINES)
def test_the_recorded_timelines_are_followed_to_their_end(
    name: str, server: ScriptedServer, make_client: MakeClient
) -> None:
    steps = exchange(name).extra["timeline"]
    if name.startswith("08"):
        server.script = [answer_of({"export": step | {"id": 13}}) for step in steps]
        row = make_client().wait_for_export(13, timeout=5, poll=0)
        assert (row.finished, row.percent, row.file_count) == (True, 100.0, 11)
        assert len(server.sent) == len(steps)
        return
    last = {step["input_id"]: ImportRow.model_validate(step | {"id": step["input_id"]}) for step in steps}
    earlier = [ImportRow.model_validate(step | {"id": step["input_id"]}) for step in steps if step["status"] == "init"]
    assert earlier
    assert not any(row.finished for row in earlier)
    assert all(row.finished for row in last.values())


def test_the_quotas_of_the_client_are_the_recorded_ones() -> None:
    told = exchange("15/rate_limits").extra
    names = {endpoint: re.sub(r"\W", "_", endpoint) for endpoint in SERVER_LIMITS} | {"task": "task_by_id"}
    for endpoint, limit in SERVER_LIMITS.items():
        assert limit == _limit(told[names[endpoint]]), endpoint


def _limit(text: str) -> Limit:
    """The slowest pace, and the number a day, of a text such as "1 per second, 50 per minute, 500 per day"."""
    seconds = {"second": 1, "minute": 60}
    found = [(int(number), unit) for number, unit in re.findall(r"(\d+) per (\w+)", text)]
    paces = [number / seconds[unit] for number, unit in found if unit in seconds]
    days = [number for number, unit in found if unit == "day"]
    return Limit(per_second=min(paces, default=None), per_day=min(days, default=None))


SIGNATURE = "5ec3e75ec3e7"
#: Calls whose purpose is a signed URL, or data as they are.
GIVES_SECRETS = (
    *("09/signed_url", "08/link_", "08/job_wait_data", "08/job_complete_only", "08/directory_wait", "08/task_wait"),
    *("08/masks", "14/job.generate_export_data"),
)
WITH_URLS = [
    each
    for each in GOOD
    if "<presigned-query>" in json.dumps(each.response.get("json")) and not each.id.startswith(GIVES_SECRETS)
]


@pytest.mark.parametrize("recorded", WITH_URLS, ids=lambda each: each.id)
def test_what_comes_back_does_not_show_the_signed_urls_of_the_reply(
    recorded: Exchange,
    server: ScriptedServer,
    make_client: MakeClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = json.dumps(recorded.response["json"]).replace("<presigned-query>", f"X-Amz-Signature={SIGNATURE}")
    signed = replace(recorded, response=recorded.response | {"json": json.loads(text)})
    play = play_of(signed)
    assert play is not None
    server.script = [answer_of(reply) for reply in (*play.before, signed, *play.after)]
    with caplog.at_level(logging.DEBUG):
        result = play.make(make_client(play.project), tmp_path, signed)
    assert SIGNATURE in text
    assert SIGNATURE not in f"{result!r} {result} {caplog.text}"
