"""Batches: pre-labels by label name and metadata, for uploads in pieces."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient, Prelabel, shapes
from diffgram_flows.errors import InvalidRequest

Server = Any  # servers.scripted.ScriptedServer
ROW = {
    "directory_id": None,
    "download_status_pre_labeled_data": None,
    "id": 4,
    "status": "pending",
    "time_created": "Sun, 22 Nov 2026 06:49:52 GMT",
}
BOX = shapes.box("car", 1, 2, 50, 60)


def test_an_entry_has_both_keys_that_the_server_needs(server: Server, client: DiffgramClient) -> None:
    server.answer({"input_batch": ROW})
    known = {
        "bt_1.jpg": Prelabel([BOX], {"camera": "left"}),
        "bt_2.jpg": Prelabel(),
        "bt_3.mp4": Prelabel(frames={6: [BOX]}),
    }
    assert client.new_batch(2, known).id == 4
    assert server.last.path == "/api/v1/project/contract-project/input-batch/new"
    assert server.last.json == {
        "pre_labeled_data": {
            "bt_1.jpg": {"instance_list": [BOX], "frame_packet_map": None, "file_metadata": {"camera": "left"}},
            "bt_2.jpg": {"instance_list": [], "frame_packet_map": None},
            "bt_3.mp4": {"instance_list": [], "frame_packet_map": {"6": [BOX | {"frame_number": 6}]}},
        }
    }


def test_a_large_batch_is_made_empty_and_filled_by_a_file(server: Server, client: DiffgramClient) -> None:
    server.answer({"input_batch": ROW}).answer(
        {"input_batch": "http://storage.local/diffgram-static/tmp?X-Amz-Signature=5"}
    )
    server.answer({"input_batch": ROW | {"download_status_pre_labeled_data": "success"}})
    batch = client.new_batch(2)
    assert server.last.json == {}
    assert batch.data_status == ""
    client.append_to_batch(batch.id, {"bta_1.jpg": Prelabel([BOX])})
    name, content = server.last.parts["file"]
    assert name == "blob"
    assert json.loads(content) == {"bta_1.jpg": {"instance_list": [BOX], "frame_packet_map": None}}
    assert server.last.headers["Content-Range"] == f"bytes 0-{len(content) - 1}/{len(content)}"
    assert (server.last.headers["Content-Range-Index"], server.last.headers["Content-Range-Total-Chunks"]) == ("0", "1")
    assert client.batch(batch.id).data_status == "success"


@pytest.mark.parametrize(
    ("name", "prelabel", "words"),
    [
        pytest.param("a b.jpg", Prelabel(), r"'a b\.jpg'.*'a_b\.jpg'", id="name that the upload changes"),
        pytest.param("größe.jpg", Prelabel(), "does not suit", id="name of unknown fate"),
        pytest.param("a.jpg", Prelabel([shapes.tag(4)]), r"'a\.jpg'.*Instance 0: name", id="label by id"),
        pytest.param("a.jpg", Prelabel([BOX | {"x_min": 0.5}]), r"'a\.jpg'.*Instance 0: x_min", id="fraction"),
        pytest.param("a.mp4", Prelabel(frames={3: [shapes.tag(4)]}), r"'a\.mp4', frame 3.*Instance 0", id="frame"),
        pytest.param("a.mp4", Prelabel(frames={-1: [BOX]}), "frame that is no number", id="frame -1"),
        pytest.param("a.jpg", Prelabel(metadata={"a": float("nan")}), "metadata.*no JSON", id="NaN"),
        pytest.param("a.jpg", Prelabel(metadata={"a": "x" * (48 * 2**20)}), "48 MiB", id="too large"),
    ],
)
@pytest.mark.parametrize("appended", [False, True], ids=["new", "append"])
def test_what_would_fail_every_upload_is_refused(
    server: Server, client: DiffgramClient, name: str, prelabel: Prelabel, words: str, appended: bool
) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        client.append_to_batch(6, {name: prelabel}) if appended else client.new_batch(2, {name: prelabel})
    assert caught.value.cure
    assert server.sent == []


def test_nothing_cannot_be_appended(server: Server, client: DiffgramClient) -> None:
    with pytest.raises(InvalidRequest, match="batch 6"):
        client.append_to_batch(6, {})
    assert server.sent == []
