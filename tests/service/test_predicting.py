"""What ``/v1`` answers."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import requests
from servers.brain_service import serving
from service.conftest import Client

from diffgram_flows.brains import Brain, BrainRecord, Registry
from diffgram_flows.models import Annotation, Picture, Prediction, Snapshot
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.service import ServiceSettings


def local(record: BrainRecord, content: bytes, threshold: float | None = None) -> Prediction:
    (seen,) = Brain.load(record).predict([Picture("x", content)], score_threshold=threshold)
    return seen


def as_told(seen: Prediction) -> list[float]:
    """All numbers of the boxes, one after the other."""
    boxes = [Annotation.of_box(box) for box in seen.boxes]
    return [number for one in boxes for number in (one.label_file_id, *chain(*one.points), one.score or 0.0)]


def told(image: dict[str, Any]) -> list[float]:
    instances = image["instances"]
    return [number for one in instances for number in (one["label_file_id"], *chain(*one["points"]), one["score"])]


def test_what_the_service_sees_is_what_the_brain_sees(client: Client, learned: BrainRecord, picture: bytes) -> None:
    reply = client.predict(picture, headers={"Content-Type": "image/png"})
    assert reply.status_code == 200
    found = reply.json()
    assert (found["brain"], found["method"]) == ("detector@1", "object_detection")
    assert found["label_map_digest"] == learned.manifest.label_map.digest
    (image,) = found["images"]
    assert (image["width"], image["height"]) == (96, 96)
    assert told(image) == pytest.approx(as_told(local(learned, picture)), rel=1e-4)
    assert {one["label"] for one in image["instances"]} <= {"red", "blue"}
    assert image["instances"]
    least = client.predict(picture, brain="detector@1", params={"score_threshold": 0.01}).json()["images"][0]
    assert len(least["instances"]) == len(local(learned, picture, 0.01).boxes)
    assert len(least["instances"]) > len(image["instances"])


def test_a_form_with_several_images_tells_which_ones_are_bad(client: Client, picture: bytes) -> None:
    files = [("file", ("a.png", picture)), ("file", ("b.txt", b"no image")), ("file", ("c.png", picture))]
    reply = client.post("/v1/brains/detector/predict", files=files)
    assert reply.status_code == 200
    first, second, third = reply.json()["images"]
    assert told(first) == pytest.approx(told(third), rel=1e-4)  # to the bit only if they came into one batch
    assert first["instances"]
    assert (second["name"], second["instances"]) == ("b.txt", [])
    assert "b.txt is not an image" in second["error"]


def test_a_file_of_diffgram_is_fetched_with_the_callers_credential(
    client: Client, sandbox: SandboxProcess, picture: bytes, learned: BrainRecord, tmp_path: Path
) -> None:
    from diffgram_flows import Project

    path = tmp_path / "known.png"
    path.write_bytes(picture)
    keys = (sandbox.url, sandbox.project, *client.auth)
    with Project(*keys, workdir=tmp_path / "work", packets_per_second=0) as project:
        file = project.file.from_local(path)
    reply = client.post("/v1/brains/detector/predict", json={"file_id": file.id})
    assert reply.status_code == 200, reply.text
    assert told(reply.json()["images"][0]) == pytest.approx(as_told(local(learned, picture)), rel=1e-4)
    unknown = client.post("/v1/brains/detector/predict", json={"file_id": 999_999})
    assert unknown.status_code == 404
    assert sandbox.client_secret not in unknown.text


def test_concurrent_requests_go_through_the_network_together(
    client: Client, snapshot: Snapshot, learned: BrainRecord
) -> None:
    contents = [sample.path.read_bytes() for sample in snapshot.samples]
    wanted = [as_told(local(learned, content)) for content in contents]
    with ThreadPoolExecutor(24) as threads:
        replies = list(threads.map(client.predict, contents * 8))
    for reply, expected in zip(replies, wanted * 8, strict=True):
        assert told(reply.json()["images"][0]) == pytest.approx(expected, rel=1e-4)
    text = requests.get(f"{client.url}/metrics", timeout=10).text
    rows = {row.rpartition(" ")[0]: float(row.rpartition(" ")[2]) for row in text.splitlines() if row[0] != "#"}
    batches = rows['brain_batch_images_count{brain="detector"}']
    images = rows['brain_batch_images_sum{brain="detector"}']
    assert images >= len(replies)
    assert images > 1.5 * batches
    assert rows['brain_requests_total{route="/v1/brains/{name}/predict",status="200"}'] >= len(replies)


def test_brains_health_and_openapi(client: Client) -> None:
    assert client.get("/v1/brains").json() == [
        {"name": "detector", "champion": "detector@1", "serving": "detector@1", "problem": ""}
    ]
    details = client.get("/v1/brains/detector").json()
    assert details["labels"] == {"70": "red", "40": "blue"}
    assert details["image_size"] == 64
    assert client.get("/v1/brains/detector/status").json()["state"] == "ready"
    for path in ("/healthz", "/readyz", "/docs"):
        assert requests.get(client.url + path, timeout=10).status_code == 200
    schema = requests.get(f"{client.url}/openapi.json", timeout=10).json()
    body = schema["paths"]["/v1/brains/{name}/predict"]["post"]["requestBody"]["content"]
    assert set(body) == {"image/*", "multipart/form-data", "application/json"}
    assert "/api/walrus/v1/project/{project}/inference/from_url" in schema["paths"]


@pytest.mark.parametrize(
    ("brain", "status", "said"),
    [
        pytest.param("nobody", 404, "There is detector", id="brain"),
        pytest.param("detector@9", 404, "detector@9", id="version"),
        pytest.param("detector@x", 404, "not of the form", id="malformed"),
    ],
)
def test_unknown_brains(client: Client, picture: bytes, brain: str, status: int, said: str) -> None:
    reply = client.predict(picture, brain=brain)
    assert reply.status_code == status
    assert said in reply.text


def test_who_comes_when_all_places_are_taken_is_asked_to_come_again(
    registry: Registry, open_settings: Callable[..., ServiceSettings], sandbox: SandboxProcess, picture: bytes
) -> None:
    with serving(registry, open_settings(queue_size=1, request_timeout=5)) as url:
        client = Client(url, (sandbox.client_id, sandbox.client_secret))
        assert client.predict(picture).status_code == 200
        halfway, goes_on = threading.Event(), threading.Event()

        def slow() -> Iterator[bytes]:
            yield picture[:10]
            halfway.set()
            goes_on.wait(10)
            yield picture[10:]

        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(client.predict, slow())
            assert halfway.wait(10)
            ends = [client.predict(picture) for _ in range(20)]
            goes_on.set()
            assert first.result().status_code == 200
    refused = [reply for reply in ends if reply.status_code == 503]
    assert refused
    assert refused[-1].headers["Retry-After"] == "1"
    assert refused[-1].json()["error"]["kind"] == "Overloaded"


def test_an_upload_that_does_not_end_is_ended(
    registry: Registry, open_settings: Callable[..., ServiceSettings], sandbox: SandboxProcess
) -> None:
    with serving(registry, open_settings(request_timeout=0.5)) as url:
        client = Client(url, (sandbox.client_id, sandbox.client_secret))
        goes_on = threading.Event()

        def stuck() -> Iterator[bytes]:
            yield b"x"
            goes_on.wait(5)

        with ThreadPoolExecutor(1) as threads:
            reply = threads.submit(client.predict, stuck())
            goes_on.wait(1.0)
            goes_on.set()
            assert reply.result().status_code == 504


def test_who_hangs_up_is_not_looked_at(
    registry: Registry, open_settings: Callable[..., ServiceSettings], picture: bytes
) -> None:
    with serving(registry, open_settings(batch_wait=0.6)) as url:
        port = int(url.rpartition(":")[2])
        head = "POST /v1/brains/detector/predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a token for tests\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(f"{head}Content-Length: {len(picture)}\r\n\r\n".encode() + picture)
            waiting = "brain_requests_waiting 1.0"
            ends_at = time.monotonic() + 10
            while waiting not in requests.get(f"{url}/metrics", timeout=10).text:
                assert time.monotonic() < ends_at
        while waiting in (text := requests.get(f"{url}/metrics", timeout=10).text):
            assert time.monotonic() < ends_at
        time.sleep(0.7)  # the batch would have begun by now
        text = requests.get(f"{url}/metrics", timeout=10).text
    assert 'brain_requests_total{route="/v1/brains/{name}/predict",status="499"} 1.0' in text
    assert 'brain_batch_images_count{brain="detector"} 0.0' in text
