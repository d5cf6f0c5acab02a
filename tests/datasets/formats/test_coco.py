from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffgram_flows.datasets import FORMATS, find_format
from diffgram_flows.datasets.formats.coco import from_coco, to_coco
from diffgram_flows.errors import ConfigurationError, DatasetError
from diffgram_flows.models import Annotation, Box, LabelMap, Sample

LABELS = LabelMap(((4, "car"), (2, "person")))
COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 50}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 4, "bbox": [10.4, 5, 20.2, 30.6]}],
    "categories": [{"id": 4, "name": "car"}],
}


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    width, height = draw(st.integers(1, 5000)), draw(st.integers(1, 5000))
    corner = st.tuples(st.integers(0, width), st.integers(0, height))
    pairs = draw(st.lists(st.tuples(st.sampled_from([4, 2]), corner, corner), max_size=5))
    boxes = (Box(label, *map(min, one, two), *map(max, one, two)) for label, one, two in pairs)
    whole = tuple(box for box in boxes if box.area)
    name, file_id = draw(st.text(max_size=20)), draw(st.integers(1, 2**40))
    return Sample(file_id, name, "", "00", Path("a.jpg"), width, height, "train", tuple(map(Annotation.of_box, whole)))


@given(st.lists(samples(), max_size=5, unique_by=lambda sample: sample.file_id))
@settings(deadline=None, max_examples=40, derandomize=True, database=None)
def test_nothing_is_lost_on_the_way_there_and_back(chosen: list[Sample]) -> None:
    back = from_coco(json.loads(json.dumps(to_coco(chosen, LABELS))))
    expected = sorted(chosen, key=lambda sample: sample.file_id)
    assert [(i.id, i.file_name, i.width, i.height, i.boxes) for i in back.images] == [
        (s.file_id, s.file_name, s.width, s.height, s.boxes) for s in expected
    ]
    assert back.labels == LABELS.name_of()
    assert (back.clipped, back.dropped) == (0, 0)


def test_pycocotools_reads_what_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco_tools = pytest.importorskip("pycocotools.coco")
    box = Box(4, 5, 6, 70, 80)
    sample = Sample(
        7, "a.jpg", "", "00", Path("a.jpg"), 100, 100, "train", tuple(map(Annotation.of_box, (box, Box(2, 1, 1, 2, 2))))
    )
    (tmp_path / "coco.json").write_text(json.dumps(to_coco([sample], LABELS)))
    read = coco_tools.COCO(str(tmp_path / "coco.json"))
    (annotation,) = read.loadAnns(read.getAnnIds(imgIds=[7], catIds=[4]))
    assert annotation["bbox"] == [5, 6, 65, 74]
    assert annotation["area"] == box.area
    assert [category["name"] for category in read.loadCats([4, 2])] == ["car", "person"]


@pytest.mark.parametrize(
    ("bbox", "boxes", "clipped", "dropped"),
    [
        pytest.param([10.4, 5, 20.2, 30.6], (Box(4, 10, 5, 31, 36),), 0, 0, id="rounded"),
        pytest.param([-5, 40, 20, 30], (Box(4, 0, 40, 15, 50),), 1, 0, id="clipped"),
        pytest.param([100, 0, 20, 20], (), 0, 1, id="outside"),
        pytest.param([10, 10, 0, 20], (), 0, 1, id="flat"),
        pytest.param([10, 10, -5, 20], (), 0, 1, id="inverted"),
    ],
)
def test_boxes_are_brought_into_the_image(
    bbox: list[float], boxes: tuple[Box, ...], clipped: int, dropped: int
) -> None:
    coco = copy.deepcopy(COCO)
    coco["annotations"][0]["bbox"] = bbox
    found = from_coco(coco)
    assert (found.images[0].boxes, found.clipped, found.dropped) == (boxes, clipped, dropped)


def test_crowds_are_dropped() -> None:
    coco = copy.deepcopy(COCO)
    coco["annotations"].append({"image_id": 1, "category_id": 4, "iscrowd": 1, "segmentation": {"counts": []}})
    found = from_coco(coco)
    assert (len(found.images[0].boxes), found.dropped) == (1, 1)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        pytest.param(["images"], None, "'images' is missing or not a list", id="no images"),
        pytest.param(["categories"], {"4": "car"}, "'categories' is missing or not a list", id="categories"),
        pytest.param(["images", 0], "a.jpg", r"'images\[0\]' is not an object", id="a text"),
        pytest.param(["images", 0, "width"], "wide", r"'images\[0\]\.width' is missing or not a whole", id="width"),
        pytest.param(["images", 0, "height"], 0, r"'images\[0\]' has a size of 100 x 0 pixels", id="height"),
        pytest.param(["images", 0, "file_name"], None, r"'images\[0\]\.file_name' is missing or not a text", id="name"),
        pytest.param(["annotations", 0, "bbox"], [1, 2, 3], r"'annotations\[0\]\.bbox' is not four", id="bbox"),
        pytest.param(["annotations", 0, "bbox"], [1, 2, 3, "4"], r"'annotations\[0\]\.bbox' is not four", id="corner"),
        pytest.param(["annotations", 0, "bbox"], [1, 2, 3, float("inf")], r"bbox' is not four", id="infinite"),
        pytest.param(["annotations", 0, "category_id"], 9, r"category_id' is 9, which is not in", id="category"),
        pytest.param(["annotations", 0, "image_id"], 9, "names the image 9, which is not in 'images'", id="image"),
        pytest.param(["annotations", 0, "image_id"], True, "image_id' is missing or not a whole number", id="bool"),
    ],
)
def test_malformed_files_are_refused_by_key(path: list[Any], value: Any, message: str) -> None:
    coco = copy.deepcopy(COCO)
    place: Any = coco
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(DatasetError, match=message + r".*Correct the file"):
        from_coco(coco)


def test_a_format_is_found_by_its_name() -> None:
    assert find_format("coco") is FORMATS["coco"]
    with pytest.raises(ConfigurationError, match=r"no annotation format 'yolo'\. Choose one of: coco"):
        find_format("yolo")
