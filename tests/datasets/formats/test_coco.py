from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from servers.shelf import Shelf

from diffgram_flows.datasets import columns
from diffgram_flows.datasets.converting import write_format
from diffgram_flows.datasets.formats.coco import file_name
from diffgram_flows.datasets.formats.coco_reading import from_coco, read
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Annotation, Box, LabelMap, Sample

LABELS = LabelMap(((4, "car"), (2, "person")))
COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 50}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 4, "bbox": [10.4, 5, 20.2, 30.6]}],
    "categories": [{"id": 4, "name": "car"}],
}


def test_pycocotools_reads_what_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coco_tools, coco_masks = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.mask")
    drawn = (
        Annotation("box", 4, ((5, 6), (70, 80))),
        Annotation("box", 2, ((1, 1), (2, 2)), ((1, "heavily"),)),
        Annotation("point", 2, ((9, 9),)),
        Annotation("polygon", 4, ((0, 0), (40, 0), (40, 30))),
        Annotation("tag", 4),
    )
    samples = [
        Sample(7, "\N{MOUNT FUJI}.jpg", "", "00", Path("a.jpg"), 100, 100, "train", drawn),
        Sample(8, "empty.jpg", "", "00", Path("a.jpg"), 100, 100, "train"),
        Sample(9, "b.jpg", "", "00", Path("a.jpg"), 100, 100, "val", drawn[:1]),
    ]
    write_format("coco", iter(samples), LABELS, tmp_path / "out")
    read = coco_tools.COCO(str(tmp_path / "out/annotations/instances_train.json"))
    cars = read.loadAnns(read.getAnnIds(imgIds=[7], catIds=[4]))
    assert [(one["bbox"], one["area"]) for one in cars] == [([5, 6, 65, 74], 65 * 74), ([0, 0, 40, 30], 600)]
    assert int(coco_masks.area(read.annToRLE(cars[1]))) == pytest.approx(600, rel=0.05)
    assert [category["name"] for category in read.loadCats([4, 2])] == ["car", "person"]
    assert sorted(read.getImgIds()) == [7, 8]
    assert read.loadImgs([7])[0]["file_name"] == "\N{MOUNT FUJI}.jpg"
    assert sorted(read.anns) == [1, 2, 3, 4]
    assert read.anns[2]["attributes"] == {"1": "heavily"}
    assert coco_tools.COCO(str(tmp_path / "out/annotations/instances_test.json")).getImgIds() == []
    judged = coco_tools.COCO(str(tmp_path / "out/annotations/instances_val.json"))
    assert [one["image_id"] for one in judged.loadAnns(judged.getAnnIds())] == [9]


