"""Label Studio: ``tasks_train.json`` to be imported there, and ``labeling_config.xml`` for the project.

Coordinates are percent of the image, with all digits, so that the pixel comes back. Boxes are ``rectanglelabels``,
polygons ``polygonlabels``, points ``keypointlabels``, tags ``choices``; attributes lie under ``meta`` of their region.
Lines have no counterpart and are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any
from xml.sax.saxutils import quoteattr

from diffgram_flows.datasets.formats.base import (
    SPLITS,
    Fitter,
    ForeignAnnotations,
    ForeignImage,
    Tally,
    WriteOptions,
    WriteReport,
    box_of,
    sorted_files,
    whole,
)
from diffgram_flows.datasets.formats.coco import attribute_object
from diffgram_flows.datasets.formats.json_text import JsonReader, json_bytes
from diffgram_flows.datasets.formats.placing import Placer
from diffgram_flows.errors import DatasetError
from diffgram_flows.geometry import is_flat
from diffgram_flows.models import Annotation, AnnotationType, LabelMap, Sample, Split

CONFIG = "labeling_config.xml"
_KINDS: dict[AnnotationType, str] = {
    "box": "rectanglelabels",
    "polygon": "polygonlabels",
    "point": "keypointlabels",
    "tag": "choices",
}
_TAGS = {"rectanglelabels": "RectangleLabels", "polygonlabels": "PolygonLabels", "keypointlabels": "KeyPointLabels"}
_POINT_WIDTH = 0.5  # percent of the image that Label Studio draws a point with
_JSON = JsonReader("Label Studio's JSON")


def write(samples: Iterable[Sample], label_map: LabelMap, folder: Path, options: WriteOptions) -> WriteReport:
    """Write the tasks of every split as a stream, and the configuration.

    Args:
        samples: In the order of the tasks.
        label_map: Their labels.
        folder: Empty.
        options: Whether images come along; tasks then name them as local files, else by the URI of their object.

    Raises:
        DatasetError: An image is to come along, and is not there.
    """
    names, tally, placer = label_map.display_names(), Tally(), Placer(options.images or "none")
    with ExitStack() as stack:
        files: dict[str, IO[bytes]] = {
            split: stack.enter_context((folder / f"tasks_{split}.json").open("wb")) for split in SPLITS
        }
        begun = dict.fromkeys(SPLITS, b"[\n")
        for sample in samples:
            image = sample.uri or sample.file_name
            if placer.policy != "none":
                name = placer.name(sample)
                placer.place(sample, folder / "images" / name)
                image = f"/data/local-files/?d=images/{name}"
            task = _task(sample, image, names, tally.held(sample, _KINDS, attributes=True))
            files[sample.split].write(begun[sample.split] + json_bytes(task))
            begun[sample.split] = b",\n"
        for split in SPLITS:
            files[split].write(b"[]\n" if begun[split] == b"[\n" else b"\n]\n")
    (folder / CONFIG).write_text(_config(names.values()), "utf-8")
    return tally.report()


def read(path: Path) -> ForeignAnnotations:
    """A file of tasks, or every one of a folder. The newest annotation that was not cancelled counts.

    Regions of other kinds are left out and counted. Labels are numbered in order of their first use, images by the id
    of their task.

    Raises:
        DatasetError: A file is malformed; the message names the key.
    """
    files = list(sorted_files(path, "*.json")) if path.is_dir() else [path]
    if not files:
        raise DatasetError(f"The folder {path} has no JSON file.", cure="Name the file itself.")
    labels: dict[str, int] = {}
    fitter, images = Fitter(), []
    for file in files:
        split: Split | None = next((name for name in SPLITS if file.stem.endswith(f"_{name}")), None)
        for place, task in _JSON.objects({"tasks": _JSON.load(file)}, "tasks"):
            image = _image(task, f"{file.name}: {place}", split, labels, fitter)
            if image is not None:
                images.append(image)
    return fitter.result(images, {number: name for name, number in labels.items()})


def _task(sample: Sample, image: str, names: Mapping[int, str], kept: Iterable[Annotation]) -> dict[str, Any]:
    size = {"original_width": sample.width, "original_height": sample.height, "image_rotation": 0}
    result = [
        {
            "id": f"{sample.file_id}-{number}",
            "type": _KINDS[annotation.type],
            "from_name": annotation.type,
            "to_name": "image",
            **size,
            "value": {**_value(annotation, sample), _KINDS[annotation.type]: [names[annotation.label_file_id]]},
            **({"meta": {"attributes": attribute_object(annotation)}} if annotation.attributes else {}),
        }
        for number, annotation in enumerate(kept, 1)
    ]
    about = {"file_name": sample.file_name, "width": sample.width, "height": sample.height, "split": sample.split}
    return {
        "id": sample.file_id,
        "data": {"image": image, **about},
        "annotations": [{"result": result, "was_cancelled": False, "ground_truth": False}],
    }


def _value(annotation: Annotation, sample: Sample) -> dict[str, Any]:
    places = [[100 * x / sample.width, 100 * y / sample.height] for x, y in annotation.points]
    if annotation.type == "box":
        (left, top), (right, bottom) = places
        return {"x": left, "y": top, "width": right - left, "height": bottom - top, "rotation": 0}
    if annotation.type == "point":
        return {"x": places[0][0], "y": places[0][1], "width": _POINT_WIDTH}
    return {"points": places, "closed": True} if annotation.type == "polygon" else {}


def _config(names: Iterable[str]) -> str:
    labels = list(names)
    parts = []
    for kind, tag in _TAGS.items():
        own = next(name for name, value in _KINDS.items() if value == kind)
        inside = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in labels)
        parts.append(f'  <{tag} name="{own}" toName="image">\n{inside}  </{tag}>\n')
    choices = "".join(f"    <Choice value={quoteattr(name)}/>\n" for name in labels)
    parts.append(f'  <Choices name="tag" toName="image" choice="multiple">\n{choices}  </Choices>\n')
    return f'<View>\n  <Image name="image" value="$image"/>\n{"".join(parts)}</View>\n'


def _image(
    task: Mapping[str, Any], place: str, split: Split | None, labels: dict[str, int], fitter: Fitter
) -> ForeignImage | None:
    """The image of a task; ``None`` if nothing says how large it is, for then nothing was drawn."""
    data = task.get("data")
    if not isinstance(data, Mapping):
        raise _JSON.malformed(f"{place}.data", "is missing or not an object")
    done = [entry for _, entry in _JSON.objects(task, "annotations", place) if not entry.get("was_cancelled")]
    regions = list(_JSON.objects(done[-1], "result", f"{place}.annotations")) if done else []
    told = [(where, region.get("original_width"), region.get("original_height")) for where, region in regions]
    sizes = {_JSON.size({"width": x, "height": y}, where) for where, x, y in told if x is not None and y is not None}
    if not sizes and not ("width" in data and "height" in data):
        fitter.skipped["images of unknown size, without annotations"] += 1
        return None
    if len(sizes) > 1:
        raise _JSON.malformed(f"{place}.annotations", "has regions of images of different sizes")
    width, height = sizes.pop() if sizes else _JSON.size(data, place)
    found = [one for where, region in regions if (one := _annotation(region, where, width, height, labels, fitter))]
    image = _JSON.text(data, "image", f"{place}.data")
    name = data["file_name"] if isinstance(data.get("file_name"), str) else image.rpartition("/")[2]
    uri = image if "://" in image else ""
    inside = fitter.fit(found, width, height)
    return ForeignImage(_JSON.integer(task, "id", place), name, width, height, inside, split, uri=uri)


def _annotation(
    region: Mapping[str, Any], place: str, width: int, height: int, labels: dict[str, int], fitter: Fitter
) -> Annotation | None:
    kind = str(region.get("type"))
    value, own = region.get("value"), next((name for name, other in _KINDS.items() if other == kind), None)
    if own is None or not isinstance(value, Mapping):
        fitter.skipped[f"type {kind}"] += 1
        return None
    try:
        names = [str(name) for name in value[kind]]
        points = _points(own, value, width, height)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _JSON.malformed(f"{place}.value", f"is not that of {kind}") from error
    if points is None or len(names) != 1:
        fitter.skipped["turned boxes" if value.get("rotation") else "without an area or with several labels"] += 1
        return None
    label = labels.setdefault(names[0], len(labels) + 1)
    meta = region.get("meta")
    return Annotation(own, label, points, _JSON.attributes(meta if isinstance(meta, Mapping) else {}, place))


def _points(
    kind: AnnotationType, value: Mapping[str, Any], width: int, height: int
) -> tuple[tuple[int, int], ...] | None:
    """The points in pixels; ``None`` for what encloses nothing, and for a box that is turned."""

    def pixels(places: Iterable[tuple[float, float]]) -> Iterator[tuple[int, int]]:
        return ((whole(x * width / 100), whole(y * height / 100)) for x, y in places)

    if kind == "tag":
        return ()
    if kind == "polygon":
        outline = tuple(pixels(value["points"]))
        return None if len(outline) < 3 or is_flat(outline) else outline
    left, top = value["x"], value["y"]
    if kind == "point":
        return tuple(pixels([(left, top)]))
    corners = tuple(pixels([(left, top), (left + value["width"], top + value["height"])]))
    box = box_of(0, *corners[0], *corners[1])
    return box.points if box and not value.get("rotation") else None
