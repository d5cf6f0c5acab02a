"""What goes into a packet, and what must not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from diffgram_flows.diffgram import MAX_NAME, MachineMark, Packet, instance_from_box
from diffgram_flows.errors import InvalidRequest
from diffgram_flows.models import Box

BOX = Box(label_file_id=4, x_min=10, y_min=20, x_max=110, y_max=120, score=0.91)
INSTANCE = {"type": "box", "label_file_id": 4, "x_min": 10, "y_min": 20, "x_max": 110, "y_max": 120}


def test_a_box_of_a_person_carries_no_score() -> None:
    assert instance_from_box(BOX) == INSTANCE


def test_a_box_of_a_machine_says_which_run_and_how_sure() -> None:
    mark = MachineMark(model_ref="detector-a", model_run_ref="run-2")
    assert instance_from_box(BOX, machine=mark) == INSTANCE | {
        "machine_made": True,
        "model_ref": "detector-a",
        "model_run_ref": "run-2",
        "score": 0.91,
    }


@pytest.mark.parametrize(
    "corners", [(10, 20, 10, 120), (10, 120, 110, 20), (100, 100, 20, 20)], ids=["empty", "upside down", "inverted"]
)
def test_a_box_without_area_is_refused(corners: tuple[int, int, int, int]) -> None:
    with pytest.raises(InvalidRequest, match="no area"):
        instance_from_box(Box(4, *corners))


def test_a_new_file_is_one_packet() -> None:
    packet = Packet(2, url="http://images.local/img/a8.jpg?x=1", file_name="größe 8.jpg", job_id=1)
    assert packet.body() == {
        "directory_id": 2,
        "media": {"url": "http://images.local/img/a8.jpg?x=1", "type": "image"},
        "original_filename": "größe 8.jpg",
        "job_id": 1,
    }


def test_more_instances_for_a_file() -> None:
    packet = Packet(2, file_id=8, mode="update", instances=[INSTANCE])
    assert json.loads(json.dumps(packet.body())) == {
        "directory_id": 2,
        "file_id": 8,
        "mode": "update",
        "instance_list": [INSTANCE],
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"file_id": 8, "mode": "update_with_existing", "instances": [INSTANCE]}, "erases", id="replacing"),
        pytest.param({}, "either a URL or a file id", id="nothing"),
        pytest.param({"url": "http://a/b.jpg", "file_id": 8, "mode": "update"}, "either", id="both"),
        pytest.param({"file_id": 8, "instances": [INSTANCE]}, "without a mode", id="file id without mode"),
        pytest.param({"url": "http://a/b.jpg", "mode": "update"}, "without a file id", id="mode without file id"),
        pytest.param({"file_id": 8, "mode": "update"}, "adds nothing", id="no instances"),
        pytest.param({"url": "http://a/b.jpg", "file_name": "L" * (MAX_NAME + 1)}, "characters", id="long name"),
    ],
)
def test_a_packet_that_would_do_harm_cannot_be_made(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        Packet(2, **fields)
    assert words in str(caught.value)
    assert caught.value.status == 0


def body(**fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(Packet(2, **fields).body()))
    return made


def test_more_instances_for_a_file_by_its_name() -> None:
    """Recorded as 10/update_by_file_name: the name is ``file_name`` here, and not ``original_filename``."""
    assert body(file_name="a6.jpg", mode="update", instances=[INSTANCE]) == {
        "directory_id": 2,
        "file_name": "a6.jpg",
        "mode": "update",
        "instance_list": [INSTANCE],
    }


def test_a_text_as_the_official_sdk_sends_it() -> None:
    assert body(text="Hello", file_name="a.txt", parent_file_id=7, ordinal=0) == {
        "directory_id": 2,
        "media": {"url": None, "type": "text"},
        "type": "from_text_data",
        "text_data": "Hello",
        "original_filename": "a.txt",
        "parent_file_id": 7,
        "ordinal": 0,
    }


def test_a_blob_of_a_connection_as_the_official_sdk_sends_it() -> None:
    assert body(blob_path="2026/b 1.jpg", bucket_name="photos", connection_id=3) == {
        "directory_id": 2,
        "media": {"url": None, "type": "image"},
        "type": "from_blob_path",
        "raw_data_blob_path": "2026/b 1.jpg",
        "bucket_name": "photos",
        "connection_id": 3,
        "original_filename": "b 1.jpg",
    }


def test_a_video_as_the_official_sdk_sends_it() -> None:
    made = body(url="http://a/v.mp4", media_type="video", frames={0: [INSTANCE], 6: []}, video_split_duration=60)
    assert made == {
        "directory_id": 2,
        "media": {"url": "http://a/v.mp4", "type": "video"},
        "frame_packet_map": {"0": [INSTANCE | {"frame_number": 0}], "6": []},
        "video_split_duration": 60,
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        pytest.param({"url": "http://a/b.jpg", "directory_id": "2"}, "directory_id '2'", id="text for an id"),
        pytest.param({"url": "http://a/b.jpg", "directory_id": True}, "directory_id True", id="bool for an id"),
        pytest.param({"url": "http://a/b.jpg", "directory_id": None}, "directory_id None", id="no dataset"),
        pytest.param({"url": "http://a/b.jpg", "job_id": 0}, "job_id 0", id="job 0"),
        pytest.param({"url": "http://a/b.jpg", "ordinal": -1}, "ordinal", id="ordinal"),
        pytest.param({"url": "s3://a/b.jpg"}, "begin with http", id="S3"),
        pytest.param({"url": "http://a/b"}, "no extension", id="no extension"),
        pytest.param({"url": "http://a/" + "L" * MAX_NAME + ".jpg"}, "characters", id="long name in the URL"),
        pytest.param({"url": "http://a/b.jpg", "media_type": "picture"}, "media type 'picture'", id="media type"),
        pytest.param({"url": "http://a/b.jpg", "frames": {0: [INSTANCE]}}, "no video", id="frames of an image"),
        pytest.param(
            {"url": "http://a/b.mp4", "media_type": "video", "frames": {"0": [INSTANCE]}}, "no number", id="text frame"
        ),
        pytest.param(
            {"url": "http://a/b.mp4", "media_type": "video", "frames": {-1: [INSTANCE]}}, "no number", id="frame -1"
        ),
        pytest.param(
            {"url": "http://a/b.mp4", "media_type": "video", "frames": {3: [INSTANCE, {}]}},
            "frame 3: Instance 1: type",
            id="wrong instance in a frame",
        ),
        pytest.param({"text": "a", "url": "http://a/b.txt", "file_name": "b.txt"}, "one only", id="text and URL"),
        pytest.param({"text": "a"}, "without a file name", id="nameless text"),
        pytest.param({"blob_path": "a/b.jpg"}, "without the others", id="blob without a bucket"),
        pytest.param({"url": "http://a/b.jpg", "connection_id": 3, "bucket_name": "c"}, "without", id="no blob"),
        pytest.param({"mode": "update", "instances": [INSTANCE]}, "without a file id", id="update of nothing"),
        pytest.param({"url": "http://a/b.jpg", "instances": [None]}, "Instance 0", id="null instance"),
    ],
)
def test_what_the_server_would_fail_on_cannot_be_made(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        Packet(**({"directory_id": 2} | fields))
    assert caught.value.cure
    assert "\n" not in str(caught.value)


def test_the_text_of_a_packet_is_not_shown() -> None:
    assert "secret plans" not in repr(Packet(2, text="secret plans", file_name="a.txt"))