def test_the_same_samples_make_the_same_bytes(tmp_path: Path) -> None:
    drawn = tuple(Annotation("box", 4, ((n, 0), (n + 9, 9))) for n in range(700))
    samples = [Sample(n, f"{n}.jpg", "", "00", Path("a"), 999, 99, "train", drawn) for n in range(5)]
    for name in "ab":
        write_format("coco", iter(samples), LABELS, tmp_path / name)
    first, second = (tmp_path / name / "annotations/instances_train.json" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    coco = json.loads(first.read_bytes())
    assert [one["id"] for one in coco["annotations"]] == list(range(1, 3501))
    assert coco["annotations"][-1]["image_id"] == 4


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
    assert (found.images[0].boxes, found.clipped, sum(found.skipped.values())) == (boxes, clipped, dropped)


def test_crowds_are_dropped() -> None:
    coco = copy.deepcopy(COCO)
    coco["annotations"].append({"image_id": 1, "category_id": 4, "iscrowd": 1, "segmentation": {"counts": []}})
    found = from_coco(coco)
    assert (len(found.images[0].boxes), found.skipped) == (1, {"a crowd": 1})


@pytest.mark.parametrize(
    ("segmentation", "annotation", "skipped"),
    [
        pytest.param([], Annotation("box", 4, ((10, 5), (31, 36))), {}, id="none"),
        pytest.param([[1.4, 1, 9, 1, 9, 9.2]], Annotation("polygon", 4, ((1, 1), (9, 1), (9, 9))), {}, id="polygon"),
        pytest.param([[1, 1, 9, 9]], Annotation("box", 4, ((10, 5), (31, 36))), {}, id="a line"),
        pytest.param(
            [[1, 1, 9, 1, 9, 9], [20, 1, 29, 1, 29, 9]],
            Annotation("box", 4, ((10, 5), (31, 36))),
            {"a segmentation that is kept as its box": 1},
            id="two parts",
        ),
        pytest.param(
            {"counts": "abc", "size": [50, 100]},
            Annotation("box", 4, ((10, 5), (31, 36))),
            {"a segmentation that is kept as its box": 1},
            id="run-length",
        ),
    ],
)
def test_segmentations_of_other_tools(segmentation: Any, annotation: Annotation, skipped: dict[str, int]) -> None:
    coco = copy.deepcopy(COCO)
    coco["annotations"][0]["segmentation"] = segmentation
    found = from_coco(coco)
    assert (found.images[0].annotations, found.skipped) == ((annotation,), skipped)


def test_files_of_a_folder_are_one(tmp_path: Path) -> None:
    second = {**COCO, "images": [{**COCO["images"][0], "id": 2}], "annotations": []}
    (tmp_path / "instances_train.json").write_text(json.dumps(COCO))
    (tmp_path / "instances_val2017.json").write_text(json.dumps(second))
    (tmp_path / "captions_val2017.json").write_text("[]")
    assert [(image.id, len(image.boxes)) for image in read(tmp_path).images] == [(1, 1), (2, 0)]
    (tmp_path / "instances_val2017.json").write_text(json.dumps({**second, "images": COCO["images"]}))
    with pytest.raises(DatasetError, match=r"instances_val2017\.json' has the image 1, which another file has, too"):
        read(tmp_path)
    (tmp_path / "instances_val2017.json").write_text(json.dumps({**second, "categories": [{"id": 4, "name": "bus"}]}))
    with pytest.raises(DatasetError, match="calls the category 4 'bus', another file 'car'"):
        read(tmp_path)
    (tmp_path / "instances_val2017.json").write_text(json.dumps({**second, "categories": None}))
    with pytest.raises(DatasetError, match=r"instances_val2017\.json: .* 'categories' is missing"):
        read(tmp_path)
    (tmp_path / "instances_val2017.json").write_text('{"images": [\n}')
    with pytest.raises(DatasetError, match=r"instances_val2017\.json is no JSON: .*line 2, column 1"):
        read(tmp_path)
    with pytest.raises(DatasetError, match="has no COCO file"):
        read(tmp_path / "..")


def test_whole_numbers_may_have_a_point_and_files_a_byte_order_mark(tmp_path: Path) -> None:
    coco = copy.deepcopy(COCO)
    coco["images"][0]["width"], coco["annotations"][0]["category_id"] = 100.0, 4.0
    (tmp_path / "a.json").write_text(json.dumps(coco), "utf-8-sig")
    assert read(tmp_path / "a.json") == from_coco(COCO)


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
        pytest.param(
            ["categories"],
            [{"id": 4, "name": "car"}, {"id": 4, "name": "bus"}],
            r"categories\[1\]\.id' is 4, which is 'car' and 'bus'",
            id="one number for two categories",
        ),
        pytest.param(["annotations", 0, "image_id"], 9, "names the image 9, which is not in 'images'", id="image"),
        pytest.param(["annotations", 0, "image_id"], True, "image_id' is missing or not a whole number", id="bool"),
        pytest.param(
            ["annotations", 0, "segmentation"], [[1, 2, 3]], r"segmentation' is not a list of rings", id="odd"
        ),
        pytest.param(["annotations", 0, "segmentation"], [[1, 2, 3, "4"]], r"segmentation' is not a list", id="ring"),
        pytest.param(["annotations", 0, "attributes"], ["red"], r"attributes' is not an object", id="attributes"),
        pytest.param(["images", 0, "tags"], [{"category_id": 9}], r"tags\[0\]\.category_id' is 9, which", id="tag"),
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


@pytest.mark.parametrize("more", [False, True], ids=["boxes alone", "anything"])
def test_columns_of_a_snapshot_make_the_same_bytes_as_its_samples(shelf: Shelf, tmp_path: Path, more: bool) -> None:
    keys = [f"{number}.jpg" for number in range(30)]
    for number, key in enumerate(keys):
        shelf.finish(key, *(Box(4, n, 0, n + 9, 9) for n in range(number % 5)), Box(7, 0, 0, 64, 48))
    shelf.finish('empty "quoted" \\ name é.jpg')
    if more:
        points = [{"x": x, "y": y} for x, y in ((0, 0), (9, 0), (9, 9))]
        outline = {"type": "polygon", "label_file_id": 4, "points": points, "attribute_groups": {"1": "heavily"}}
        shelf.finish("polygon.jpg", instances=[outline])
    snapshot, _ = shelf.snapshot()
    reports = [
        write_format("coco", samples, snapshot.label_map, tmp_path / name)
        for name, samples in (("columns", snapshot.samples), ("samples", list(snapshot.samples)))
    ]
    assert reports[0] == reports[1]
    boxes = 30 + sum(number % 5 for number in range(30))
    assert reports[0].written == {"box": boxes} | ({"polygon": 1} if more else {})
    for split in ("train", "val", "test"):
        one, other = (tmp_path / name / file_name(split) for name in ("columns", "samples"))
        assert one.read_bytes() == other.read_bytes()
    assert len(read(tmp_path / "columns").images) == 31 + more


def test_large_numbers_in_columns_are_written_like_small_ones(tmp_path: Path) -> None:
    sides = (1, 9_999, 10_000, 10_001, 90_000, 123_456_789)
    samples = [
        Sample(10**n + n % 2, f"{n}.jpg", "", "00", Path("a"), 10**9, 10**9, "train", drawn)
        for n in range(17)
        for drawn in [tuple(Annotation("box", n + 1, ((0, side - 1), (side, side + 9))) for side in sides)]
    ]
    labels = LabelMap(tuple((n + 1, f"label {n}") for n in range(17)))
    for name, chosen in (("columns", Tables(samples)), ("samples", samples)):
        write_format("coco", chosen, labels, tmp_path / name)
    one, other = (tmp_path / name / file_name("train") for name in ("columns", "samples"))
    assert one.read_bytes() == other.read_bytes()


class Tables(list[Sample]):
    """Samples that can be had as columns, five at a time."""

    def tables(self, *, images: list[str] | None = None) -> Iterator[tuple[Any, Any]]:
        for first in range(0, len(self), 5):
            part = self[first : first + 5]
            names = [field.name for field in columns.IMAGES]
            values: dict[str, Any] = {name: [getattr(sample, name, None) for sample in part] for name in names}
            values |= {"annotations": [len(sample.annotations) for sample in part]}
            values |= {name: ["" for _ in part] for name in ("version", "path", "group")}
            drawn = [annotation for sample in part for annotation in sample.annotations]
            ids = np.array([sample.file_id for sample in part for _ in sample.annotations], np.int64)
            batches = columns.image_batch(values), columns.instance_batch(drawn, ids)
            about, instances = (pa.Table.from_batches([batch]) for batch in batches)
            yield about.select(images or names), instances
