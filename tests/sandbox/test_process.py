"""The server as a process: limits, crashes, restarts, and the end of its parent."""

from __future__ import annotations

import argparse
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox import SandboxProcess, SandboxSettings
from diffgram_flows.sandbox.server import main

Json = dict[str, Any]


def send(server: SandboxProcess, path: str, body: object) -> requests.Response:
    url = server.url + path.replace("{p}", server.project)
    return requests.post(url, json=body, auth=(server.client_id, server.client_secret), timeout=30)


def queue(server: SandboxProcess, url: str, name: str) -> None:
    body = {"media": {"url": url, "type": "image"}, "directory_id": 1, "original_filename": name}
    assert send(server, "/api/walrus/v1/project/{p}/input/packet", body).status_code == 200


def statuses(server: SandboxProcess) -> dict[str, str]:
    rows = send(server, "/api/walrus/v1/project/{p}/input/view/list", {"limit": 1000}).json()["input_list"]
    return {row["original_filename"]: row["status"] for row in rows}


def until(check: Callable[[], bool]) -> bool:
    for _ in range(250):
        if check():
            return True
        time.sleep(0.02)
    return False


def test_the_21st_packet_of_a_second_is_too_much(folder: Path) -> None:
    with SandboxProcess(folder) as server, requests.Session() as session:
        session.auth = (server.client_id, server.client_secret)
        url = f"{server.url}/api/walrus/v1/project/{server.project}/input/packet"
        replies = [session.post(url, json={}, timeout=30) for _ in range(21)]
        other = session.get(f"{server.url}/api/project/{server.project}/view", timeout=30)
    if replies[0].headers["X-RateLimit-Reset"] != replies[-1].headers["X-RateLimit-Reset"]:
        pytest.skip("This machine did not send 21 requests within a second.")
    assert {reply.status_code for reply in replies[:20]} == {400}
    assert replies[0].headers["X-RateLimit-Limit"] == "20"
    assert replies[0].headers["X-RateLimit-Remaining"] == "19"
    assert replies[0].headers["Retry-After"] == "1"
    assert (replies[20].status_code, replies[20].json()) == (429, {"error": "429 Too Many Requests: 20 per 1 second"})
    assert (other.status_code, other.headers["X-RateLimit-Limit"]) == (200, "10000")


def test_a_crash_loses_nothing_that_was_acknowledged(folder: Path, images: str, gate: threading.Event) -> None:
    server = SandboxProcess(folder, rate_limits=False, import_workers=2)
    server.start()
    before = (server.url, server.client_id, server.client_secret, server.email, server.password)
    queue(server, f"{images}/img/done.jpg", "done.jpg")
    assert until(lambda: statuses(server)["done.jpg"] == "success")
    for name in ("a.jpg", "b.jpg"):
        queue(server, f"{images}/gate/{name}", name)
    assert until(lambda: [statuses(server)[name] for name in ("a.jpg", "b.jpg")] == ["processing"] * 2)
    for number in range(10):
        queue(server, f"{images}/img/{number}.jpg", f"waiting-{number}.jpg")
    server.kill()
    gate.set()

    with server:
        assert (server.url, server.client_id, server.client_secret, server.email, server.password) == before
        assert until(lambda: set(statuses(server).values()) == {"success", "processing"})
        time.sleep(0.2)
        stuck = {name for name, status in statuses(server).items() if status == "processing"}
        assert stuck == {"a.jpg", "b.jpg"}
        assert len(statuses(server)) == 13
        rows = send(server, "/api/walrus/v1/project/{p}/input/view/list", {"status_filter": "Processing"}).json()
        ids = [row["id"] for row in rows["input_list"]]
        send(server, "/api/walrus/v1/project/{p}/input/update", {"id_list": ids, "mode": "RETRY"})
        assert until(lambda: set(statuses(server).values()) == {"success"})


