"""What becomes of instances before they are sent, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from diffgram_flows.diffgram import instances, prepare, resolve_labels, shapes
from diffgram_flows.errors import InvalidRequest

BOX = shapes.box(4, 10, 20, 110, 120)
CUBOID = shapes.cuboid(2, shapes.Face(10, 20, 60, 80), shapes.Face(30, 10, 70, 60))
GOOD = [
    BOX,
    shapes.polygon(2, [(10, 10), (100, 12), (60, 90)]),
    shapes.line(2, [(1, 1), (2, 2)]),
    shapes.point(2, 5, 5),
    shapes.ellipse(2, 50, 40, 30, 20),
    CUBOID,
    shapes.tag(2),
    {"type": "global", "attribute_groups": {"1": True}},
    {"type": "keypoints", "label_file_id": 2, "nodes": [{"x": 1}]},
    BOX | {"machine_made": True, "score": 0, "model_ref": "m", "model_run_ref": "r", "model_id": 2},
]


def test_good_instances_of_all_kinds_stay_as_they_are() -> None:
    instances.check(GOOD)
    assert prepare(GOOD, size=(320, 240)) == GOOD


def test_names_become_ids_and_the_given_instances_are_not_touched() -> None:
    given = [shapes.box("car", 1, 2, 50, 60), shapes.tag(2), {"type": "box", "name": "x", "label_file_id": 7}]
    resolved = resolve_labels(given, {"car": 4})
    assert [instance["label_file_id"] for instance in resolved] == [4, 2, 7]
    assert "name" not in resolved[0]
    assert given[0]["name"] == "car"


@pytest.mark.parametrize("labels", [{"person": 2}, {}], ids=["others", "none"])
def test_an_unknown_name_is_named_with_its_place(labels: dict[str, int]) -> None:
    with pytest.raises(InvalidRequest, match=r"Instance 1: name is 'car'.*known: (person|none)"):
        resolve_labels([BOX, shapes.tag("car")], labels)


def test_fractions_are_rounded() -> None:
    made = prepare(
        [BOX | {"x_min": 10.7, "y_min": 20.2}, {"type": "point", "label_file_id": 2, "points": [{"x": 1.6, "y": 2}]}]
    )
    assert (made[0]["x_min"], made[0]["y_min"]) == (11, 20)
    assert made[1]["points"] == [{"x": 2, "y": 2}]


@pytest.mark.parametrize(
    ("instance", "words"),
    [
        pytest.param(None, "Instance 1 is a NoneType", id="null"),
        pytest.param([4], "Instance 1 is a list", id="list"),
        pytest.param({"label_file_id": 4}, "type is None", id="no type"),
        pytest.param(BOX | {"type": "boxx"}, "type is 'boxx'.*box, cuboid", id="unknown type"),
        pytest.param(BOX | {"label_file_id": None}, "label_file_id is None", id="no label"),
        pytest.param(BOX | {"label_file_id": None, "name": "car"}, "name alone does not count", id="name alone"),
        pytest.param(BOX | {"label_file_id": "4"}, "label_file_id is '4'", id="text for a label"),
        pytest.param(BOX | {"label_file_id": True}, "label_file_id is True", id="bool for a label"),
        pytest.param(BOX | {"label_file_id": 0}, "label_file_id is 0", id="label 0"),
        pytest.param({key: BOX[key] for key in BOX if key != "y_max"}, "y_max is missing", id="missing corner"),
        pytest.param(BOX | {"x_min": 10.5}, "x_min is 10.5.*whole pixels", id="fraction"),
        pytest.param(BOX | {"x_min": float("nan")}, "x_min is nan", id="NaN"),
        pytest.param(BOX | {"x_min": True}, "x_min is True", id="bool"),
        pytest.param(BOX | {"x_max": 10}, r"without area \(x_min=10, y_min=20, x_max=10", id="empty"),
        pytest.param(BOX | {"y_max": 1}, "without area", id="inverted"),
        pytest.param({"type": "polygon", "label_file_id": 2}, "points has no points", id="no points"),
        pytest.param(shapes.polygon(2, [(1, 1), (2, 2)]), "points has 2 points.*at least 3", id="two points"),
        pytest.param(shapes.polygon(2, [(1, 1), (2, 2), (1, 1)]), "fewer than 3 different", id="same point"),
        pytest.param(shapes.line(2, [(1, 1), (1, None)]), r"points\[1\]\.y is missing", id="half a point"),  # type: ignore[list-item]
        pytest.param(
            {"type": "point", "label_file_id": 2, "points": ["a"]}, r"points\[0\]\.x is missing", id="no point"
        ),
        pytest.param(shapes.ellipse(2, 5, 5, 0, 3), "width is 0", id="flat ellipse"),
        pytest.param(shapes.ellipse(2, 5, 5, 3, 3, angle=float("inf")), "angle is inf.*radians", id="angle"),
        pytest.param({"type": "ellipse", "label_file_id": 2}, "center_x is missing", id="no ellipse"),
        pytest.param({"type": "cuboid", "label_file_id": 2}, "front_face is missing", id="no face"),
        pytest.param(CUBOID | {"rear_face": {}}, r"rear_face\.top_left\.x is missing", id="no corner"),
        pytest.param(BOX | {"score": 1.5}, "score is 1.5", id="score above 1"),
        pytest.param(BOX | {"score": "0.77"}, "score is '0.77'", id="text for a score"),
        pytest.param(BOX | {"score": float("nan")}, "score is nan", id="score NaN"),
        pytest.param(BOX | {"machine_made": 1}, "machine_made is 1", id="number for a bool"),
        pytest.param(BOX | {"model_run_ref": "r"}, "model_run_ref has no model_ref", id="run without model"),
        pytest.param(BOX | {"attribute_groups": {"occluded": 1}}, "attribute_groups is", id="group by name"),
        pytest.param(BOX | {"attribute_groups": [1]}, "attribute_groups is", id="list of groups"),
        pytest.param(BOX | {"attribute_groups": {1: float("nan")}}, "attribute_groups is no JSON", id="NaN inside"),
        pytest.param(BOX | {"when": object()}, "when is no JSON", id="no JSON"),
    ],
)
def test_a_wrong_instance_is_named_by_its_index_and_field(instance: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        instances.check([BOX, instance])
    assert "Instance 1" in str(caught.value)
    assert caught.value.cure
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", ["box", BOX], ids=["text", "one instance"])
def test_what_is_no_list_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequest, match="no list"):
        instances.check(given)


def test_boxes_are_cut_at_the_border_and_points_moved_to_it() -> None:
    outside = [shapes.box(4, -30, -20, 900, 90), shapes.polygon(2, [(-5, 10), (400, 12), (60, 300)])]
    box, polygon = prepare(outside, size=(320, 240))
    assert (box["x_min"], box["y_min"], box["x_max"], box["y_max"]) == (0, 0, 320, 90)
    assert polygon["points"] == [{"x": 0, "y": 10}, {"x": 320, "y": 12}, {"x": 60, "y": 240}]
    assert outside[0]["x_min"] == -30


@pytest.mark.parametrize(
    ("instance", "outside", "words"),
    [
        pytest.param(shapes.box(4, 300, 200, 900, 900), "refuse", "x_min puts the box outside.*320 x 240", id="box"),
        pytest.param(shapes.box(4, 400, 10, 500, 20), "clip", "x_min puts the box outside", id="nothing left of a box"),
        pytest.param(shapes.line(4, [(1, 1), (1, 241)]), "refuse", "points puts the line outside", id="line"),
        pytest.param(shapes.point(4, 321, 1), "clip", "points puts the point outside", id="point"),
        pytest.param(shapes.polygon(4, [(400, 1), (500, 1), (600, 1)]), "clip", "different points", id="flat polygon"),
        pytest.param(shapes.ellipse(4, 400, 1, 9, 9), "clip", "center_x puts the ellipse outside", id="ellipse"),
    ],
)
def test_what_lies_outside_the_image_is_refused(instance: Any, outside: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"Instance 1: {words}|Instance 1: points .*{words}"):
        prepare([BOX, instance], size=(320, 240), outside=outside)


def test_batches_take_names() -> None:
    instances.check([shapes.box("car", 1, 2, 50, 60)], by_name=True)
    with pytest.raises(InvalidRequest, match="Instance 0: name is None"):
        instances.check([BOX], by_name=True)
