"""Webhooks reach a real receiver, with the recorded bodies and the recorded traps."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from contract import world
from contract.recorded import exchange
from contract.stage import Stage
from contract.values import deviations

Json = dict[str, Any]
ACTIONS = f"/api/v1/project/{world.PROJECT}/actions"
RECORDED: list[Json] = exchange("12/received_webhook_requests").extra["received"]
# Rows that came before: their ids say how much had happened, not what.
COUNTED = ("id", "action_run_id")


@dataclass
class Receiver:
    """A server that keeps what is posted to it."""

    url: str = ""
    status: int = 200
    posts: list[Json] = field(default_factory=list)

    def wait(self, count: int, kind: str | None = None) -> list[Json]:
        """The posts of a kind once there are so many."""
        for _ in range(500):
            if len(self._of(kind)) >= count:
                break
            time.sleep(0.01)
        return self._of(kind)

    def settle(self, stage: Stage) -> list[Json]:
        """All posts, when nothing more is to be delivered."""
        for _ in range(500):
            if not stage.execute("SELECT 1 FROM action_run") and not stage.execute("SELECT 1 FROM event"):
                break
            time.sleep(0.01)
        time.sleep(0.1)  # the last one is on its way
        return self.posts

    def _of(self, kind: str | None) -> list[Json]:
        return [post for post in self.posts if kind is None or post["json"]["kind"] == kind]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.posts.append({"path": self.path, "headers": dict(self.headers), "json": json.loads(body)})
            self.send_response(kept.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        kept.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield kept
        server.shutdown()


@pytest.fixture
def person(stage: Stage) -> Iterator[Callable[..., Json]]:
    """Send a request from a browser session and expect 200."""
    with requests.Session() as session:
        stage.reset()
        stage.log_in(session)

        def calling(method: str, path: str, body: Json) -> Json:
            response = session.request(method, stage.url + path, json=body, timeout=20)
            assert response.status_code == 200, response.text
            reply: Json = response.json()
            return reply

        yield calling


@pytest.fixture
def hooked(stage: Stage, receiver: Receiver, person: Callable[..., Json]) -> None:
    """A sandbox in the state of the recordings, whose four recorded actions are set up anew, as recorded."""
    stage.travel(exchange("12/workflow_new_ui"))
    person("POST", f"{ACTIONS}/workflow/new", {"name": "notify"})
    for kind in ("input_file_uploaded", "task_completed", "task_created", "task_template_completed"):
        for name in (f"action_new_{kind}", f"action_update_config_{kind}"):
            sent = exchange(f"12/{name}").request
            body = {**sent["json"]}
            if "config_data" in body:
                body["config_data"] = {"url": f"{receiver.url}/{kind}", "token": "tok-1"}
            person(sent["method"], sent["path"], body)
    sent = exchange("12/workflow_activate_no_time_window").request
    person(sent["method"], sent["path"], sent["json"])


def told(post: Json) -> Json:
    """A post without what differs from run to run."""
    body = {**post["json"], **dict.fromkeys(COUNTED, 0)}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", body["time_created"])
    body["time_created"] = "<day>"
    return {"path": post["path"], "content": post["headers"]["Content-Type"], "json": body}


def recorded(kind: str) -> list[Json]:
    return [told(post) for post in RECORDED if post["json"]["kind"] == kind]


@pytest.mark.usefixtures("hooked")
def test_a_completed_task_is_told_twice_once_without_its_job(
    person: Callable[..., Json], receiver: Receiver, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.execute("UPDATE task SET status = 'available' WHERE id = 3")
    stage.execute("UPDATE job SET output_dir_action = 'nothing' WHERE id = 1")
    person("POST", "/api/v1/task/3/complete", {})
    posts = receiver.wait(2)
    assert deviations([told(post) for post in posts], recorded("task_completed")) == []
    assert posts[0]["json"]["id"] < posts[1]["json"]["id"]
    person("POST", "/api/v1/task/3/complete", {})
    assert len(receiver.settle(stage)) == 2
    assert "Webhook" not in caplog.text


@pytest.mark.usefixtures("hooked")
def test_the_task_of_an_added_file_is_told_twice(receiver: Receiver, stage: Stage) -> None:
    stage.execute("DELETE FROM task WHERE id > 11")
    stage.post("/api/v1/job/1/add-files", {"file_id_list": [11]})
    posts = receiver.wait(2, "task_created")
    assert deviations([told(post) for post in posts], recorded("task_created")) == []


@pytest.mark.usefixtures("hooked")
def test_the_last_task_completes_the_job(person: Callable[..., Json], receiver: Receiver, stage: Stage) -> None:
    stage.execute("UPDATE task SET status = 'complete' WHERE job_id = 1 AND id != 3")
    stage.execute("UPDATE task SET status = 'available' WHERE id = 3")
    person("POST", "/api/v1/task/3/complete", {})
    posts = receiver.wait(1, "task_template_completed")
    assert deviations([told(post) for post in posts], recorded("task_template_completed")) == []
    # The copy in the output dataset is announced as well, although the trigger names another dataset (recorded).
    copies = receiver.wait(1, "input_file_uploaded")
    assert [post["json"]["directory_id"] for post in copies] == [5]


@pytest.mark.usefixtures("hooked")
def test_files_are_told_even_of_imports_that_failed_on_instances_and_downloads_that_failed_are_not(
    receiver: Receiver, stage: Stage
) -> None:
    packet = f"/api/walrus/v1/project/{world.PROJECT}/input/packet"
    bad = {"type": "box", "label_file_id": 999, "x_min": 1, "y_min": 1, "x_max": 9, "y_max": 9}
    before = stage.newest_import()
    for number, (path, more) in enumerate(
        [("/404/gone.jpg", {}), ("/img/w1.jpg", {"instance_list": [bad]}), ("/img/w2.jpg", {})]
    ):
        body = {"media": {"url": stage.images + path, "type": "image"}, "directory_id": 2, **more}
        stage.post(packet, {**body, "original_filename": f"hook-{number}.jpg"})
        assert stage.outcome(before + number) is not None
    posts = receiver.settle(stage)
    rows = stage.execute("SELECT * FROM input WHERE id > ? ORDER BY id", before)
    assert [row["status"] for row in rows] == ["failed", "failed", "success"]
    assert [post["json"]["input_id"] for post in posts] == [row["id"] for row in rows[1:]]
    assert [post["json"]["file_id"] for post in posts] == [row["file_id"] for row in rows[1:]]
    ids = {"input_id": 0, "file_id": 0}
    wanted = recorded("input_file_uploaded")[0]
    got = told(posts[0])
    assert deviations(got | {"json": got["json"] | ids}, wanted | {"json": wanted["json"] | ids}) == []


@pytest.mark.usefixtures("hooked")
def test_a_receiver_that_refuses_is_not_asked_again(
    person: Callable[..., Json], receiver: Receiver, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 503
    stage.execute("UPDATE task SET status = 'available' WHERE id = 3")
    stage.execute("UPDATE job SET output_dir_action = 'nothing' WHERE id = 1")
    person("POST", "/api/v1/task/3/complete", {})
    assert len(receiver.settle(stage)) == 2
    assert stage.execute("SELECT count(*) AS n FROM action_run")[0]["n"] == 0
    assert caplog.messages == ["Webhook of action 2: answered 503; there is no retry."] * 2


@pytest.mark.usefixtures("hooked")
def test_only_http_targets_are_tried_and_a_dead_one_holds_nobody_up(
    person: Callable[..., Json], receiver: Receiver, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    for action, url in ((1, "file:///etc/hostname"), (3, "http://127.0.0.1:9/")):
        stage.execute("UPDATE action SET content = json_set(content, '$.config_data.url', ?) WHERE id = ?", url, action)
        stage.execute(
            "UPDATE action SET content = json_set(content, '$.trigger_data.event_name', 'task_completed') WHERE id = ?",
            action,
        )
    stage.execute("UPDATE task SET status = 'available' WHERE id = 3")
    stage.execute("UPDATE job SET output_dir_action = 'nothing' WHERE id = 1")
    person("POST", "/api/v1/task/3/complete", {})
    assert [post["json"]["action_id"] for post in receiver.settle(stage)] == [2, 2]
    assert sorted(caplog.messages) == [
        *["Webhook of action 1: its URL is not http(s); nothing was sent."] * 2,
        *["Webhook of action 3: ConnectionError; there is no retry."] * 2,
    ]


@pytest.mark.usefixtures("hooked")
def test_an_inactive_workflow_tells_nothing(person: Callable[..., Json], receiver: Receiver, stage: Stage) -> None:
    body = {"workflow_id": 1, "name": "notify", "mode": "UPDATE", "active": False}
    person("PUT", f"{ACTIONS}/workflow/update", body)
    stage.execute("UPDATE task SET status = 'available' WHERE id = 3")
    person("POST", "/api/v1/task/3/complete", {})
    assert receiver.settle(stage) == []
