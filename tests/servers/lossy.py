"""A proxy in front of a server that loses replies: the request arrives, the answer does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import requests

_HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "content-encoding", "date", "server"}


class LossyProxy:
    """Passes everything on, and keeps the replies that ``lose`` picks.

    Args:
        upstream: The server behind.
        lose: Called with the path and the number of requests to it so far, from 1 on; true loses the reply.
    """

    def __init__(self, upstream: str, lose: Callable[[str, int], bool]) -> None:
        seen: dict[str, int] = {}
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                with lock:
                    seen[self.path] = number = seen.get(self.path, 0) + 1
                kept = {key: value for key, value in self.headers.items() if key.lower() not in _HOP_BY_HOP}
                reply = requests.request(self.command, upstream + self.path, data=body, headers=kept, timeout=30)
                if lose(self.path, number):
                    self.close_connection = True
                    return
                self.send_response(reply.status_code)
                for key, value in reply.headers.items():
                    if key.lower() not in _HOP_BY_HOP:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            do_GET = do_POST  # noqa: N815 - the name that http.server looks for

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
