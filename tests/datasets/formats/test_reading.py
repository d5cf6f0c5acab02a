"""What other tools write, and what is broken: YOLO, Pascal VOC, Label Studio and JSON lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from servers.random_samples import png

from diffgram_flows.datasets.formats import FORMATS, find_format, jsonl, label_studio, voc, yolo
from diffgram_flows.errors import ConfigurationError, DatasetError, ImageRejected
from diffgram_flows.models import Annotation

OBJECT = "<object><name>car</name><bndbox><xmin>1</xmin><ymin>3</ymin><xmax>10</xmax><ymax>48</ymax></bndbox></object>"
VOC = f"<annotation><filename>a.jpg</filename><size><width>64</width><height>48</height></size>{OBJECT}</annotation>"
DATA = "train: images/train\nval: images/val\nnc: 2\nnames: [car, person]\n"


@pytest.fixture
def yolo_folder(tmp_path: Path) -> Path:
    for place in ("images/train", "labels/train", "images/val"):
        (tmp_path / place).mkdir(parents=True)
    (tmp_path / "data.yaml").write_text(DATA)
    (tmp_path / "images/train/a.b.png").write_bytes(png(64, 48))
    (tmp_path / "images/val/c.png").write_bytes(png(10, 10))
    return tmp_path


def test_a_box_of_voc_counts_from_one_and_ends_inside(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(VOC)
    (image,) = voc.read(tmp_path / "a.xml").images
    assert image.annotations == (Annotation("box", 1, ((0, 2), (10, 48))),)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("</annotation>", "", r"a\.xml is no XML: .*line 1", id="cut"),
        pytest.param(
            "<annotation>", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotation>", "declares a document type", id="dtd"
        ),
        pytest.param("annotation>", "notes>", "'notes' is the outermost element", id="root"),
        pytest.param("<width>64</width>", "", "'size/width' is missing or not a number", id="width"),
        pytest.param("<width>64</width>", "<width>0</width>", "'size' is 0 x 48 pixels", id="no size"),
        pytest.param("<xmax>10<", "<xmax>ten<", r"'object 1, bndbox/xmax' is missing", id="corner"),
        pytest.param("<xmax>10<", "<xmax>nan<", r"'object 1, bndbox/xmax' is missing", id="nan"),
        pytest.param("<name>car<", "<name> <", "'object/name' is missing or empty", id="name"),
    ],
)
def test_broken_voc_is_refused_by_element(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "a.xml").write_text(VOC.replace(old, new))
    with pytest.raises(DatasetError, match=message):
        voc.read(tmp_path)


def test_entities_are_refused_in_any_encoding(tmp_path: Path) -> None:
    bomb = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>' + VOC
    (tmp_path / "a.xml").write_text(bomb.replace("car", "&b;"), "utf-16")
    with pytest.raises(DatasetError, match="declares a document type"):
        voc.read(tmp_path / "a.xml")


def test_yolo_of_other_tools_is_read(yolo_folder: Path) -> None:
    (yolo_folder / "labels/train/a.b.txt").write_text(
        "1 0.5 0.5 0.5 0.5\n\n0 0 0 0.5 0 0.5 0.5\n0 0.9 0.5 0.4 1\n0 1 1 0 0\n"
    )
    (yolo_folder / "data.yaml").write_text(DATA.replace("images/train", "../images/train"))
    found = yolo.read(yolo_folder)
    first, second = found.images
    assert first.annotations == (
        Annotation("box", 0, ((45, 0), (64, 48))),
        Annotation("box", 1, ((16, 12), (48, 36))),
        Annotation("polygon", 0, ((0, 0), (32, 0), (32, 24))),
    )
    assert (second.annotations, second.split, second.path) == ((), "val", yolo_folder / "images/val/c.png")
    assert (found.labels, found.clipped, found.skipped) == ({0: "car", 1: "person"}, 1, {"without an area": 1})
    (yolo_folder / "list.txt").write_text("images/val/c.png\n")
    (yolo_folder / "data.yaml").write_text("test: list.txt\nnames: {0: car}\n")
    assert [(image.file_name, image.split) for image in yolo.read(yolo_folder).images] == [("c.png", "test")]


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        pytest.param("labels/train/a.b.txt", "0 0 0 1 1\n0 1 2 3", r"a\.b\.txt, line 2 is not a class", id="short"),
        pytest.param("labels/train/a.b.txt", "car 0 0 1 1", "line 1 is not a class", id="class"),
        pytest.param("labels/train/a.b.txt", "0 0 0 nan 1", "line 1 is not a class", id="nan"),
        pytest.param(
            "labels/train/a.b.txt", "2 0.5 0.5 1 1", r"has the class 2, which data\.yaml does not", id="unknown"
        ),
        pytest.param("data.yaml", "names: [car", "is no YAML", id="yaml"),
        pytest.param("data.yaml", "a text", "is no list of settings", id="text"),
        pytest.param("data.yaml", "train: images/train", "has no 'names'", id="names"),
        pytest.param("data.yaml", "train: pictures\nnames: [car]", "names 'pictures', which is neither", id="folder"),
    ],
)
def test_broken_yolo_is_refused_by_line(yolo_folder: Path, file: str, text: str, message: str) -> None:
    (yolo_folder / file).write_text(text)
    with pytest.raises(DatasetError, match=message):
        yolo.read(yolo_folder)


def test_texts_of_yolo_without_an_image_are_counted(yolo_folder: Path) -> None:
    for name in ("a.b", "scan"):
        (yolo_folder / f"labels/train/{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n", "utf-8-sig")
    (yolo_folder / "images/train/scan.tif").write_bytes(b"II*\0")
    found = yolo.read(yolo_folder)
    assert [len(image.annotations) for image in found.images] == [1, 0]
    assert found.skipped == {"texts without an image": 1}


def test_a_yolo_folder_without_names_of_its_classes_says_how_to_give_them(yolo_folder: Path) -> None:
    (yolo_folder / "data.yaml").rename(yolo_folder / "mine.yaml")
    with pytest.raises(DatasetError, match=r"has no data\.yaml, .* 'names: \[car, person\]'"):
        yolo.read(yolo_folder)
    assert len(yolo.read(yolo_folder / "mine.yaml").images) == 2


def test_the_size_of_a_yolo_image_is_needed(yolo_folder: Path) -> None:
    (yolo_folder / "images/train/a.b.png").write_bytes(b"not an image")
    with pytest.raises(ImageRejected, match=r"a\.b\.png is not an image"):
        yolo.read(yolo_folder)


def task(**region: Any) -> list[dict[str, Any]]:
    value = {"x": 25, "y": 25, "width": 50, "height": 50, "rectanglelabels": ["car"]}
    whole = {"type": "rectanglelabels", "original_width": 64, "original_height": 48, "value": value} | region
    return [{"id": 3, "data": {"image": "s3://b/a.jpg"}, "annotations": [{"result": [whole]}]}]


def test_label_studio_of_other_people_is_read(tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    (first,), brush = task(), {"type": "brushlabels", "value": {}}
    turned = {**first["annotations"][0]["result"][0]["value"], "rotation": 30}
    (other,) = task(value=turned)
    first["annotations"][0]["result"] += [brush, other["annotations"][0]["result"][0]]
    first["annotations"] += [{"was_cancelled": True, "result": []}]
    empty = {"id": 4, "data": {"image": "b.jpg"}, "annotations": []}
    path.write_text(json.dumps([first, empty]))
    found = label_studio.read(path)
    (image,) = found.images
    assert (image.file_name, image.uri) == ("a.jpg", "s3://b/a.jpg")
    assert image.annotations == (Annotation("box", 1, ((16, 12), (48, 36))),)
    assert found.skipped == {
        "images of unknown size, without annotations": 1,
        "turned boxes": 1,
        "type brushlabels": 1,
    }


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        pytest.param({"a": 1}, "'tasks' is missing or not a list", id="no list"),
        pytest.param([{"id": 1}], r"tasks\[0\]\.data' is missing", id="no data"),
        pytest.param([{"id": 1, "data": {}}], r"tasks\[0\]\.annotations' is missing", id="no annotations"),
        pytest.param(
            task(value={"x": 1, "rectanglelabels": ["car"]}), r"result\[0\]\.value' is not that of", id="value"
        ),
        pytest.param(task(original_width=0), "has a size of 0 x 48", id="size"),
        pytest.param(task(original_width=[64]), "width' is missing or not a whole number", id="width"),
    ],
)
def test_broken_label_studio_is_refused_by_key(tmp_path: Path, tasks: Any, message: str) -> None:
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(DatasetError, match=message):
        label_studio.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"annotations": None}, r"line 1 of samples\.jsonl\.annotations' is missing", id="annotations"),
        pytest.param(
            {"annotations": [{"type": "box", "label": 9, "points": []}]}, "a label that is not known", id="label"
        ),
        pytest.param({"annotations": [{"type": "ball", "label": 4, "points": []}]}, "has a type or a label", id="type"),
        pytest.param(
            {"annotations": [{"type": "box", "label": 4, "points": [[1, 1]]}]}, "does not make a box", id="box"
        ),
        pytest.param(
            {"annotations": [{"type": "line", "label": 4, "points": [[1]]}]}, "not a list of pairs", id="pairs"
        ),
        pytest.param({"width": -1}, "has a size of -1 x 48", id="size"),
        pytest.param({"file_id": "1"}, r"file_id' is missing or not a whole", id="id"),
    ],
)
def test_broken_json_lines_are_refused_by_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    row = {"file_id": 1, "file_name": "a.jpg", "width": 64, "height": 48, "split": "train", "annotations": []}
    (tmp_path / "labels.json").write_text('{"labels": [{"id": 4, "name": "car"}]}')
    (tmp_path / "samples.jsonl").write_text(json.dumps(row | change) + "\n")
    with pytest.raises(DatasetError, match=message):
        jsonl.read(tmp_path)


def test_a_format_is_found_by_its_name() -> None:
    assert find_format("coco") is FORMATS["coco"]
    with pytest.raises(ConfigurationError, match=r"no annotation format 'csv'\. Choose one of: coco, jsonl, label-s"):
        find_format("csv")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r"(nothing|labels)\.json cannot be read: No such file"):
        find_format(name).read(tmp_path / "nothing.json")
