from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows.datasets.instances import Drawing, fitted, read_instances
from diffgram_flows.models import Box


def corners(x_min: Any = 5, y_min: Any = 6, x_max: Any = 70, y_max: Any = 80, **more: Any) -> dict[str, Any]:
    instance = {"id": 1, "label_file_id": 4, "type": "box", "attribute_groups": None}
    return instance | {"x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max} | more


def test_a_box_is_taken_as_it_is() -> None:
    assert read_instances([corners()]) == Drawing((Box(4, 5, 6, 70, 80),), {})


def test_a_polygon_becomes_the_rectangle_around_it() -> None:
    points = [{"figure_id": None, "x": x, "y": y} for x, y in ((100, 90), (180, 100), (150, 190))]
    drawing = read_instances([corners(type="polygon", points=points)])
    assert drawing.boxes == (Box(4, 100, 90, 180, 190),)


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        pytest.param(corners(type="line"), "type line", id="line"),
        pytest.param(corners(type="tag"), "type tag", id="tag"),
        pytest.param({}, "type None", id="nothing"),
        pytest.param(corners(label_file_id=None), "without a label", id="label"),
        pytest.param(corners(x_max=None), "without coordinates", id="null"),
        pytest.param({"type": "box", "label_file_id": 4}, "without coordinates", id="missing"),
        pytest.param(corners(type="polygon", points=[]), "without coordinates", id="no points"),
        pytest.param(corners(x_max=5), "without an area", id="flat"),
        pytest.param(corners(y_max=1), "without an area", id="inverted"),
        pytest.param(corners(x_max=float("nan")), "without coordinates", id="nan"),
    ],
)
def test_what_is_no_box_is_counted(instance: dict[str, Any], reason: str) -> None:
    assert read_instances([instance, corners(), instance]) == Drawing((Box(4, 5, 6, 70, 80),), {reason: 2})


def test_the_same_box_twice_counts_once() -> None:
    drawing = read_instances([corners(), corners(id=2), corners(label_file_id=5)])
    assert (len(drawing.boxes), drawing.skipped) == (2, {"drawn twice": 1})


def test_boxes_are_cut_to_the_image() -> None:
    drawing = read_instances([corners(), corners(x_min=-9, x_max=400), corners(x_min=320, x_max=330)])
    inside = fitted(drawing, 320, 240)
    assert inside.boxes == (Box(4, 0, 6, 320, 80), Box(4, 5, 6, 70, 80))
    assert (inside.clipped, inside.skipped) == (1, {"outside the image": 1})


def test_the_order_of_the_server_does_not_matter() -> None:
    instances = [corners(x_max=number) for number in (50, 30, 40)]
    assert read_instances(instances) == read_instances(reversed(instances))
