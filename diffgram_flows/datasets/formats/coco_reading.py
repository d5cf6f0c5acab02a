"""Reading COCO object detection: ours, and that of other tools."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffgram_flows.datasets.formats.base import (
    SPLITS,
    Fitter,
    ForeignAnnotations,
    ForeignImage,
    box_of,
    sorted_files,
    whole,
)
from diffgram_flows.datasets.formats.coco import ANNOTATIONS, IMAGES
from diffgram_flows.datasets.formats.json_text import JsonReader
from diffgram_flows.datasets.formats.placing import beside
from diffgram_flows.errors import DatasetError
from diffgram_flows.geometry import is_flat
from diffgram_flows.models import Annotation, Split

_JSON = JsonReader("COCO object detection")


def read(path: Path) -> ForeignAnnotations:
    """A COCO file, or every one of a folder (``instances_*.json``, else ``*.json``, also below ``annotations``).

    Raises:
        DatasetError: A file is malformed, or two of them contradict each other.
    """
    files = _files(path)
    root = path if path.is_dir() else path.parent
    images: dict[int, ForeignImage] = {}
    labels: dict[int, str] = {}
    fitter = Fitter()
    for file in files:
        split: Split | None = next((name for name in SPLITS if name in file.stem.replace("-", "_").split("_")), None)
        content = _JSON.load(file)
        try:
            found_labels, found = _images(content, fitter, split)
        except DatasetError as error:  # of a folder's files it must be told which
            raise DatasetError(f"{file}: {error.what}", cure=error.cure) from error
        for label, name in found_labels.items():
            if labels.setdefault(label, name) != name:
                raise _JSON.malformed(file.name, f"calls the category {label} {name!r}, another file {labels[label]!r}")
        for image in found:
            if image.id in images:
                raise _JSON.malformed(file.name, f"has the image {image.id}, which another file has, too")
            images[image.id] = beside(image, (root / IMAGES, root.parent / IMAGES, root))
    return fitter.result(images.values(), labels)


def from_coco(coco: Mapping[str, Any]) -> ForeignAnnotations:
    """The images and annotations of a COCO dictionary.

    Corners are rounded to whole pixels; what lies outside the image is cut off and counted. Crowd regions
    (``iscrowd`` 1), which stand for no single object, are left out and counted. A segmentation in several parts, or
    run-length encoded, counts as its box.

    Raises:
        DatasetError: It is not a COCO dictionary; the message names the key.
    """
    fitter = Fitter()
    labels, images = _images(coco, fitter, None)
    return fitter.result(images, labels)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    for pattern in ("instances_*.json", "*.json"):
        if found := list(sorted_files(path, pattern, f"{ANNOTATIONS}/{pattern}")):
            return found
    raise DatasetError(f"The folder {path} has no COCO file.", cure="Name the JSON file itself.")


def _images(coco: Any, fitter: Fitter, split: Split | None) -> tuple[dict[int, str], list[ForeignImage]]:
    labels = _categories(coco)
    drawn: dict[int, list[Annotation]] = defaultdict(list)
    for place, entry in _JSON.objects(coco, "annotations"):
        found = drawn[_JSON.integer(entry, "image_id", place)]
        annotation = "a crowd" if entry.get("iscrowd") else _annotation(entry, place, labels, fitter)
        if isinstance(annotation, str):
            fitter.skipped[annotation] += 1
        else:
            found.append(annotation)
    images: dict[int, ForeignImage] = {}
    for place, entry in _JSON.objects(coco, "images"):
        image_id, (width, height) = _JSON.integer(entry, "id", place), _JSON.size(entry, place)
        if image_id in images:
            raise _JSON.malformed(f"{place}.id", f"is {image_id}, as that of another image")
        tags = (
            [_tag(tag, where, labels) for where, tag in _JSON.objects(entry, "tags", place)] if "tags" in entry else []
        )
        inside = fitter.fit([*drawn.pop(image_id, []), *tags], width, height)
        images[image_id] = ForeignImage(image_id, _JSON.text(entry, "file_name", place), width, height, inside, split)
    if drawn:
        raise _JSON.malformed("annotations", f"names the image {min(drawn)}, which is not in 'images'")
    return labels, list(images.values())


def _categories(coco: Any) -> dict[int, str]:
    labels: dict[int, str] = {}
    for place, entry in _JSON.objects(coco, "categories"):
        label, name = _JSON.integer(entry, "id", place), _JSON.text(entry, "name", place)
        if labels.setdefault(label, name) != name:
            raise _JSON.malformed(f"{place}.id", f"is {label}, which is {labels[label]!r} and {name!r}")
    return labels


def _annotation(entry: Mapping[str, Any], place: str, labels: Mapping[int, str], fitter: Fitter) -> Annotation | str:
    """The annotation of an entry, or why it is left out."""
    label, attributes = _label(entry, place, labels), _JSON.attributes(entry, place)
    rings = entry.get("segmentation")
    if isinstance(rings, list) and len(rings) == 1:
        points = _ring(rings[0], place)
        if len(points) >= 3 and not is_flat(points):
            return Annotation("polygon", label, points, attributes)
    elif rings:
        fitter.skipped["a segmentation that is kept as its box"] += 1
    try:
        x, y, width, height = entry["bbox"]
        if width == height == 0 and entry.get("num_keypoints") == 1 and len(entry["keypoints"]) == 3:
            return Annotation("point", label, ((whole(x), whole(y)),), attributes)
        box = box_of(label, x, y, x + width, y + height)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _JSON.malformed(f"{place}.bbox", "is not four numbers: x, y, width, height") from error
    return Annotation("box", label, box.points, attributes) if box else "without an area"


def _ring(ring: Any, place: str) -> tuple[tuple[int, int], ...]:
    try:
        values = [whole(value) for value in ring]
        return tuple(zip(values[::2], values[1::2], strict=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise _JSON.malformed(f"{place}.segmentation", "is not a list of rings, each of pairs of numbers") from error


def _tag(entry: Mapping[str, Any], place: str, labels: Mapping[int, str]) -> Annotation:
    return Annotation("tag", _label(entry, place, labels), (), _JSON.attributes(entry, place))


def _label(entry: Mapping[str, Any], place: str, labels: Mapping[int, str]) -> int:
    label = _JSON.integer(entry, "category_id", place)
    if label not in labels:
        raise _JSON.malformed(f"{place}.category_id", f"is {label}, which is not in 'categories'")
    return label
