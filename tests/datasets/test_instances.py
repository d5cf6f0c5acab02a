from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from diffgram_flows.datasets.instances import Drawing, fitted, read_instances
from diffgram_flows.models import Annotation, Box

RECORDED = Path(__file__).parents[1] / "contract/recordings/sample_export.json"
BOX = Annotation("box", 4, ((5, 6), (70, 80)))


def corners(x_min: Any = 5, y_min: Any = 6, x_max: Any = 70, y_max: Any = 80, **more: Any) -> dict[str, Any]:
    instance = {"id": 1, "label_file_id": 4, "type": "box", "attribute_groups": None}
    return instance | {"x_min": x_min, "y_min": y_min, "x_max": x_max, "y_max": y_max} | more


def pointed(kind: str, *points: tuple[Any, Any], **more: Any) -> dict[str, Any]:
    places = [{"figure_id": None, "x": x, "y": y} for x, y in points]
    return {"id": 1, "label_file_id": 4, "type": kind, "attribute_groups": None, "points": places} | more


def test_the_recorded_export_is_taken_as_it_is() -> None:
    files = {key: entry for key, entry in json.loads(RECORDED.read_text()).items() if key.isdecimal()}
    drawings = {key: read_instances(entry["instance_list"]) for key, entry in files.items()}
    assert drawings["40"].annotations == (
        Annotation("box", 2, ((5, 6), (70, 80))),
        Annotation("polygon", 3, ((100, 100), (180, 100), (150, 190))),
    )
    assert drawings["44"].annotations[1].attributes == ((1, "heavily"), (2, "XY-99"))
    assert drawings["40"].boxes == (Box(2, 5, 6, 70, 80), Box(3, 100, 100, 180, 190))


@pytest.mark.parametrize(
    ("instance", "annotation"),
    [
        pytest.param(corners(), BOX, id="box"),
        pytest.param(corners(x_min=5.4, y_max=79.6), BOX, id="fractions"),
        pytest.param(corners(x_min=-5, y_min=-2.6), Annotation("box", 4, ((-5, -3), (70, 80))), id="negative"),
        pytest.param(
            pointed("polygon", (0, 0), (9, 0), (9.2, 9)),
            Annotation("polygon", 4, ((0, 0), (9, 0), (9, 9))),
            id="polygon",
        ),
        pytest.param(pointed("line", (0, 0), (9, 0)), Annotation("line", 4, ((0, 0), (9, 0))), id="line"),
        pytest.param(pointed("point", (3, 4)), Annotation("point", 4, ((3, 4),)), id="point"),
        pytest.param({"type": "tag", "label_file_id": 4}, Annotation("tag", 4), id="tag"),
        pytest.param(
            corners(attribute_groups={"10": {"id": 3, "name": "heavily"}, "9": "XY", "8": None, "7": ""}),
            Annotation("box", 4, BOX.points, ((9, "XY"), (10, "heavily"))),
            id="attributes",
        ),
        pytest.param(
            corners(attribute_groups={"1": {"4": {"id": 4}, "3": {"id": 3}}, "2": True, "3": 2.5}),
            Annotation("box", 4, BOX.points, ((1, '{"3": {"id": 3}, "4": {"id": 4}}'), (2, "true"), (3, "2.5"))),
            id="attributes of another form",
        ),
    ],
)
def test_what_people_draw_is_taken_as_it_is(instance: dict[str, Any], annotation: Annotation) -> None:
    assert read_instances([instance]) == Drawing((annotation,), {})


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        pytest.param(corners(type="cuboid"), "type cuboid", id="cuboid"),
        pytest.param(corners(type="global"), "type global", id="global"),
        pytest.param({}, "type None", id="nothing"),
        pytest.param(corners(type=["box"]), "type ['box']", id="no word"),
        pytest.param(corners(label_file_id=None), "without a label", id="label"),
        pytest.param(corners(label_file_id=True), "without a label", id="no number"),
        pytest.param(corners(x_max=None), "without coordinates", id="null"),
        pytest.param(corners(x_max="70"), "without coordinates", id="text"),
        pytest.param({"type": "box", "label_file_id": 4}, "without coordinates", id="missing"),
        pytest.param(pointed("polygon"), "without coordinates", id="no points"),
        pytest.param(pointed("line", (1, None)), "without coordinates", id="a null"),
        pytest.param(corners(x_max=5), "without an area", id="flat"),
        pytest.param(corners(y_max=1), "without an area", id="inverted"),
        pytest.param(pointed("polygon", (0, 0), (9, 9), (4, 4)), "without an area", id="straight"),
        pytest.param(pointed("line", (1, 1), (1, 1)), "without a length", id="short"),
        pytest.param(pointed("point", (1, 1), (2, 2)), "a point of several points", id="points"),
        pytest.param(corners(x_max=float("nan")), "without coordinates", id="nan"),
        pytest.param(corners(x_max=float("inf")), "without coordinates", id="infinite"),
    ],
)
def test_what_is_not_taken_is_counted_by_its_name(instance: dict[str, Any], reason: str) -> None:
    assert read_instances([instance, corners(), instance]) == Drawing((BOX,), {reason: 2})


