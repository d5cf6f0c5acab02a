"""Uploads in chunks: put together over a restart, with the labels of a batch, and what ends them."""

from __future__ import annotations

import io
import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from diffgram_flows.sandbox import SandboxProcess

Json = dict[str, Any]
Call = Callable[..., requests.Response]
Rows = Callable[..., list[Json]]
UPLOAD = "/api/walrus/project/{p}/upload/large"
BATCH = "/api/v1/project/{p}/input-batch"
LABEL = "/api/v1/project/{p}/label/new"
MIB = 1 << 20


def picture(size: int = 0) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), 7).save(stream, "PNG")
    return stream.getvalue().ljust(size, b"\0")


def form_of(data: bytes, index: int, chunk_size: int, upload: str, **more: Any) -> Json:
    return {
        "dzuuid": upload,
        "dzchunkindex": index,
        "dztotalfilesize": len(data),
        "dzchunksize": chunk_size,
        "dztotalchunkcount": max(1, -(-len(data) // chunk_size)),
        "dzchunkbyteoffset": index * chunk_size,
        "source": "from_resumable",
        **more,
    }


def send(call: Call, name: str, data: bytes, chunk_size: int, **more: Any) -> list[requests.Response]:
    upload, replies = str(uuid.uuid4()), []
    for index in range(max(1, -(-len(data) // chunk_size))):
        part = data[index * chunk_size : (index + 1) * chunk_size]
        form = form_of(data, index, chunk_size, upload, **more)
        replies.append(call(UPLOAD, data=form, files={"file": (name, part)}))
    return replies


def test_a_file_in_chunks_survives_a_restart(folder: Path) -> None:
    data, upload = picture(6 * MIB + 17), str(uuid.uuid4())

    def sending(server: SandboxProcess, index: int) -> requests.Response:
        return requests.post(
            server.url + UPLOAD.replace("{p}", server.project),
            data=form_of(data, index, 5 * MIB, upload, directory_id=1),
            files={"file": ("big one (2).png", data[index * 5 * MIB : (index + 1) * 5 * MIB])},
            auth=(server.client_id, server.client_secret),
            timeout=30,
        )

    server = SandboxProcess(folder, rate_limits=False)
    server.start()
    assert sending(server, 0).json() == {"success": True}
    server.kill()
    with server:
        assert sending(server, 1).json() == {"success": True}
        assert sending(server, 1).status_code == 500  # the upload is over
        credentials, url = (server.client_id, server.client_secret), f"{server.url}/api/project/{server.project}"
        for _ in range(200):
            body = {"metadata": {"file_view_mode": "annotation", "directory_id": 1}}
            found = requests.post(f"{url}/user/sdk/file/list", json=body, auth=credentials, timeout=30).json()
            if found["file_list"]:
                break
            time.sleep(0.02)
        (file,) = found["file_list"]
        assert (file["original_filename"], file["image"]["width"]) == ("big_one_2.png", 64)
        assert requests.get(file["image"]["url_signed"], timeout=30).content == data
    assert list((folder / "media" / "incoming").iterdir()) == list((folder / "media" / "chunks").iterdir()) == []


def test_chunks_that_are_too_small_end_with_an_import_that_waits_for_ever(call: Call, rows: Rows, dataset: int) -> None:
    replies = send(call, "small.png", picture(9000), 4000, directory_id=dataset)
    assert [reply.status_code for reply in replies] == [200, 200, 500]
    assert replies[-1].json() == {"error": ""}
    listed = call("/api/walrus/v1/project/{p}/input/view/list", {"status_filter": "Init"}).json()["input_list"]
    (row,) = [each for each in listed if each["directory"]["id"] == dataset]
    assert (row["status"], row["source"], row["file_id"]) == ("init", "from_resumable", None)


def test_a_missing_chunk_ends_the_upload(call: Call, dataset: int) -> None:
    data, upload = picture(11 * MIB), str(uuid.uuid4())
    for index, status in ((0, 200), (2, 500)):
        form = form_of(data, index, 5 * MIB, upload, directory_id=dataset)
        part = data[index * 5 * MIB : (index + 1) * 5 * MIB]
        assert call(UPLOAD, data=form, files={"file": ("hole.png", part)}).status_code == status


@pytest.mark.parametrize("left_out", ["dzuuid", "dzchunkindex", "dztotalchunkcount", "dzchunkbyteoffset"])
def test_every_field_is_needed(call: Call, left_out: str) -> None:
    form = form_of(picture(), 0, MIB, "some id")
    del form[left_out]
    reply = call(UPLOAD, data=form, files={"file": ("x.png", picture())})
    assert (reply.status_code, reply.json()) == (500, {"error": f"'Upload' object has no attribute '{left_out}'"})


def test_unknown_datasets_and_jobs_break_the_status_line(call: Call) -> None:
    for wrong in ({"directory_id": 99_999}, {"directory_id": "abc"}, {"job_id": 99_999}):
        with pytest.raises(requests.ConnectionError, match="BadStatusLine"):
            send(call, "x.png", picture(), MIB, **wrong)


@pytest.mark.parametrize(
    ("data", "text"), [(b"junk", "Could not open file"), (picture(), "Already Exists in Dir")], ids=["junk", "twin"]
)
def test_what_is_wrong_with_the_file_is_in_the_row(
    call: Call, rows: Rows, dataset: int, data: bytes, text: str
) -> None:
    send(call, "twin.png", picture(), MIB, directory_id=dataset)
    rows(dataset)
    send(call, "twin.png" if data != b"junk" else "junk.png", data, MIB, directory_id=dataset)
    row = rows(dataset, at_least=2)[0]
    assert (row["status"], row["file_id"], row["percent_complete"]) == ("failed", None, 0.0)
    assert text in row["status_text"]


def appended(call: Call, content: bytes, pieces: int) -> Json:
    batch = call(f"{BATCH}/new").json()["input_batch"]
    assert (batch["status"], batch["download_status_pre_labeled_data"]) == ("pending", None)
    step = -(-len(content) // pieces)
    for index in range(pieces):
        part = content[index * step : (index + 1) * step]
        headers = {"Content-Range-Index": str(index), "Content-Range-Total-Chunks": str(pieces)}
        reply = call(f"{BATCH}/{batch['id']}/append-data", headers=headers, files={"file": ("blob", part)})
        assert isinstance(reply.json()["input_batch"], str)
    for _ in range(200):
        found: Json = call(f"{BATCH}/{batch['id']}").json()["input_batch"]
        if found["download_status_pre_labeled_data"]:
            break
        time.sleep(0.02)
    return found


def of_batch(name: str) -> tuple[Json, Json]:
    drawn = {"type": "box", "name": "car", "x_min": 1, "y_min": 2, "x_max": 30, "y_max": 40}
    return drawn, {name: {"instance_list": [drawn], "frame_packet_map": None, "file_metadata": {"camera": "left"}}}


@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_pre_labels_of_a_batch_arrive_on_the_file(
    call: Call, rows: Rows, labels: Json, stored: Callable[[int], list[Json]], dataset: int, pieces: int
) -> None:
    drawn, content = of_batch("with labels.png")
    if pieces:
        batch = appended(call, json.dumps(content).encode(), pieces)
        assert batch["download_status_pre_labeled_data"] == "success"
    else:
        batch = call(f"{BATCH}/new", {"pre_labeled_data": content}).json()["input_batch"]
    for name in ("with labels.png", "without.png"):
        send(call, name, picture(), MIB, directory_id=dataset, input_batch_id=batch["id"])
    without, with_labels = rows(dataset, at_least=2)
    assert (with_labels["status"], with_labels["batch_id"]) == ("success", batch["id"])
    (box,) = stored(with_labels["file_id"])
    assert (box["label_file"]["label"]["name"], box["x_min"], box["y_max"]) == ("car", drawn["x_min"], drawn["y_max"])
    assert stored(without["file_id"]) == []


def test_metadata_of_a_batch_are_kept_with_the_file(folder: Path) -> None:
    """No recorded reply shows them, so that only the sandbox's own database can tell."""
    _, content = of_batch("meta.png")
    with SandboxProcess(folder, rate_limits=False) as server, requests.Session() as session:
        session.auth = (server.client_id, server.client_secret)
        call = partial(_call, session, server)
        call(LABEL, json={"name": "car"})
        batch = call(f"{BATCH}/new", json={"pre_labeled_data": content}).json()["input_batch"]
        send(call, "meta.png", picture(), MIB, input_batch_id=batch["id"])
    with closing(sqlite3.connect(folder / "sandbox.sqlite")) as cx:
        assert cx.execute("SELECT original_filename, file_metadata FROM file WHERE type = 'image'").fetchall() == [
            ("meta.png", '{"camera": "left"}')
        ]


def _call(session: requests.Session, server: SandboxProcess, path: str, **options: Any) -> requests.Response:
    return session.post(server.url + path.replace("{p}", server.project), timeout=30, **options)


def test_a_batch_that_cannot_be_read_says_so(call: Call) -> None:
    batch = appended(call, b'{"a.png": ', 1)
    assert batch["download_status_pre_labeled_data"] == "failed"
    assert batch["download_log_pre_labeled_data"]["error"]


def test_an_unknown_batch_crashes_what_looks_for_it(call: Call) -> None:
    crash = (500, {"error": "'NoneType' object has no attribute 'project_id'"})
    headers = {"Content-Range-Index": "0", "Content-Range-Total-Chunks": "1"}
    piece = call(f"{BATCH}/99999/append-data", headers=headers, files={"file": ("blob", b"{}")})
    (upload,) = send(call, "x.png", picture(), MIB, input_batch_id=99_999)
    for reply in (call(f"{BATCH}/99999"), piece, upload):
        assert (reply.status_code, reply.json()) == crash


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        ({"instance_list": [{"type": "box", "name": "unicorn"}], "frame_packet_map": None}, "list index out of range"),
        ({"instance_list": []}, "'frame_packet_map'"),
        ({"frame_packet_map": None}, "'instance_list'"),
    ],
    ids=["label", "packet map", "instances"],
)
def test_entries_that_crash_the_upload(call: Call, dataset: int, entry: Json, error: str) -> None:
    batch = call(f"{BATCH}/new", {"pre_labeled_data": {"x.png": entry}}).json()["input_batch"]
    (reply,) = send(call, "x.png", picture(), MIB, directory_id=dataset, input_batch_id=batch["id"])
    assert (reply.status_code, reply.json()) == (500, {"error": error})
