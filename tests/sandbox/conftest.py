from __future__ import annotations

import io
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from diffgram_flows.sandbox import SandboxProcess

Json = dict[str, Any]


def encoded(kind: str, size: tuple[int, int], mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, 1).save(stream, kind)
    return stream.getvalue()


PICTURE = encoded("JPEG", (320, 240))
BODIES = {
    "/404/": (404, b"no such"),
    "/403/": (403, b"denied"),
    "/text/": (200, b"not an image"),
    "/cut/": (200, PICTURE[: len(PICTURE) // 2]),
    "/bomb/": (200, encoded("PNG", (20_000, 20_000), "1")),
}


class ImageHost(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/gate/"):
            self.gate.wait(30)
        if self.path.startswith("/redirect/"):
            self.send_response(302)
            self.send_header("Location", "/img/elsewhere.jpg")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status, body = next((found for start, found in BODIES.items() if self.path.startswith(start)), (200, PICTURE))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        """Say nothing."""


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sandbox that is killed closes its connections; that is no news."""


@pytest.fixture(scope="session")
def images() -> Iterator[str]:
    """Base URL of a host of images; the first part of the path says what happens."""
    with QuietServer(("127.0.0.1", 0), ImageHost) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        ImageHost.gate.set()
        server.shutdown()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Downloads from /gate/ wait for this event."""
    ImageHost.gate.clear()
    yield ImageHost.gate
    ImageHost.gate.set()


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture(scope="session")
def call(sandbox: SandboxProcess) -> Iterator[Callable[..., requests.Response]]:
    """Send a request with the admin credential, or as ``auth`` says; ``{p}`` in the path is the project."""
    with requests.Session() as session:

        def calling(path: str, json: object = None, *, method: str = "POST", **options: Any) -> requests.Response:
            options.setdefault("auth", (sandbox.client_id, sandbox.client_secret))
            if method != "GET" and "data" not in options and "files" not in options:
                options["json"] = {} if json is None else json
            url = sandbox.url + path.replace("{p}", sandbox.project)
            return session.request(method, url, timeout=30, **options)

        yield calling


@pytest.fixture(scope="session")
def person(sandbox: SandboxProcess) -> Iterator[Callable[..., Json]]:
    """Send a request from a browser session and expect 200."""
    with requests.Session() as session:
        login = {"email": sandbox.email, "password": sandbox.password, "mode": "password"}
        assert session.post(f"{sandbox.url}/api/user/login", json=login, timeout=30).status_code == 200

        def calling(path: str, json: object = None) -> Json:
            response = session.post(sandbox.url + path, json={} if json is None else json, timeout=30)
            assert response.status_code == 200, response.text
            reply: Json = response.json()
            return reply

        yield calling


@pytest.fixture(scope="session")
def labels(call: Callable[..., requests.Response]) -> Json:
    """Label file ids of car and person in the default schema."""
    names = ("car", "person")
    made = {name: call("/api/v1/project/{p}/label/new", {"name": name, "schema_id": 1}).json() for name in names}
    return {name: reply["label"]["id"] for name, reply in made.items()}


@pytest.fixture(scope="session")
def new_dataset(call: Callable[..., requests.Response]) -> Callable[[], int]:
    numbers = itertools.count(1)

    def making() -> int:
        body = {"nickname": f"dataset {next(numbers)}", "access_type": "project"}
        made = call("/api/v1/project/{p}/directory/new", body).json()["new_directory"]
        return int(made["id"])

    return making


@pytest.fixture
def dataset(new_dataset: Callable[[], int]) -> int:
    return new_dataset()


@pytest.fixture(scope="session")
def rows(call: Callable[..., requests.Response]) -> Callable[..., list[Json]]:
    """The newest imports of a dataset once none of them is waiting, or after a while."""

    def waiting(directory_id: int, *, at_least: int = 1) -> list[Json]:
        for _ in range(200):
            listed = call("/api/walrus/v1/project/{p}/input/view/list", {"limit": 1000}).json()["input_list"]
            found = [row for row in listed if row["directory"] and row["directory"]["id"] == directory_id]
            if len(found) >= at_least and all(row["status"] in ("success", "failed") for row in found):
                break
            time.sleep(0.02)
        return found

    return waiting


@pytest.fixture
def imported(
    call: Callable[..., requests.Response], rows: Callable[..., list[Json]], images: str, dataset: int
) -> Callable[..., Json]:
    """Import one image into the test's dataset and return its row when it is finished."""
    sent = itertools.count(1)

    def importing(path: str, **packet: Any) -> Json:
        body = {"media": {"url": images + path, "type": "image"}, "directory_id": dataset, **packet}
        response = call("/api/walrus/v1/project/{p}/input/packet", body)
        assert response.status_code == 200, response.text
        assert response.json()["input_id"] is None
        return rows(dataset, at_least=next(sent))[0]

    return importing


@pytest.fixture(scope="session")
def box(labels: Json) -> Callable[..., Json]:
    """A box of a car at a place, 100 pixels wide and high."""

    def drawing(x: int = 10, y: int = 20, **more: Any) -> Json:
        place = {"x_min": x, "y_min": y, "x_max": x + 100, "y_max": y + 100}
        return {"type": "box", "label_file_id": labels["car"], **place, **more}

    return drawing


@pytest.fixture(scope="session")
def stored(call: Callable[..., requests.Response]) -> Callable[[int], list[Json]]:
    """The instances of a file."""

    def reading(file_id: int) -> list[Json]:
        reply = call(f"/api/project/{{p}}/file/{file_id}/annotation/list").json()
        instances: list[Json] = reply["file_serialized"]["instance_list"]
        return instances

    return reading


@pytest.fixture(scope="session")
def job_of(call: Callable[..., requests.Response]) -> Callable[..., int]:
    """A launched job on a dataset, with as many tasks as are expected."""

    def launching(directory_id: int, tasks: int, **more: Any) -> int:
        attached = {"attached_directories_list": [{"directory_id": directory_id, "selected": "sync"}]}
        body = {"name": "job", "label_schema_id": 1, "member_list_ids": [1], "attached_directories_dict": attached}
        job_id = call("/api/v1/project/{p}/job/new", {**body, **more}).json()["job"]["id"]
        launched = call("/api/v1/job/launch", {"job_id": job_id})
        assert launched.json()["log"]["info"] == {"launch_flow": "soon"}
        for _ in range(200):
            if call(f"/api/job/{job_id}/stat", method="GET").json()["total"] == tasks:
                break
            time.sleep(0.02)
        return int(job_id)

    return launching


@pytest.fixture(scope="session")
def tasks_of(call: Callable[..., requests.Response]) -> Callable[[int], list[Json]]:
    def listing(job_id: int) -> list[Json]:
        body = {"mode_data": "direct_route", "job_id": job_id, "limit_count": 100, "page_number": 0}
        found: list[Json] = call(f"/api/v1/job/{job_id}/task/list", body).json()["task_list"]
        return found

    return listing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of a sandbox of the test's own."""
    return tmp_path / "data"
