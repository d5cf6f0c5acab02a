"""COCO object detection: ``images``, ``annotations`` with ``bbox`` as (x, y, width, height), ``categories``.

Category ids are Diffgram's label file ids, image ids its file ids, so that nothing has to be looked up on the way back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from diffgram_flows.datasets.formats.base import ForeignAnnotations, ForeignImage
from diffgram_flows.datasets.labels import display_names
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Box, LabelMap, Sample


def to_coco(samples: Iterable[Sample], label_map: LabelMap) -> dict[str, Any]:
    """Samples as a COCO dictionary; annotation ids count from 1, which COCO tools expect."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sample in samples:
        images.append(
            {"id": sample.file_id, "file_name": sample.file_name, "width": sample.width, "height": sample.height}
        )
        for box in sample.boxes:
            annotations.append(_annotation(len(annotations) + 1, sample.file_id, box))
    categories = [{"id": i, "name": name, "supercategory": ""} for i, name in display_names(label_map).items()]
    return {"images": images, "annotations": annotations, "categories": categories}


def from_coco(coco: Mapping[str, Any]) -> ForeignAnnotations:
    """The images and boxes of a COCO dictionary.

    Corners are rounded to whole pixels; what lies outside the image is cut off and counted. Crowd regions
    (``iscrowd`` 1), which stand for no single object, are dropped and counted.

    Raises:
        DatasetError: It is not a COCO dictionary; the message names the key.
    """
    labels = {_integer(entry, "id", place): _text(entry, "name", place) for place, entry in _list(coco, "categories")}
    boxes: dict[int, list[Box]] = defaultdict(list)
    crowds: dict[int, int] = defaultdict(int)
    for place, entry in _list(coco, "annotations"):
        image_id = _integer(entry, "image_id", place)
        if entry.get("iscrowd"):
            crowds[image_id] += 1
        else:
            boxes[image_id].append(_box(entry, place, labels))
    images: dict[int, ForeignImage] = {}
    clipped = dropped = 0
    for place, entry in _list(coco, "images"):
        image = _image(entry, place)
        drawn = boxes.pop(image.id, [])
        parts = [box.clipped(image.width, image.height) for box in drawn]
        inside = tuple(part for part in parts if part is not None)
        clipped += sum(part not in (None, box) for part, box in zip(parts, drawn, strict=True))
        dropped += len(drawn) - len(inside) + crowds.pop(image.id, 0)
        images[image.id] = ForeignImage(image.id, image.file_name, image.width, image.height, inside)
    if orphans := boxes.keys() | crowds.keys():
        raise _malformed("annotations", f"names the image {min(orphans)}, which is not in 'images'")
    return ForeignAnnotations(tuple(images[i] for i in sorted(images)), labels, clipped, dropped)


def _annotation(number: int, image_id: int, box: Box) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": image_id,
        "category_id": box.label_file_id,
        "bbox": [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min],
        "area": box.area,
        "iscrowd": 0,
    }


def _box(entry: Mapping[str, Any], place: str, labels: Mapping[int, str]) -> Box:
    label = _integer(entry, "category_id", place)
    if label not in labels:
        raise _malformed(f"{place}.category_id", f"is {label}, which is not in 'categories'")
    try:
        x, y, width, height = entry["bbox"]
        corners = round(x), round(y), round(x + width), round(y + height)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _malformed(f"{place}.bbox", "is not four numbers: x, y, width, height") from error
    return Box(label, *corners)


def _image(entry: Mapping[str, Any], place: str) -> ForeignImage:
    width, height = _integer(entry, "width", place), _integer(entry, "height", place)
    if width <= 0 or height <= 0:
        raise _malformed(place, f"has a size of {width} x {height} pixels")
    return ForeignImage(_integer(entry, "id", place), _text(entry, "file_name", place), width, height, ())


def _list(coco: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The entries of a list, each with the words that name it in an error."""
    entries = coco.get(key) if isinstance(coco, Mapping) else None
    if not isinstance(entries, list):
        raise _malformed(key, "is missing or not a list")
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            raise _malformed(f"{key}[{index}]", "is not an object")
        yield f"{key}[{index}]", entry


def _integer(entry: Mapping[str, Any], key: str, place: str) -> int:
    value = entry.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _malformed(f"{place}.{key}", "is missing or not a whole number")
    return value


def _text(entry: Mapping[str, Any], key: str, place: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise _malformed(f"{place}.{key}", "is missing or not a text")
    return value


def _malformed(key: str, what: str) -> DatasetError:
    return DatasetError(
        f"This is not COCO object detection: {key!r} {what}.",
        cure="Correct the file, or export it from its tool again.",
    )
