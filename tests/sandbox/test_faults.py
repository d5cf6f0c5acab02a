"""The knobs that make a sandbox troublesome: each does what it says, and the same each time."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from diffgram_flows.sandbox import SandboxProcess

Json = dict[str, Any]
LABEL, VIEW = "/api/v1/project/{p}/label/new", "/api/project/{p}/view"
PACKET, INPUTS = "/api/walrus/v1/project/{p}/input/packet", "/api/walrus/v1/project/{p}/input/view/list"


class Caller:
    """Sends requests with a new connection each, and says how each of them ended."""

    def __init__(self, server: SandboxProcess) -> None:
        self._server = server
        self.url = server.url

    def send(self, path: str, body: object = None) -> requests.Response:
        url = self._server.url + path.replace("{p}", self._server.project)
        keys = (self._server.client_id, self._server.client_secret)
        return requests.request("GET" if body is None else "POST", url, json=body, auth=keys, timeout=30)

    def ending(self, path: str, body: object = None) -> str:
        try:
            return str(self.send(path, body).status_code)
        except requests.ConnectionError as error:
            # A reset that is faster than the sender breaks its pipe.
            return "reset" if re.search("Connection reset|Broken pipe", str(error)) else "closed"

    def queue(self, url: str, name: str) -> None:
        body = {"media": {"url": url, "type": "image"}, "directory_id": 1, "original_filename": name}
        assert self.send(PACKET, body).status_code == 200

    def statuses(self) -> dict[str, str]:
        rows = self.send(INPUTS, {"limit": 1000}).json()["input_list"]
        return {row["original_filename"]: row["status"] for row in rows}

    def retry(self) -> None:
        rows = self.send(INPUTS, {"limit": 1000, "status_filter": "Processing"}).json()["input_list"]
        body = {"id_list": [row["id"] for row in rows], "mode": "RETRY"}
        assert self.send("/api/walrus/v1/project/{p}/input/update", body).status_code == 200


@contextmanager
def troubled(folder: Path, **settings: Any) -> Iterator[Caller]:
    with SandboxProcess(folder, **{"rate_limits": False, **settings}) as server:
        yield Caller(server)


def until(check: Callable[[], bool]) -> bool:
    for _ in range(500):
        if check():
            return True
        time.sleep(0.02)
    return False


def labels(folder: Path) -> list[str]:
    """The labels that a server has after its troubles are over."""
    with troubled(folder) as calm:
        found = calm.send("/api/project/{p}/labels?schema_id=1").json()["labels_out"]
    return [each["label"]["name"] for each in found]


@pytest.mark.parametrize(
    ("kind", "ending", "made"),
    [
        ("lost_reply", "closed", ["car"]),
        ("reset", "reset", []),
        ("server_error", "500", []),
        ("bad_gateway", "502", []),
        ("rate_limit", "429", []),
        ("delay", "200", ["car"]),
    ],
)
def test_what_a_fault_does_to_a_request_and_to_its_sender(
    folder: Path, kind: str, ending: str, made: list[str]
) -> None:
    with troubled(folder, fault_rate=1.0, fault_kinds=kind, fault_delay=0.1) as caller:
        # A reset that breaks the sender's pipe can look like a reply that was lost, so one of a few must be seen.
        tries = 8 if kind == "reset" else 1
        endings = {caller.ending(LABEL, {"name": "car", "schema_id": 1}) for _ in range(tries)}
        assert ending in endings <= {ending, "closed" if kind == "reset" else ending}
        assert requests.get(f"{caller.url}/sandbox/health", timeout=30).status_code == 200
    assert labels(folder) == made
    log = (folder / "server.log").read_text()
    assert "Traceback" not in log
    assert "ASGI" not in log


def test_bad_replies_have_the_recorded_shapes(folder: Path) -> None:
    with troubled(folder, fault_rate=1.0, fault_kinds="server_error,bad_gateway,rate_limit") as caller:
        replies = {reply.status_code: reply for reply in (caller.send(PACKET, {}) for _ in range(30))}
    assert replies.keys() == {500, 502, 429}
    assert replies[500].json().keys() == {"error"}
    assert replies[502].text.startswith("<html>\r\n<head><title>502 Bad Gateway")
    assert replies[429].json() == {"error": "429 Too Many Requests: 20 per 1 second"}
    told = replies[429].headers
    assert (told["Retry-After"], told["X-RateLimit-Limit"], told["X-RateLimit-Remaining"]) == ("1", "20", "0")
    assert 0 <= time.time() - float(told["X-RateLimit-Reset"]) + 1 < 30


def test_a_large_body_meets_its_fault_as_a_small_one_does(folder: Path) -> None:
    with troubled(folder, fault_rate=1.0, fault_kinds="bad_gateway,lost_reply") as caller:
        endings = {caller.ending(LABEL, {"name": "x" * 5_000_000, "schema_id": 1}) for _ in range(10)}
    assert endings == {"502", "closed"}


def test_a_delay_lasts_as_long_as_it_says(folder: Path) -> None:
    with troubled(folder, fault_rate=1.0, fault_kinds="delay", fault_delay=0.4) as caller:
        begun = time.monotonic()
        assert caller.ending(VIEW) == "200"
        assert time.monotonic() - begun >= 0.4


def test_the_same_seed_makes_the_same_faults(tmp_path: Path) -> None:
    def endings(name: str, seed: int, *, noise: bool = False) -> list[str]:
        with troubled(tmp_path / name, fault_rate=0.4, fault_delay=0.0, seed=seed) as caller:
            found = []
            for number in range(30):
                if noise:  # other endpoints in between change nothing
                    caller.ending(INPUTS, {})
                found.append(caller.ending(f"/api/job/{number}/stat"))
            return found

    first = endings("first", 1)
    assert endings("second", 1, noise=True) == first
    assert endings("third", 2) != first
    assert 6 <= 30 - Counter(first)["403"] <= 18  # 403: there is no such job


def test_people_and_images_are_spared(folder: Path, images: str) -> None:
    with troubled(folder) as caller:
        caller.queue(f"{images}/img/a.jpg", "a.jpg")
        assert until(lambda: caller.statuses() == {"a.jpg": "success"})
        wanted = {"metadata": {"file_view_mode": "annotation", "directory_id": 1}}
        link = caller.send("/api/project/{p}/user/sdk/file/list", wanted).json()["file_list"][0]["image"]["url_signed"]
    with troubled(folder, fault_rate=1.0) as caller:
        for path in (f"{caller.url}/", link, f"{caller.url}/sandbox/health"):
            assert requests.get(path, timeout=30).status_code == 200


def test_a_dead_worker_leaves_its_import_and_is_replaced(folder: Path, images: str) -> None:
    names = {f"{number}.jpg" for number in range(12)}
    with troubled(folder, worker_death_rate=0.5, import_workers=1) as caller:
        for name in sorted(names):
            caller.queue(f"{images}/img/{name}", name)
        assert until(lambda: set(caller.statuses().values()) == {"processing", "success"})
        dead = {name for name, status in caller.statuses().items() if status == "processing"}
        assert 2 <= len(dead) <= 10
        for _ in range(20):  # each attempt has its own chance
            if set(caller.statuses().values()) == {"success"}:
                break
            caller.retry()
            assert until(lambda: set(caller.statuses().values()) <= {"processing", "success"})
        assert caller.statuses() == dict.fromkeys(names, "success")
    assert "Traceback" not in (folder / "server.log").read_text()


def test_the_same_seed_kills_the_same_workers(tmp_path: Path, images: str) -> None:
    def dead(name: str) -> list[str]:
        with troubled(tmp_path / name, worker_death_rate=0.4, seed=3) as caller:
            for number in range(8):
                caller.queue(f"{images}/img/{number}.jpg", f"{number}.jpg")
            assert until(lambda: set(caller.statuses().values()) == {"processing", "success"})
            time.sleep(0.1)
            return sorted(name for name, status in caller.statuses().items() if status == "processing")

    assert dead("one") == dead("two")


def test_images_come_slowly_in_both_directions(folder: Path, images: str) -> None:
    with troubled(folder, download_delay=0.5) as caller:
        begun = time.monotonic()
        caller.queue(f"{images}/img/a.jpg", "a.jpg")
        assert until(lambda: caller.statuses() == {"a.jpg": "success"})
        assert time.monotonic() - begun >= 0.5
        wanted = {"metadata": {"file_view_mode": "annotation", "directory_id": 1}}
        link = caller.send("/api/project/{p}/user/sdk/file/list", wanted).json()["file_list"][0]["image"]["url_signed"]
        begun = time.monotonic()
        with requests.get(link, stream=True, timeout=30) as response:
            head = time.monotonic() - begun
            assert len(response.content) > 500
        assert head < 0.4 <= time.monotonic() - begun


def test_workers_pause_as_on_a_busy_host(folder: Path, images: str) -> None:
    with troubled(folder, cpu_gate_every=3600.0, cpu_gate_pause=3000.0) as caller:
        caller.queue(f"{images}/img/a.jpg", "a.jpg")
        time.sleep(0.3)
        assert caller.statuses() == {"a.jpg": "init"}
    with troubled(folder, cpu_gate_every=3600.0, cpu_gate_pause=0.5) as caller:
        assert until(lambda: caller.statuses() == {"a.jpg": "success"})


def test_stopping_does_not_wait_for_slow_downloads(folder: Path, images: str) -> None:
    with troubled(folder, download_delay=60.0) as caller:
        caller.queue(f"{images}/img/a.jpg", "a.jpg")
        assert until(lambda: caller.statuses() == {"a.jpg": "processing"})
        time.sleep(0.1)
        begun = time.monotonic()
    assert time.monotonic() - begun < 10
    with troubled(folder) as caller:
        assert until(lambda: caller.statuses() == {"a.jpg": "success"})


def test_many_clients_at_once_meet_only_what_was_planned(folder: Path) -> None:
    made: list[str] = []

    def make(caller: Caller, number: int) -> None:
        made.extend(caller.ending(LABEL, {"name": f"{number} {each}", "schema_id": 1}) for each in range(10))

    with troubled(folder, fault_rate=0.3, fault_kinds="lost_reply,reset") as caller:
        threads = [threading.Thread(target=make, args=(caller, number)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Counter(made).keys() == {"200", "closed", "reset"}
    found = labels(folder)
    # A reset that breaks the sender's pipe can look like a reply that was lost: urllib3 reads on, and finds an end.
    assert Counter(made)["200"] <= len(found) <= Counter(made)["200"] + Counter(made)["closed"]
    assert len(set(found)) == len(found)
