"""Time-outs, retries, quotas and broken replies, on real sockets."""

from __future__ import annotations

import pickle
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient, Packet, maybe_delivered
from diffgram_flows.errors import (
    BrokenReply,
    BudgetExhausted,
    DiffgramError,
    InvalidRequest,
    RateLimited,
    ServerError,
    ServerUnreachable,
    UnexpectedReply,
)

Server = Any  # conftest.ScriptedServer; folders of tests are no packages to import from
MakeClient = Callable[..., DiffgramClient]

QUEUED = {"input_id": None, "log": {"error": {}, "info": {}, "success": True}}
STAT = {"completed": 4, "in_progress": 0, "in_review": 0, "instances_created": 5, "requires_changes": 0, "total": 6}
TOO_MANY = {"error": "429 Too Many Requests: 20 per 1 second"}
BROKEN = b"HTTP/1.0 0 gkpj\r\n"
SIGNED = "http://storage.local/customer-images/ps_1.jpg?X-Amz-Credential=AKIAKEY&X-Amz-Signature=5ec3e7"
GATEWAY = b"<html><head><title>502 Bad Gateway</title></head></html>"


def packet(**changes: Any) -> Packet:
    fields: dict[str, Any] = {"directory_id": 2, "url": SIGNED, "file_name": "ps_1.jpg"}
    return Packet(**(fields | changes))


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param({"status": 502, "content": GATEWAY}, id="502 from a proxy"),
        pytest.param({"status": 503, "json": {"error": "busy"}}, id="503"),
        pytest.param({"status": 500, "json": {"error": ""}}, id="500 without meaning"),
        pytest.param({"reset": True}, id="reset"),
        pytest.param({"raw": b""}, id="closed without a reply"),
        pytest.param({"delay": 0.6}, id="too slow"),
        pytest.param({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"}, id="cut off in the body"),
        pytest.param({"status": 429, "json": TOO_MANY}, id="429 without Retry-After"),
    ],
)
def test_reading_is_tried_again(server: Server, make_client: MakeClient, trouble: dict[str, Any]) -> None:
    server.answer(**trouble).answer(STAT)
    assert make_client(timeout=0.3).job_stat(1).total == 6
    assert len(server.sent) == 2


def test_a_post_that_only_reads_is_tried_again(server: Server, client: DiffgramClient) -> None:
    server.answer(reset=True).answer({"input_list": [], "success": True})
    assert client.imports() == []
    assert len(server.sent) == 2


def test_retries_end_with_an_error_that_can_be_retried_later(server: Server, client: DiffgramClient) -> None:
    server.answer(status=502, content=GATEWAY)
    with pytest.raises(ServerError) as caught:
        client.job_stat(1)
    assert len(server.sent) == 3
    assert caught.value.retryable
    assert "<html>" not in str(caught.value)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        pytest.param({"reset": True}, ServerUnreachable, id="reset after the request was read"),
        pytest.param({"raw": b""}, ServerUnreachable, id="closed without a reply"),
        pytest.param({"delay": 0.6}, ServerUnreachable, id="too slow"),
        pytest.param({"status": 502, "content": GATEWAY}, ServerError, id="502"),
        pytest.param({"content": b"<html>login</html>"}, UnexpectedReply, id="no JSON"),
    ],
)
def test_a_packet_that_may_have_arrived_is_not_sent_again(
    server: Server, make_client: MakeClient, trouble: dict[str, Any], kind: type[DiffgramError]
) -> None:
    server.answer(**trouble).answer(QUEUED)
    with pytest.raises(kind) as caught:
        make_client(timeout=0.3).send_packet(packet())
    assert len(server.sent) == 1
    assert maybe_delivered(caught.value)
    assert maybe_delivered(pickle.loads(pickle.dumps(caught.value)))  # noqa: S301
    assert "may have arrived" in str(caught.value)


def test_a_packet_to_nobody_is_tried_again_and_certainly_not_delivered(server: Server, make_client: MakeClient) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = reserved.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(ServerUnreachable) as caught:
            make_client(url=f"http://127.0.0.1:{port}").send_packet(packet())
    assert time.monotonic() - started > 0.3  # the pauses of two retries
    assert not maybe_delivered(caught.value)
    assert f"127.0.0.1:{port}" in str(caught.value)


def test_a_packet_is_sent_when_the_server_comes_up(server: Server, make_client: MakeClient) -> None:
    server.answer(QUEUED)
    with socket.socket() as late:
        late.bind(("127.0.0.1", 0))
        client = make_client(url=f"http://127.0.0.1:{late.getsockname()[1]}", retries=6)

        def come_up() -> None:
            late.listen()
            connection, _ = late.accept()
            with connection:
                connection.recv(65536)
                body = b'{"input_id": null}'
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

        timer = threading.Timer(0.3, come_up)
        timer.start()
        client.send_packet(packet())
        timer.join()


@pytest.mark.parametrize("reading", [pytest.param(True, id="reading"), pytest.param(False, id="packet")])
def test_a_broken_status_line_is_final(server: Server, client: DiffgramClient, reading: bool) -> None:
    server.answer(raw=BROKEN)
    with pytest.raises(BrokenReply) as caught:
        client.job_stat(99999) if reading else client.send_packet(packet(directory_id=99999, job_id=5))
    assert len(server.sent) == 1
    assert "99999" in str(caught.value)
    assert "exist" in caught.value.cure
    assert not caught.value.retryable
    assert not maybe_delivered(caught.value)


def test_a_port_that_does_not_speak_http_is_told_apart(server: Server, client: DiffgramClient) -> None:
    server.answer(raw=b"\x15\x03\x03\x00\x02\x02\x50")
    with pytest.raises(BrokenReply, match="https"):
        client.job_stat(1)


