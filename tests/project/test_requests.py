"""How many requests things cost."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers.pages import Sign

from diffgram_flows import Project
from diffgram_flows.diffgram import shapes
from diffgram_flows.project import Directory

FILES = 10_000


class _ManyFiles(BaseHTTPRequestHandler):
    """A server whose only dataset has 10,000 files, listed as a Diffgram lists them."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/directory/list"):
            reply: object = {"directory_list": [{"directory_id": 1, "nickname": "Default"}]}
        else:
            reply = _page(body["metadata"])
        content = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _page(wanted: dict[str, int]) -> dict[str, object]:
    limit = min(wanted["limit"], 1000)
    first = (wanted["page"] - 1) * limit
    rows = [{"id": FILES - n, "original_filename": f"{n}.jpg"} for n in range(first, min(first + limit, FILES))]
    more = first + limit < FILES
    return {"file_list": rows, "metadata": {"next_page": wanted["page"] + 1 if more else None}}


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Project]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _ManyFiles) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with Project(url, "cars", "id", "secret", workdir=tmp_path) as project:
            yield project
        server.shutdown()


def test_ten_thousand_files_take_eleven_requests(large: Project, calls: list[str]) -> None:
    assert sum(1 for _ in large.directory.default().files()) == FILES
    assert len(calls) <= 11


def test_files_are_listed_as_they_are_read(large: Project, calls: list[str]) -> None:
    files = large.directory.default().files()
    assert [next(files).name for _ in range(3)] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(calls) == 2


def test_an_import_is_one_request(project: Project, directory: Directory, sign: Sign, calls: list[str]) -> None:
    box = shapes.box(project.label.new("car")["car"], 1, 2, 30, 40)
    urls = [sign(f"{number}.png") for number in range(3)]
    calls.clear()
    for url in urls:
        project.file.from_url(url, directory=directory, instances=[box])
    assert [call.rpartition("/")[2] for call in calls] == ["packet"] * 3


def test_the_default_dataset_is_looked_up_once(project: Project, sign: Sign, calls: list[str]) -> None:
    for number in range(3):
        project.file.from_url(sign(f"{number}.png"))
    assert [call.rpartition("/")[2] for call in calls] == ["list", "packet", "packet", "packet"]


def test_labels_are_listed_once_and_again_for_a_new_one(
    project: Project, directory: Directory, sign: Sign, calls: list[str]
) -> None:
    project.client.ensure_labels(project.schema.default().id, ["car"])
    calls.clear()
    for number in range(3):
        box = shapes.box("car", 1, 2, 30, 40)
        project.file.from_url(sign(f"{number}.png"), directory=directory, instances=[box])
    assert [call.rpartition("/")[2] for call in calls] == ["labels", "packet", "packet", "packet"]
    project.client.ensure_labels(project.schema.default().id, ["bus"])  # by somebody else
    calls.clear()
    for number in range(3, 5):
        box = shapes.box("bus", 1, 2, 30, 40)
        project.file.from_url(sign(f"{number}.png"), directory=directory, instances=[box])
    assert [call.rpartition("/")[2] for call in calls] == ["labels", "packet", "packet"]
