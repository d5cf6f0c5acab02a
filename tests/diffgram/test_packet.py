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