def test_announced_tasks_and_exports_survive_a_crash(folder: Path, images: str) -> None:
    server = SandboxProcess(folder, rate_limits=False, task_delay=1.0, export_delay=1.0)
    server.start()
    queue(server, f"{images}/img/1.jpg", "1.jpg")
    assert until(lambda: statuses(server)["1.jpg"] == "success")
    attached = {"attached_directories_list": [{"directory_id": 1, "selected": "sync"}]}
    body = {"name": "j", "label_schema_id": 1, "attached_directories_dict": attached}
    job_id = send(server, "/api/v1/project/{p}/job/new", body).json()["job"]["id"]
    send(server, "/api/v1/job/launch", {"job_id": job_id})
    wanted = {"kind": "Annotations", "source": "directory", "file_comparison_mode": "latest", "masks": False}
    export = send(server, "/api/walrus/project/{p}/export/to_file", wanted).json()["export"]
    server.kill()
    with server:
        listing = {"mode_data": "direct_route", "job_id": job_id}
        assert until(lambda: bool(send(server, f"/api/v1/job/{job_id}/task/list", listing).json()["task_list"]))
        link = {"id": export["id"], "return_type": "data", "format": "JSON"}
        assert until(lambda: send(server, "/api/walrus/project/{p}/export/link", link).status_code == 200)


def test_stopping_returns_waiting_imports_to_the_queue(folder: Path, images: str) -> None:
    server = SandboxProcess(folder, rate_limits=False, import_delay=30.0)
    server.start()
    queue(server, f"{images}/img/1.jpg", "1.jpg")
    assert until(lambda: statuses(server)["1.jpg"] == "processing")
    server.stop()
    with SandboxProcess(folder, rate_limits=False) as again:
        assert until(lambda: statuses(again)["1.jpg"] == "success")


def test_the_keys_are_for_their_owner_only(sandbox: SandboxProcess) -> None:
    path = sandbox.data / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["client_secret"] == sandbox.client_secret
    for text in (repr(sandbox), (sandbox.data / "server.log").read_text()):
        assert sandbox.client_secret not in text
        assert sandbox.password not in text


def test_a_folder_has_one_server(sandbox: SandboxProcess) -> None:
    with pytest.raises(ConfigurationError, match="Another sandbox runs on"):
        main(["--data", str(sandbox.data)])


def test_a_port_that_was_asked_for_must_be_free(folder: Path, images: str) -> None:
    port = images.rpartition(":")[2]
    with pytest.raises(ConfigurationError, match=f"cannot listen on port {port}"):
        main(["--data", str(folder), "--port", port])


def test_a_server_that_does_not_start_tells_why(sandbox: SandboxProcess) -> None:
    with pytest.raises(ConfigurationError, match=r"did not start: Another sandbox runs on"):
        SandboxProcess(sandbox.data).start()


def test_the_server_dies_with_its_parent(folder: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from diffgram_flows.sandbox import SandboxProcess;"
        "s = SandboxProcess(Path(sys.argv[1])).start(); print(s.url, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert requests.get(f"{url}/sandbox/health", timeout=30).status_code == 200
        os.kill(parent.pid, signal.SIGKILL)

    def is_gone() -> bool:
        try:
            requests.get(f"{url}/sandbox/health", timeout=30)
        except requests.ConnectionError:
            return True
        return False

    assert until(is_gone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"import_workers": 0}, "0 import workers"),
        ({"export_fault": "lost"}, "no export fault 'lost'"),
        ({"task_delay": -1.0}, "task_delay is -1.0"),
    ],
    ids=["no workers", "unknown fault", "negative"],
)
def test_settings_that_make_no_sense(folder: Path, settings: Json, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SandboxProcess(folder, **settings)


def test_settings_travel_through_the_command_line() -> None:
    settings = SandboxSettings(rate_limits=False, import_workers=2, task_delay=0.5, export_fault="truncated")
    parser = argparse.ArgumentParser()
    SandboxSettings.add_arguments(parser)
    assert SandboxSettings.from_arguments(parser.parse_args(settings.arguments())) == settings
