"""What is drawn, in the server's form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diffgram_flows.diffgram import MachineMark, shapes


def test_a_box_is_whole_pixels() -> None:
    right: Any = np.float32(110)
    bottom: Any = np.int64(120)
    assert shapes.box(4, 10.4, 20.6, right, bottom) == {
        "type": "box",
        "label_file_id": 4,
        "x_min": 10,
        "y_min": 21,
        "x_max": 110,
        "y_max": 120,
    }


def test_a_label_may_be_a_name_until_it_is_resolved() -> None:
    assert shapes.tag("car") == {"type": "tag", "name": "car"}


def test_kinds_with_points() -> None:
    places = [{"x": 10, "y": 10}, {"x": 100, "y": 12}, {"x": 60, "y": 90}]
    corners = [(10, 10), (100, 12.2), (59.9, 90)]
    assert shapes.polygon(2, corners) == {"type": "polygon", "label_file_id": 2, "points": places}
    assert shapes.line(2, corners) == {"type": "line", "label_file_id": 2, "points": places}
    assert shapes.point(2, 10, 10) == {"type": "point", "label_file_id": 2, "points": places[:1]}


def test_an_ellipse() -> None:
    made = shapes.ellipse(2, 50.2, 40, 30, 20.9, angle=0.5)
    assert made == {
        "type": "ellipse",
        "label_file_id": 2,
        "center_x": 50,
        "center_y": 40,
        "width": 30,
        "height": 21,
        "angle": 0.5,
    }


def test_a_cuboid_has_the_corners_of_two_faces() -> None:
    made = shapes.cuboid(2, shapes.Face(10, 20, 60, 80), shapes.Face(30, 10, 70, 60))
    assert made["front_face"] == {
        "width": 50,
        "height": 60,
        "top_left": {"x": 10, "y": 20},
        "top_right": {"x": 60, "y": 20},
        "bot_left": {"x": 10, "y": 80},
        "bot_right": {"x": 60, "y": 80},
    }
    assert made["rear_face"]["bot_right"] == {"x": 70, "y": 60}


def test_what_is_said_about_an_instance_besides_its_place() -> None:
    made = shapes.tag(
        4,
        attributes={1: {"id": 2, "name": "partly"}, "2": "AB-123"},
        machine=MachineMark("detector-a", "run-2"),
        score=0.9,
        number=3,
    )
    assert made == {
        "type": "tag",
        "label_file_id": 4,
        "attribute_groups": {"1": {"id": 2, "name": "partly"}, "2": "AB-123"},
        "machine_made": True,
        "model_ref": "detector-a",
        "model_run_ref": "run-2",
        "score": 0.9,
        "number": 3,
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, None, "10"])
def test_what_is_no_pixel_is_left_for_the_check_to_name(value: object) -> None:
    assert shapes.whole(value) is value  # type: ignore[arg-type]
