"""A proxy in front of a server that makes requests go wrong: drawn from a seed, or at chosen moments.

It stands before the sandbox as well as before a bucket. What is done to a request is a *fault*, by name:

==================  =========  ================================================================
fault               delivered  what the client sees
==================  =========  ================================================================
``reset``           no         the connection is reset
``limited``         no         429 with ``Retry-After``
``error``           no         500
``gateway``         no         a 502 page
``broken``          no         ``HTTP/1.0 0 gkpj``
``lost``            yes        the connection ends, without a reply
``cut``             yes        half of the reply
``late error``      yes        500
``late gateway``    yes        a 502 page
``late broken``     yes        ``HTTP/1.0 0 gkpj``
``delay``           yes        the reply, after a while
``twice``           twice      the second reply
``stale``           no         what the same question was answered with a moment ago
==================  =========  ================================================================
"""

from __future__ import annotations

import os
import random
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import urllib3

FAULTS = (
    "reset", "limited", "error", "gateway", "broken", "lost", "cut", "late error", "late gateway", "late broken",
    "delay", "twice", "stale",
)  # fmt: skip
DELAY = 0.3  # seconds
STALE = 1.0  # seconds; how old the state may be that a stale reply shows
_BROKEN_LINE = b"HTTP/1.0 0 gkpj\r\n\r\n"
_REMEMBERED = ("input/view/list", "file/exists", "file/list")  # endpoints that may give a stale reply
_HOP_BY_HOP = {"connection", "keep-alive", "content-length", "transfer-encoding"}


@dataclass(frozen=True)
class Visit:
    """One request: the ``number``-th, from 1 on, to its endpoint (its path without the query, numbers as ``#``)."""

    method: str
    path: str
    endpoint: str
    number: int


