"""Plain JSON lines: ``samples.jsonl`` with everything about one image a line, and ``labels.json``. Nothing is lost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from diffgram_flows.datasets.formats.base import (
    ALL_TYPES,
    Fitter,
    ForeignAnnotations,
    ForeignImage,
    Tally,
    WriteOptions,
    WriteReport,
    whole,
)
from diffgram_flows.datasets.formats.coco import attribute_object
from diffgram_flows.datasets.formats.json_text import JsonReader, json_bytes
from diffgram_flows.datasets.formats.placing import Placer, beside
from diffgram_flows.errors import DatasetError
from diffgram_flows.geometry import is_flat
from diffgram_flows.models import Annotation, AnnotationType, LabelMap, Sample, Split

SAMPLES, LABELS, IMAGES = "samples.jsonl", "labels.json", "images"
_FEWEST: dict[str, int] = {"box": 2, "polygon": 3, "line": 2, "point": 1, "tag": 0}
_TYPES: tuple[AnnotationType, ...] = get_args(AnnotationType)
_JSON = JsonReader("our JSON lines")


def write(samples: Iterable[Sample], label_map: LabelMap, folder: Path, options: WriteOptions) -> WriteReport:
    """Write a line a sample, as a stream. Raises :class:`DatasetError` if an image is to come along and is missing."""
    tally, placer = Tally(), Placer(options.images or "none")
    with (folder / SAMPLES).open("wb") as file:
        for sample in samples:
            image = None
            if placer.policy != "none":
                image = placer.name(sample)
                placer.place(sample, folder / IMAGES / image)
            file.write(json_bytes(_row(sample, image, tally.held(sample, ALL_TYPES, attributes=True))) + b"\n")
    labels = [{"id": label, "name": name} for label, name in label_map.display_names().items()]
    (folder / LABELS).write_bytes(json_bytes({"labels": labels}) + b"\n")
    return tally.report()


def read(path: Path) -> ForeignAnnotations:
    """A folder, or the ``samples.jsonl`` of one.

    Raises:
        DatasetError: A file is missing or malformed; the message names the line.
    """
    lines = path / SAMPLES if path.is_dir() else path
    told = _JSON.load(lines.parent / LABELS)
    labels = {_JSON.integer(e, "id", place): _JSON.text(e, "name", place) for place, e in _JSON.objects(told, "labels")}
    fitter, images = Fitter(), []
    try:
        with lines.open("rb") as file:
            for number, line in enumerate(file, 1):
                place = f"line {number} of {lines.name}"
                row = _JSON.parse(line, place)
                image = _image(row, place, labels, fitter)
                placed = beside(replace(image, file_name=str(row.get("image") or "")), (lines.parent / IMAGES,))
                images.append(replace(image, path=placed.path))
    except OSError as error:
        raise DatasetError(f"{lines} cannot be read: {error.strerror}.", cure="Check the path.") from error
    return fitter.result(images, labels)


def _row(sample: Sample, image: str | None, annotations: Iterable[Annotation]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "file_id": sample.file_id,
        "file_name": sample.file_name,
        "uri": sample.uri,
        "sha256": sample.sha256,
        "width": sample.width,
        "height": sample.height,
        "split": sample.split,
        "modified": sample.modified,
        "annotations": [_entry(annotation) for annotation in annotations],
    }
    return row if image is None else {**row, "image": image}


def _entry(annotation: Annotation) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": annotation.type, "label": annotation.label_file_id, "points": annotation.points}
    if annotation.attributes:
        entry["attributes"] = attribute_object(annotation)
    if annotation.score is not None:
        entry["score"] = annotation.score
    return entry


def _image(row: Any, place: str, labels: Mapping[int, str], fitter: Fitter) -> ForeignImage:
    if not isinstance(row, Mapping):
        raise _JSON.malformed(place, "is not an object")
    width, height = _JSON.size(row, place)
    found = [_annotation(entry, where, labels) for where, entry in _JSON.objects(row, "annotations", place)]
    split: Split | None = next((name for name in get_args(Split) if name == row.get("split")), None)
    name = _JSON.text(row, "file_name", place)
    inside = fitter.fit(found, width, height)
    uri, sha256 = str(row.get("uri") or ""), str(row.get("sha256") or "")
    file_id = _JSON.integer(row, "file_id", place)
    return ForeignImage(file_id, name, width, height, inside, split, uri=uri, sha256=sha256)


def _annotation(entry: Mapping[str, Any], place: str, labels: Mapping[int, str]) -> Annotation:
    kind = next((name for name in _TYPES if name == entry.get("type")), None)
    label = _JSON.integer(entry, "label", place)
    if kind is None or label not in labels:
        raise _JSON.malformed(place, "has a type or a label that is not known")
    try:
        points = tuple((whole(x), whole(y)) for x, y in entry["points"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _JSON.malformed(f"{place}.points", "is not a list of pairs of numbers") from error
    if not _sound(kind, points):
        raise _JSON.malformed(f"{place}.points", f"does not make a {kind}")
    score = entry.get("score")
    return Annotation(kind, label, points, _JSON.attributes(entry, place), score if isinstance(score, float) else None)


def _sound(kind: AnnotationType, points: tuple[tuple[int, int], ...]) -> bool:
    if kind == "box":
        return len(points) == 2 and points[0][0] < points[1][0] and points[0][1] < points[1][1]
    if kind == "polygon":
        return len(points) >= _FEWEST[kind] and not is_flat(points)
    return len(points) >= _FEWEST[kind] if kind == "line" else len(points) == _FEWEST[kind]
