"""A sandbox on a real socket that can be set back to the recorded state between two requests."""

from __future__ import annotations

import io
import json
import re
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import requests
import uvicorn
from contract import moments, rows, world
from contract.recorded import Exchange
from PIL import Image

from diffgram_flows.sandbox.app import create_app
from diffgram_flows.sandbox.core import Sandbox
from diffgram_flows.sandbox.server import ReachableTransport
from diffgram_flows.sandbox.settings import SandboxSettings

BROKEN = 0  # the status of a reply that is no HTTP, as the recordings count it
Json = dict[str, Any]
BOX = {"type": "box", "label_file_id": 4, "x_min": 1, "y_min": 2, "x_max": 50, "y_max": 60}
#: What the recordings only speak of.
SPOKEN_OF = {
    '["<2000 boxes>"]': json.dumps([BOX] * 2000),
    "L...(300 characters)...L.jpg": "L" * 296 + ".jpg",
    "http://loopback.local:1/": "http://127.0.0.1:1/",
    "<PASSWORD>": world.PASSWORD,
}


@cache
def picture(kind: str = "JPEG", size: int = 0) -> bytes:
    """An image, with bytes after its end that no decoder looks at until it has the size, if it is one."""
    stream = io.BytesIO()
    Image.new("RGB", (rows.WIDTH, rows.HEIGHT), (90, 120, 60)).save(stream, kind)
    return stream.getvalue().ljust(size, b"\0")


