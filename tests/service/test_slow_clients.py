"""Who sends slowly, or nothing at all, keeps nobody else waiting; who is being answered when the service ends is."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection

import pytest
from servers.brain_service import serving

from diffgram_flows.brains import Registry
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings
from diffgram_flows.service.server import Server, listening

SECONDS = 1.0


@pytest.fixture(scope="module")
def address(registry: Registry, sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that is not patient."""
    settings = ServiceSettings(
        workdir=tmp_path_factory.mktemp("work"),
        diffgram_url=sandbox.url,
        project=sandbox.project,
        token="a token for tests",
        request_timeout=SECONDS,
        idle_timeout=SECONDS,
    )
    with serving(registry, settings) as url:
        yield url


def connected(url: str) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=8)


def head(path: str, length: int, *more: str, kind: str = "application/json") -> bytes:
    lines = (f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", f"Content-Length: {length}", *more)
    return "\r\n".join((*lines, "\r\n")).encode()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/brains/detector/predict",
        "/v1/brains/detector/train",
        "/api/walrus/v1/project/{project}/brain/status",
        "/api/walrus/project/{project}/brain/local_info",
        "/api/walrus/project/{project}/machine_learning/training/run",
        "/api/walrus/v1/project/{project}/inference/from_url",
    ],
)
def test_an_upload_that_does_not_end_is_ended_on_every_path(address: str, sandbox: SandboxProcess, path: str) -> None:
    token = "Authorization: Bearer a token for tests"
    with connected(address) as connection:
        connection.sendall(head(path.format(project=sandbox.project), 60_000, token) + b"{")
        assert connection.recv(1000).startswith(b"HTTP/1.1 504")


def test_whoever_has_no_credential_is_not_waited_for_either(address: str) -> None:
    with connected(address) as connection:
        connection.sendall(head("/v1/brains/detector/train", 60_000) + b"{")
        assert re.match(rb"HTTP/1.1 (401|504)", connection.recv(1000))


def test_connections_on_which_no_request_comes_are_closed(address: str) -> None:
    with connected(address) as silent, connected(address) as slow, connected(address) as done:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")  # and never the empty line
        done.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent.recv(1000) == b""
        assert slow.recv(1000) == b""
        with done.makefile("rb") as replies:
            assert replies.read().endswith(b'{"status":"ok"}')  # as it came at once, and then the end


def test_a_connection_that_is_used_is_kept(address: str) -> None:
    began = time.monotonic()
    with closing(HTTPConnection(address.removeprefix("http://"), timeout=8)) as connection:
        while time.monotonic() - began < 2 * SECONDS:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"status":"ok"}'
            time.sleep(SECONDS / 5)


def test_an_answer_that_may_still_come_is_waited_for_at_the_end(
    registry: Registry, open_settings: Callable[..., ServiceSettings]
) -> None:
    server = Server(registry, open_settings(request_timeout=120), lambda: None)
    assert (server.config.timeout_graceful_shutdown or 0) > 120


def test_what_is_on_the_way_when_the_service_is_stopped_gets_its_answer(
    registry: Registry, open_settings: Callable[..., ServiceSettings], picture: bytes
) -> None:
    path, token = "/v1/brains/detector/predict", "Authorization: Bearer a token for tests"
    with ThreadPoolExecutor(1) as threads:
        with serving(registry, open_settings()) as url:
            connection = connected(url)
            connection.sendall(head(path, len(picture), token, kind="image/png") + picture[:9])
            time.sleep(0.2)

            def goes_on() -> bytes:
                time.sleep(0.5)
                with pytest.raises(ConnectionError):
                    connected(url)  # nobody new is let in
                with connection:
                    connection.sendall(picture[9:])
                    return connection.recv(1000)

            answer = threads.submit(goes_on)
        assert answer.result().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("127.0.0.1", 65_536, "65536 is no port"),
        ("127.0.0.1", -1, "-1 is no port"),
        ("nowhere.invalid", 0, "nowhere.invalid.*no address of this machine"),
        ("a" * 70 + ".test", 0, "no address of this machine"),
        ("192.0.2.1", 0, "192.0.2.1, port 0"),
    ],
)
def test_where_nobody_can_listen(host: str, port: int, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        listening(host, port)