def test_429_waits_as_long_as_the_server_says(server: Server, client: DiffgramClient) -> None:
    server.answer(TOO_MANY, status=429, headers={"Retry-After": "1", "X-RateLimit-Limit": "20"}).answer(QUEUED)
    started = time.monotonic()
    client.send_packet(packet())
    assert 1.0 <= time.monotonic() - started < 3
    assert len(server.sent) == 2


def test_retry_after_on_a_good_reply_means_nothing(server: Server, client: DiffgramClient) -> None:
    server.answer(QUEUED, headers={"Retry-After": "50", "X-RateLimit-Remaining": "19"})
    started = time.monotonic()
    client.send_packet(packet())
    client.send_packet(packet())
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("after", ["86399", "Wed, 01 Jan 2098 00:00:00 GMT"], ids=["seconds", "date"])
def test_a_wait_of_hours_is_the_callers_to_plan(server: Server, client: DiffgramClient, after: str) -> None:
    server.answer({"error": "429 Too Many Requests: 300 per 1 day"}, status=429, headers={"Retry-After": after})
    with pytest.raises(RateLimited) as caught:
        client.retry_imports([12])
    assert len(server.sent) == 1
    assert int(caught.value.fields["retry_after"]) > 86_000
    assert not maybe_delivered(caught.value)


@pytest.mark.parametrize("after", ["nan", "soon", "-5", ""], ids=["nan", "word", "negative", "empty"])
def test_an_odd_retry_after_does_no_harm(server: Server, client: DiffgramClient, after: str) -> None:
    server.answer(TOO_MANY, status=429, headers={"Retry-After": after}).answer(QUEUED)
    client.send_packet(packet())
    assert len(server.sent) == 2


def test_429_that_stays_is_rate_limited(server: Server, client: DiffgramClient) -> None:
    server.answer(TOO_MANY, status=429)
    with pytest.raises(RateLimited, match="20 per 1 second"):
        client.send_packet(packet())
    assert len(server.sent) == 3


@pytest.mark.parametrize("reading", [pytest.param(True, id="GET"), pytest.param(False, id="POST")])
def test_redirects_are_not_followed(server: Server, store: Server, client: DiffgramClient, reading: bool) -> None:
    server.answer(status=302, content=b"moved", headers={"Location": store.url.replace("http:", "https:")})
    with pytest.raises(InvalidRequest, match="https://"):
        client.job_stat(1) if reading else client.send_packet(packet())
    assert store.sent == []
    assert len(server.sent) == 1


def test_a_reply_that_drips_for_ever_is_given_up(server: Server, make_client: MakeClient) -> None:
    server.answer(content=b" " * 200, drip=0.02)  # 4 s; silence is never longer than the time-out
    started = time.monotonic()
    with pytest.raises(ServerUnreachable, match="did not answer"):
        make_client(timeout=0.1, retries=0).job_stat(1)
    assert time.monotonic() - started < 3


def test_a_page_where_json_belongs_is_named(server: Server, client: DiffgramClient) -> None:
    server.answer(content=b"<html>Sign in</html>", headers={"Content-Type": "text/html"})
    with pytest.raises(UnexpectedReply, match="login page"):
        client.view_project()


def test_cookies_are_not_kept(server: Server, client: DiffgramClient) -> None:
    server.answer(STAT, headers={"Set-Cookie": "session=of-a-person; Path=/"})
    client.job_stat(1)
    client.job_stat(1)
    assert "Cookie" not in server.last.headers


class CountingPacer:
    """Lets a number of calls through."""

    def __init__(self, allowed: int) -> None:
        self.allowed = allowed
        self.waited: list[str] = []
        self.penalised: list[str] = []

    def wait(self, endpoint: str) -> None:
        self.waited.append(endpoint)
        if len(self.waited) > self.allowed:
            raise BudgetExhausted(f"No more calls to {endpoint} today.", cure="Come back tomorrow.")

    def penalise(self, endpoint: str, seconds: float) -> None:
        self.penalised.append(endpoint)


def test_the_pacer_is_asked_before_every_limited_call(server: Server, make_client: MakeClient) -> None:
    pacer = CountingPacer(allowed=3)
    client = make_client(pacer=pacer)
    server.answer(TOO_MANY, status=429).answer(QUEUED)
    client.send_packet(packet())
    client.retry_imports([1, 2])
    assert pacer.waited == ["input/packet", "input/packet", "input/update"]
    assert pacer.penalised == ["input/packet"]
    with pytest.raises(BudgetExhausted):
        client.archive_imports([1])
    assert len(server.sent) == 3


def test_a_call_that_nobody_got_is_counted_once(make_client: MakeClient) -> None:
    pacer = CountingPacer(allowed=1)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: refused
        client = make_client(url=f"http://127.0.0.1:{reserved.getsockname()[1]}", pacer=pacer)
        with pytest.raises(ServerUnreachable):
            client.archive_imports([1])
    assert pacer.waited == ["input/update"]


def test_calls_without_a_limit_do_not_ask_the_pacer(server: Server, make_client: MakeClient) -> None:
    pacer = CountingPacer(allowed=0)
    server.answer(STAT)
    assert make_client(pacer=pacer).job_stat(1).total == 6
    assert pacer.waited == []


def test_many_threads_share_a_few_connections(server: Server, make_client: MakeClient) -> None:
    client = make_client(pool_size=4)
    server.answer(QUEUED)
    names = [f"{number}.jpg" for number in range(200)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda name: client.send_packet(packet(file_name=name)), names))
    assert sorted(sent.json["original_filename"] for sent in server.sent) == sorted(names)
    assert server.connections <= 4