class Blanks:
    """A body of nothing but blanks that never lies in memory."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        step = 1 << 20
        yield from (b" " * min(step, self._size - start) for start in range(0, self._size, step))


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
        self._last_import = self.newest_import()
        self._server, self.url = _serve(self.sandbox)
        self._plain = self.url
        self._others: dict[str, tuple[uvicorn.Server, str]] = {}
        self.sent_files: dict[str, bytes] = {}

    def close(self) -> None:
        for server, _ in self._others.values():
            server.should_exit = True
        self._server.should_exit = True
        self._images.shutdown()
        self._images.server_close()

    def reset(self) -> None:
        """The recorded state again, once nothing is under way."""
        self._settle()
        self.url = self._plain
        self.sent_files.clear()
        with self.sandbox.database.write() as cx:
            cx.execute("COMMIT")
            self._pristine.backup(cx)
            cx.execute("BEGIN IMMEDIATE")
        self._last_import = self.newest_import()

    def _settle(self) -> None:
        """Wait for what servers do after a reply, and for imports that are worked on; some hang for ever."""
        deadline = time.monotonic() + 2.0
        servers = [self._server, *(server for server, _ in self._others.values())]
        busy = (
            "SELECT 1 FROM input WHERE NOT archived AND id > ? AND length(coalesce(original_filename, '')) < 256 AND "
            "(status IN ('local_processing_queue', 'processing', 'downloaded') OR processing_deferred)"
        )
        announced = "SELECT 1 FROM event UNION ALL SELECT 1 FROM export WHERE status = 'init' AND due IS NOT NULL"
        while time.monotonic() < deadline:
            done = not any(server.server_state.tasks for server in servers) and not self.execute(announced)
            if done and not self.execute(busy, self._last_import):
                return
            time.sleep(0.002)

    def behave(self, **settings: Any) -> None:
        """Let requests until the next reset meet the same state through a server with other settings."""
        key = repr(sorted(settings.items()))
        if key not in self._others:
            other = replace(self.sandbox, settings=replace(self.sandbox.settings, **settings))
            self._others[key] = _serve(other, lifespan="off")
        self.url = self._others[key][1]

    def overlay(self, exchange: Exchange) -> None:
        with self.sandbox.database.write() as cx:
            world.overlay(cx, exchange)

    def travel(self, exchange: Exchange) -> None:
        """The state at the time of an exchange: before it if it writes."""
        with self.sandbox.database.write() as cx:
            moments.travel(cx, exchange)
        self.sandbox.media.signed.clear()
        self.sandbox.media.signed.update(moments.signed(exchange))
        self._last_import = self.newest_import()

    def execute(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Set up by hand what no recorded reply shows."""
        with self.sandbox.database.write() as cx:
            return cx.execute(sql, values).fetchall()

    def post(self, path: str, body: object = None, **options: Any) -> Any:
        """Do before a recorded request what was done before it: with the admin credential, and it succeeds."""
        key = world.KEYS["admin"]
        url = f"{self.url}{path.replace('{p}', world.PROJECT)}"
        options |= {} if {"data", "files"} & options.keys() else {"json": {} if body is None else body}
        response = requests.post(url, auth=(key.client_id, key.client_secret), timeout=20, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def as_of(self, moment: str) -> None:
        """Take away what was made after a moment of the day of the recordings, such as ``06:38:30``."""
        later = datetime.fromisoformat(f"2026-11-22T{moment}+00:00").timestamp()
        for table in ("input", "file", "instance", "directory", "label_schema", "job", "task", "export", "input_batch"):
            self.execute(f"DELETE FROM {table} WHERE created > ?", later)  # noqa: S608 - a name of ours
        self.execute("DELETE FROM placement WHERE file_id NOT IN (SELECT id FROM file)")
        self.execute("DELETE FROM placement WHERE directory_id NOT IN (SELECT id FROM directory)")

    def forget_name(self, name: str) -> None:
        """Take the files of a name out of all datasets."""
        self.execute("DELETE FROM placement WHERE file_id IN (SELECT id FROM file WHERE original_filename = ?)", name)

    def ask(self, exchange: Exchange) -> Answer:
        """Send a recorded request as it was sent then."""
        request = exchange.request
        options: dict[str, Any] = {"headers": dict(request.get("headers") or {}), "params": request.get("params")}
        options |= self._content(request)
        with requests.Session() as session:
            session.auth = self._auth(exchange)
            if request.get("auth") == "session cookie" and not exchange.path.endswith(("user/new", "user/login")):
                self.log_in(session)
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

    def outcome(self, before: int, patience: float = 10.0) -> sqlite3.Row | None:
        """The import row that was made after row ``before``, once it is finished or the patience is over."""
        row, deadline = None, time.monotonic() + patience
        while time.monotonic() < deadline:
            found = self.execute("SELECT * FROM input WHERE id > ? ORDER BY id LIMIT 1", before)
            row = found[0] if found else None
            if row is not None and row["status"] in ("success", "failed"):
                break
            time.sleep(0.01)
        return row

    def newest_import(self) -> int:
        return int(self.execute("SELECT coalesce(max(id), 0) AS id FROM input")[0]["id"])

    def _content(self, request: Json) -> Json:
        if "body" in request:
            spoken_of = re.fullmatch(r"<(\d+) MiB JSON>", request["body"])
            body = request["body"].replace("http://images.local", self.images)
            return {"data": Blanks(int(str(spoken_of[1])) << 20) if spoken_of else body.encode()}
        if "multipart" in request:
            parts = dict(request["multipart"])
            name = parts.pop("file", None)
            files = {"file": (name, self._file(name, 0))} if name else {}
            sent = {each: (None, json.dumps(value), "application/json") for each, value in parts.items()}
            if isinstance(parts.get("json"), str):
                sent["json"] = (None, parts["json"], "application/json")
            return {"files": {**files, **sent}}
        if "form" in request or "files" in request:
            form = request.get("form") or {}
            files = {part: self._part(each, form) for part, each in (request.get("files") or {}).items()}
            return {"data": form, "files": files or {"": (None, b"")}}
        return {"json": self._placed(request["json"])} if "json" in request else {}

    def _part(self, file: Json, form: dict[str, str]) -> tuple[str, bytes]:
        """A recorded file or chunk: so many bytes of a file of that name, from the recorded offset on."""
        start = int(form.get("dzchunkbyteoffset", "0"))
        size = form.get("dztotalfilesize") or file["bytes"]
        whole = self._file(file["filename"], int(size))
        return file["filename"], whole[start : start + file["bytes"]]

    def _file(self, name: str, size: int) -> bytes:
        if name in self.sent_files:
            return self.sent_files[name].ljust(size)
        return picture("PNG" if name.lower().endswith(".png") else "JPEG", size)

    def _placed(self, document: Any) -> Any:
        text = json.dumps(document, ensure_ascii=False)
        for host in ("http://images.local", "http://storage.local"):
            text = text.replace(host, self.images)
        for words, meant in SPOKEN_OF.items():
            text = text.replace(words, meant)
        return json.loads(text)

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

    def log_in(self, session: requests.Session) -> None:
        """Make a session that of the recorded person."""
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
            "/404/": (404, b"no such", {}),
            "/403/": (403, b"denied", {}),
            "/text/": (200, b"not an image", {}),
            "/redirect/": (302, b"", {"Location": "/img/elsewhere.jpg"}),
        }.items():
            if path.startswith(part):
                return reply
        kind = "PNG" if path.endswith(".png") else "WEBP" if path.endswith(".webp") else "JPEG"
        return 200, picture(kind), {}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


def _serve(sandbox: Sandbox, lifespan: Literal["on", "off"] = "on") -> tuple[uvicorn.Server, str]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        create_app(sandbox),
        http=ReachableTransport,
        ws="none",
        lifespan=lifespan,
        access_log=False,
        log_level="critical",
    )
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    while not server.started:
        time.sleep(0.01)
    return server, f"http://127.0.0.1:{listener.getsockname()[1]}"