@dataclass(frozen=True)
class Answer:
    """A reply, the server's or one of a test's own, which then is given without asking the server."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = "answer"


Plan = Callable[[Visit], str | Answer | None]
"""What is to be done to a request: a fault, another answer, or nothing."""

_PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>502 Bad Gateway</body>\r\n</html>\r\n"
_ANSWERS = {
    "limited": Answer(429, b'{"error": "429 Too Many Requests: 20 per 1 second"}', {"Retry-After": "1"}),
    "error": Answer(500, b'{"error": "500 Internal Server Error: The server encountered an internal error."}'),
    "gateway": Answer(502, _PAGE, {"Content-Type": "text/html"}),
}


def no_fault(visit: Visit) -> None:
    """The plan of a good day."""
    return


def drawn(seed: int, rate: float, kinds: Collection[str] = FAULTS, *, only: str = "") -> Plan:
    """Faults by chance: the n-th request to an endpoint meets the same fate with the same seed, whatever else happens.

    Args:
        seed: Of all draws.
        rate: Probability in [0, 1] that a request meets a fault.
        kinds: Which there are.
        only: A part of the endpoints' paths that can meet them; empty for all.
    """

    def plan(visit: Visit) -> str | None:
        chance = random.Random(f"{seed} {visit.method} {visit.endpoint} {visit.number}")  # noqa: S311 - troubles
        hit = only in visit.endpoint and chance.random() < rate
        return chance.choice(sorted(kinds)) if hit else None

    return plan


class FaultyProxy:
    """Passes requests on, as far as its plan lets it.

    Args:
        upstream: The server behind.
        plan: What is to be done to each request. It may be replaced at any time.

    Attributes:
        url: Where the proxy listens.
        injected: How many faults of each kind there were.
        at: How many faults each endpoint had.
        passed: Requests in all.
    """

    def __init__(self, upstream: str, plan: Plan = no_fault) -> None:
        self.plan = plan
        self.injected: Counter[str] = Counter()
        self.at: Counter[str] = Counter()
        self.passed = 0
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._past: dict[tuple[str, str, bytes], deque[tuple[float, Answer]]] = {}
        self._pool = urllib3.connection_from_url(upstream, maxsize=20, timeout=urllib3.Timeout(30), retries=False)
        self._server = _Server(self, 0)
        self._port = self._server.server_port
        self._away = False
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self._server.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.end()
        self._pool.close()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody listens while the block runs; connections that are open break at their next request."""
        self._away = True
        self._server.end()
        try:
            yield
        finally:
            self._away = False
            self._server = _Server(self, self._port)
            self._server.begin()

    def fate(self, method: str, path: str) -> str | Answer | None:
        """What happens to the next request to an endpoint; counts it."""
        if self._away:
            return "reset"
        endpoint = re.sub("[0-9]+", "#", path.partition("?")[0])
        with self._lock:
            self.passed += 1
            self._seen[endpoint] += 1
            number = self._seen[endpoint]
        return self.plan(Visit(method, path, endpoint, number))

    def count(self, fault: str, path: str) -> None:
        with self._lock:
            self.injected[fault] += 1
            self.at[re.sub("[0-9]+", "#", path.partition("?")[0])] += 1

    def deliver(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Ask the server behind. A 502 like that of a proxy if it is not there."""
        try:
            reply = self._pool.request(
                method, path, body=body or None, headers=dict(headers), decode_content=False, redirect=False
            )
        except urllib3.exceptions.HTTPError:
            return _ANSWERS["gateway"]
        answer = Answer(reply.status, reply.data, dict(reply.headers))
        if reply.status == 200 and any(part in path for part in _REMEMBERED):
            with self._lock:
                self._past.setdefault((method, path, body), deque(maxlen=40)).append((time.monotonic(), answer))
        return answer

    def remembered(self, method: str, path: str, body: bytes) -> Answer | None:
        """The oldest reply to the same question that is not too old."""
        with self._lock:
            past = self._past.get((method, path, body), ())
            return next((answer for moment, answer in past if time.monotonic() - moment <= STALE), None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, proxy: FaultyProxy, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.proxy = proxy
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed break their connections; that is nobody's error here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = self.server.proxy
        fate = proxy.fate(self.command, self.path)
        if fate is None:
            self._reply(self._delivered(body))
            return
        if isinstance(fate, Answer):
            proxy.count(fate.name, self.path)
            self._reply(fate)
            return
        if fate == "stale":
            old = proxy.remembered(self.command, self.path, body)
            if old is not None:
                proxy.count(fate, self.path)
            self._reply(old or self._delivered(body))
            return
        proxy.count(fate, self.path)
        self._fail(fate, body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST  # noqa: N815 - the names that http.server looks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing."""

    def _fail(self, fault: str, body: bytes) -> None:
        if fault == "delay":
            time.sleep(DELAY)
        if fault == "twice":
            self._delivered(body)
        answer = self._delivered(body) if fault in {"delay", "twice", "lost", "cut"} or "late" in fault else None
        fault = fault.removeprefix("late ")
        if fault == "broken":
            self.wfile.write(_BROKEN_LINE)
            self.close_connection = True
        elif fault == "reset":
            self._reset()
        elif fault == "lost":
            self.close_connection = True
        elif fault in _ANSWERS:
            self._reply(_ANSWERS[fault])
        elif answer is not None:
            self._reply(answer, half=fault == "cut")

    def _delivered(self, body: bytes) -> Answer:
        kept = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
        return self.server.proxy.deliver(self.command, self.path, kept, body)

    def _reply(self, answer: Answer, *, half: bool = False) -> None:
        self.send_response_only(answer.status)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        for name, value in headers.items():
            if name not in _HOP_BY_HOP:
                self.send_header(name, value)
        length = headers.get("content-length", "0") if self.command == "HEAD" else str(len(answer.body))
        if answer.status != 204:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: len(answer.body) // 2] if half else answer.body)
        self.close_connection = self.close_connection or half

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())
