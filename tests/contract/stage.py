"""A sandbox on a real socket that can be set back to the recorded state between two requests."""

from __future__ import annotations

import io
import json
import socket
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import uvicorn
from contract import world
from contract.recorded import Exchange
from PIL import Image

from diffgram_flows.sandbox.app import create_app
from diffgram_flows.sandbox.core import Sandbox
from diffgram_flows.sandbox.server import ReachableTransport
from diffgram_flows.sandbox.settings import SandboxSettings

BROKEN = 0  # the status of a reply that is no HTTP, as the recordings count it


def picture(kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (world.WIDTH, world.HEIGHT), (90, 120, 60)).save(stream, kind)
    return stream.getvalue()


@dataclass
class Answer:
    """What came back; ``status`` 0 and no document where it was no HTTP."""

    status: int
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Stage:
    """The sandbox, and the hosts that recorded requests speak of."""

    def __init__(self, folder: Path) -> None:
        self.sandbox = Sandbox.open(folder, SandboxSettings(rate_limits=False, task_delay=0.0, max_pixels=10_000_000))
        self._pristine = sqlite3.connect(":memory:", check_same_thread=False)
        with self.sandbox.database.write() as cx:
            world.populate(cx)
        with self.sandbox.database.read() as cx:
            cx.backup(self._pristine)
        self._fill_media()
        self._images = _Quiet(("127.0.0.1", 0), _Images)
        threading.Thread(target=self._images.serve_forever, args=(0.02,), daemon=True).start()
        self.images = f"http://127.0.0.1:{self._images.server_port}"
        self._server, self.url = _serve(self.sandbox)

    def close(self) -> None:
        self._server.should_exit = True
        self._images.shutdown()
        self._images.server_close()

    def reset(self) -> None:
        """The recorded state again, once nothing is under way."""
        with self.sandbox.database.write() as cx:
            cx.execute("COMMIT")
            self._pristine.backup(cx)
            cx.execute("BEGIN IMMEDIATE")

    def overlay(self, exchange: Exchange) -> None:
        with self.sandbox.database.write() as cx:
            world.overlay(cx, exchange)

    def execute(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Set up by hand what no recorded reply shows."""
        with self.sandbox.database.write() as cx:
            return cx.execute(sql, values).fetchall()

    def ask(self, exchange: Exchange) -> Answer:
        """Send a recorded request as it was sent then."""
        request = exchange.request
        options: dict[str, Any] = {"headers": dict(request.get("headers") or {}), "params": request.get("params")}
        options |= self._content(request)
        with requests.Session() as session:
            session.auth = self._auth(exchange)
            if request.get("auth") == "session cookie" and not exchange.path.endswith(("user/new", "user/login")):
                self._log_in(session)
            try:
                response = session.request(
                    exchange.method, self.url + exchange.path, allow_redirects=False, timeout=20, **options
                )
            except requests.ConnectionError:
                return Answer(BROKEN)
        try:
            document = response.json()
        except ValueError:
            document = response.text
        return Answer(response.status_code, document, dict(response.headers))

    def outcome(self, before: int) -> sqlite3.Row | None:
        """The import row that was made after row ``before``, once it is finished or hangs for a while."""
        row = None
        for _ in range(200):
            found = self.execute("SELECT * FROM input WHERE id > ? ORDER BY id LIMIT 1", before)
            row = found[0] if found else None
            if row is not None and row["status"] in ("success", "failed"):
                break
            time.sleep(0.01)
        return row

    def newest_import(self) -> int:
        return int(self.execute("SELECT coalesce(max(id), 0) AS id FROM input")[0]["id"])

    def _content(self, request: dict[str, Any]) -> dict[str, Any]:
        if "body" in request:
            return {"data": request["body"].encode()}
        if "multipart" in request:
            parts = dict(request["multipart"])
            files = {"file": (parts.pop("file"), picture("PNG"))} if "file" in parts else {}
            sent = {name: (None, json.dumps(value), "application/json") for name, value in parts.items()}
            return {"files": {**files, **sent}}
        if "form" in request or "files" in request:
            files = {
                name: (file["filename"], bytes(file["bytes"])) for name, file in (request.get("files") or {}).items()
            }
            return {"data": request.get("form"), "files": files or {"": (None, b"")}}
        return {"json": self._placed(request["json"])} if "json" in request else {}

    def _placed(self, document: Any) -> Any:
        text = json.dumps(document)
        for host in ("http://images.local", "http://storage.local"):
            text = text.replace(host, self.images)
        return json.loads(text.replace("<PASSWORD>", world.PASSWORD))

    def _auth(self, exchange: Exchange) -> requests.auth.AuthBase | None:
        if exchange.request.get("auth") != "basic":
            return _Nobody()
        key = world.KEYS["Viewer" if "viewer" in exchange.name else "admin"]
        user, secret = key.client_id, key.client_secret
        if "bad_secret" in exchange.name:
            secret = "wrong"
        if exchange.name == "unknown_client_id":
            user = "LIVE__nobody"
        if exchange.name == "empty_secret":
            secret = ""
        return requests.auth.HTTPBasicAuth(user, secret)

    def _log_in(self, session: requests.Session) -> None:
        body = {"email": world.EMAIL, "password": world.PASSWORD, "mode": "password"}
        assert session.post(f"{self.url}/api/user/login", json=body, timeout=20).status_code == 200

    def _fill_media(self) -> None:
        data = picture()
        with self.sandbox.database.read() as cx:
            blobs = [row["blob"] for row in cx.execute("SELECT blob FROM image")]
        for blob in blobs:
            self.sandbox.media.adopt(self.sandbox.media.receive(data), blob)


class _Nobody(requests.auth.AuthBase):
    """Keeps requests from finding a credential of its own."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A cut connection is no news."""


class _Images(BaseHTTPRequestHandler):
    """The image host and the object store of the recordings."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        status, body, headers = self._reply()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _reply(self) -> tuple[int, bytes, dict[str, str]]:
        path = self.path.partition("?")[0]
        for part, reply in {
            "/status/404": (404, b"no", {}),
            "/status/403": (403, b"denied", {}),
            "/text": (200, b"not an image", {}),
            "/redirect": (302, b"", {"Location": "/img/elsewhere.jpg"}),
        }.items():
            if path.startswith(part):
                return reply
        kind = "PNG" if path.endswith(".png") else "WEBP" if path.endswith(".webp") else "JPEG"
        return 200, picture(kind), {}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


def _serve(sandbox: Sandbox) -> tuple[uvicorn.Server, str]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(sandbox), http=ReachableTransport, ws="none", lifespan="on", access_log=False, log_level="critical"
    )
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, f"http://127.0.0.1:{listener.getsockname()[1]}"