def test_attributes_without_a_group_are_counted_and_the_box_stays() -> None:
    drawing = read_instances(
        [corners(attribute_groups={"damage": "yes", "1": "XY"}), corners(attribute_groups=["yes"])]
    )
    assert drawing == Drawing(
        (Annotation("box", 4, BOX.points, ((1, "XY"),)),), {"attributes without groups": 2, "drawn twice": 1}
    )


def test_the_same_thing_twice_counts_once_and_keeps_its_attributes() -> None:
    with_more = corners(id=2, attribute_groups={"2": "XY"})
    tag = {"type": "tag", "label_file_id": 4}
    drawing = read_instances([corners(), with_more, corners(id=3), corners(label_file_id=5), tag, tag])
    assert [(a.type, a.label_file_id, a.attributes) for a in drawing.annotations] == [
        ("box", 4, ((2, "XY"),)),
        ("box", 5, ()),
        ("tag", 4, ()),
    ]
    assert drawing.skipped == {"drawn twice": 3}


def test_everything_is_cut_to_the_image() -> None:
    drawing = read_instances(
        [
            corners(),
            corners(x_min=-9, x_max=400),
            corners(x_min=320, x_max=330),
            pointed("polygon", (-10, 10), (10, 10), (10, 30), (-10, 30)),
            pointed("line", (310, 10), (330, 10), (330, 20), (310, 20)),
            pointed("point", (321, 10)),
            pointed("point", (320, 240)),
            {"type": "tag", "label_file_id": 4},
        ]
    )
    inside = fitted(drawing, 320, 240)
    assert inside.annotations == (
        Annotation("box", 4, ((0, 6), (320, 80))),
        BOX,
        Annotation("line", 4, ((310, 10), (320, 10))),
        Annotation("line", 4, ((320, 20), (310, 20))),
        Annotation("point", 4, ((320, 240),)),
        Annotation("polygon", 4, ((0, 10), (10, 10), (10, 30), (0, 30))),
        Annotation("tag", 4),
    )
    assert (inside.clipped, inside.skipped) == (3, {"outside the image": 2})
    assert fitted(inside, 320, 240) == inside


def test_what_is_the_same_after_the_cut_counts_once() -> None:
    inside = fitted(read_instances([corners(x_min=-1), corners(x_min=-2)]), 320, 240)
    assert (len(inside.annotations), inside.clipped, inside.skipped) == (1, 1, {"drawn twice": 1})


def test_the_order_of_the_server_does_not_matter() -> None:
    instances = [corners(x_max=number, label_file_id=label) for number in (50, 30, 40) for label in (7, 4)]
    instances += [pointed("point", (3, 4)), {"type": "tag", "label_file_id": 4}, corners(attribute_groups={"1": "b"})]
    assert read_instances(instances) == read_instances(reversed(instances))
