"""A server on a real socket that gives scripted answers and remembers what it was sent."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass
class Sent:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def parts(self) -> dict[str, tuple[str | None, bytes]]:
        """File name and content of every part of a multipart body, and the fields of a form without a file."""
        if self.headers["Content-Type"] == "application/x-www-form-urlencoded":
            return {name: (None, value.encode()) for name, value in parse_qsl(self.content.decode())}
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        found: dict[str, tuple[str | None, bytes]] = {}
        for part in message_from_bytes(head + self.content).walk():
            if not part.is_multipart():
                content = part.get_payload(decode=True)
                assert isinstance(content, bytes)
                found[str(part.get_param("name", header="content-disposition"))] = (part.get_filename(), content)
        return found


@dataclass
class Answer:
    """What to do with a request.

    Attributes:
        raw: Bytes instead of a whole HTTP reply; the connection is closed after them.
        reset: Cut the connection (TCP RST) instead of answering.
        drip: Seconds between the single bytes of the body.
    """

    json: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    raw: bytes | None = None
    reset: bool = False
    delay: float = 0.0
    drip: float = 0.0

    @property
    def body(self) -> bytes:
        return json.dumps(self.json).encode() if self.content is None else self.content


class ScriptedServer:
    """Answers in the order of the script; the last answer is repeated when the script is at its end."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.connections = 0
        self.script: list[Answer] = []
        self._lock = threading.Lock()
        self._http = _Quiet(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def answer(self, json: Any = None, **more: Any) -> ScriptedServer:
        self.script.append(Answer(json, **more))
        return self

    def reset(self) -> None:
        """Forget the script and what was sent."""
        with self._lock:
            self.script, self.sent, self.connections = [], [], 0

    def connected(self) -> None:
        with self._lock:
            self.connections += 1

    def next_answer(self, sent: Sent) -> Answer:
        with self._lock:
            self.sent.append(sent)
            return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    @property
    def last(self) -> Sent:
        return self.sent[-1]

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that run into their time-out break connections; that is the test, not an accident."""


def _handler(server: ScriptedServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10
        disable_nagle_algorithm = True

        def setup(self) -> None:
            server.connected()
            super().setup()

        def _respond(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.title(): value for name, value in self.headers.items()}
            sent = Sent(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), headers, content)
            answer = server.next_answer(sent)
            time.sleep(answer.delay)
            if answer.reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.close_connection = True
            elif answer.raw is not None:
                self.wfile.write(answer.raw)
                self.close_connection = True
            else:
                self._reply(answer)

        def _reply(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in ({"Content-Type": "application/json"} | answer.headers).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if not answer.drip:
                self.wfile.write(answer.body)
            for byte in answer.body if answer.drip else b"":
                self.wfile.write(bytes([byte]))
                time.sleep(answer.drip)

        do_GET = do_POST = do_PUT = _respond  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Silence."""

    return Handler
