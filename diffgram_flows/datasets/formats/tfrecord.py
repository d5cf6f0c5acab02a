"""TFRecord with the keys of the TensorFlow Object Detection API, in shards: ``train-00000-of-00004.tfrecord``.

Corners are shares of the image's width and height. Class numbers count from 1, since 0 is the background there, in
order of the label map, and ``label_map.pbtxt`` names them. A tag is an image-level class. TensorFlow's decoders do not
know of EXIF: an image that is turned by it, or of a type that they cannot read, is stored upright as PNG.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from PIL import Image, ImageOps

from diffgram_flows.datasets.formats.base import (
    SPLITS,
    Fitter,
    ForeignAnnotations,
    ForeignImage,
    Tally,
    WriteOptions,
    WriteReport,
    box_of,
    read_bytes,
    sorted_files,
)
from diffgram_flows.datasets.formats.placing import missing
from diffgram_flows.datasets.formats.tf_example import Values, decode, encode, read_records, write_record
from diffgram_flows.errors import DatasetError
from diffgram_flows.images import as_rgb, check_pixels, header
from diffgram_flows.masks import mask_of
from diffgram_flows.models import Annotation, LabelMap, Sample, Split

LABELS = "label_map.pbtxt"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_MAGIC = {b"\xff\xd8\xff": b"jpeg", b"\x89PNG\r\n\x1a\n": b"png"}  # what every TensorFlow decoder takes
_TEXT = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_ITEM = re.compile(rf"""item\s*\{{((?:[^{{}}"']|{_TEXT})*)\}}""")
_ID = re.compile(r"\bid\s*:\s*(\d+)")
_NAME = re.compile(rf"\bname\s*:\s*({_TEXT})")


def shard_name(split: str, number: int, shards: int) -> str:
    """The name of a shard."""
    return f"{split}-{number:05}-of-{shards:05}.tfrecord"


def write(samples: Iterable[Sample], label_map: LabelMap, folder: Path, options: WriteOptions) -> WriteReport:
    """Write the shards of every split; the n-th image of a split goes into shard n modulo their number.

    Args:
        samples: In the order in which they are to be written; one image at a time is in memory.
        label_map: Their labels.
        folder: Where to.
        options: How many shards, and whether masks.

    Raises:
        DatasetError: An image is not there.
        ImageRejected: An image cannot be decoded.
    """
    names, numbers, tally = label_map.display_names(), label_map.index_of(), Tally()
    with ExitStack() as stack:
        shards = {
            split: [
                stack.enter_context((folder / shard_name(split, n, options.shards)).open("wb"))
                for n in range(options.shards)
            ]
            for split in SPLITS
        }
        count = dict.fromkeys(SPLITS, 0)
        for sample in samples:
            features = _features(sample, numbers, names, tally, masks=options.masks)
            file: IO[bytes] = shards[sample.split][count[sample.split] % options.shards]
            count[sample.split] += 1
            write_record(file, encode(features))
    items = [f'item {{\n  id: {numbers[i] + 1}\n  name: "{_quoted(name)}"\n}}\n' for i, name in names.items()]
    (folder / LABELS).write_text("".join(items), "utf-8")
    return tally.report()


def read(path: Path) -> ForeignAnnotations:
    """A TFRecord file, or every one of a folder, with the label map beside it if there is one.

    Images are numbered in order of the files.

    Raises:
        DatasetError: A file is damaged or lacks a key; the message names the record.
    """
    files = list(sorted_files(path, "*.tfrecord*", "*.record*")) if path.is_dir() else [path]
    if not files:
        raise DatasetError(f"The folder {path} has no TFRecord file.", cure="Name the file itself.")
    beside = (path if path.is_dir() else path.parent) / LABELS
    labels = _read_labels(beside) if beside.is_file() else {}
    fitter = Fitter()
    images: list[ForeignImage] = []
    for file in files:
        split: Split | None = next((name for name in SPLITS if file.name.startswith(name)), None)
        for number, record in enumerate(read_records(file)):
            place = f"record {number} of {file}"
            images.append(_image(decode(record, place), len(images) + 1, split, place, labels, fitter))
    return fitter.result(images, labels)


def _features(
    sample: Sample, numbers: Mapping[int, int], names: Mapping[int, str], tally: Tally, *, masks: bool
) -> dict[str, Values]:
    kept = tally.held(sample, {"box", "polygon", "tag"} if masks else {"box", "tag"})
    tags = [annotation for annotation in kept if annotation.type == "tag"]
    drawn = [annotation for annotation in kept if annotation.type != "tag"]
    boxes = [box for annotation in drawn if (box := annotation.box) is not None]
    encoded, kind, digest = _encoded(sample)
    tally.changed["images stored upright as PNG"] += digest != sample.sha256
    name = sample.file_name.encode(errors="replace")
    width, height = sample.width, sample.height
    features: dict[str, Values] = {
        "image/encoded": [encoded],
        "image/format": [kind],
        "image/filename": [name],
        "image/source_id": [str(sample.file_id).encode()],
        "image/key/sha256": [digest.encode()],
        "image/width": [width],
        "image/height": [height],
        "image/object/bbox/xmin": [box.x_min / width for box in boxes],
        "image/object/bbox/ymin": [box.y_min / height for box in boxes],
        "image/object/bbox/xmax": [box.x_max / width for box in boxes],
        "image/object/bbox/ymax": [box.y_max / height for box in boxes],
        "image/object/area": [float(box.area) for box in boxes],
        "image/object/is_crowd": [0] * len(boxes),
        "image/object/difficult": [0] * len(boxes),
        "image/object/class/label": [numbers[box.label_file_id] + 1 for box in boxes],
        "image/object/class/text": [names[box.label_file_id].encode() for box in boxes],
        "image/class/label": [numbers[tag.label_file_id] + 1 for tag in tags],
        "image/class/text": [names[tag.label_file_id].encode() for tag in tags],
    }
    if masks:
        features["image/object/mask"] = [_mask(annotation, width, height) for annotation in drawn]
    return features


def _encoded(sample: Sample) -> tuple[bytes, bytes, str]:
    """The bytes of an image that any decoder shows upright, their format, and their SHA-256."""
    try:
        content = sample.path.read_bytes()
    except FileNotFoundError as error:
        raise missing(sample) from error
    kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), b"")
    if not kind or header(content, name=sample.file_name)[2] != 1:
        check_pixels(content, name=sample.file_name)
        with Image.open(io.BytesIO(content)) as image, io.BytesIO() as upright:
            turned = ImageOps.exif_transpose(image)
            (turned.convert("L") if turned.mode in ("1", "L") else as_rgb(turned)).save(upright, "PNG")
            content, kind = upright.getvalue(), b"png"
        return content, kind, hashlib.sha256(content).hexdigest()
    return content, kind, sample.sha256


def _mask(annotation: Annotation, width: int, height: int) -> bytes:
    """A PNG of the whole image, 1 where the object is."""
    outline = annotation.points
    if annotation.type == "box":
        (left, top), (right, bottom) = outline
        outline = ((left, top), (right, top), (right, bottom), (left, bottom))
    with io.BytesIO() as file:
        Image.fromarray(mask_of(outline, width, height).astype("uint8")).save(file, "PNG")
        return file.getvalue()


def _image(
    features: Mapping[str, list[Any]],
    number: int,
    split: Split | None,
    place: str,
    labels: dict[int, str],
    fitter: Fitter,
) -> ForeignImage:
    try:
        (width,), (height,) = features["image/width"], features["image/height"]
        name = bytes(features["image/filename"][0]).decode()
        if int(width) <= 0 or int(height) <= 0:
            raise ValueError(width, height)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise _malformed(place, "has no image/width, image/height and image/filename") from error
    try:
        found = [*_boxes(features, width, height, labels, fitter), *_tags(features, labels)]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _malformed(place, "has boxes without a class or with missing corners") from error
    digest = b"".join(features.get("image/key/sha256", [])).decode(errors="replace")
    return ForeignImage(number, name, width, height, fitter.fit(found, width, height), split, sha256=digest)


def _boxes(
    features: Mapping[str, list[Any]], width: int, height: int, labels: dict[int, str], fitter: Fitter
) -> Iterator[Annotation]:
    corners = [features.get(f"image/object/bbox/{corner}", []) for corner in _CORNERS]
    for label, left, top, right, bottom in zip(_classes(features, "image/object/class", labels), *corners, strict=True):
        box = box_of(label, left * width, top * height, right * width, bottom * height)
        if box is None:
            fitter.skipped["without an area"] += 1
        else:
            yield box


def _tags(features: Mapping[str, list[Any]], labels: dict[int, str]) -> Iterator[Annotation]:
    for label in _classes(features, "image/class", labels):
        yield Annotation("tag", label)


def _classes(features: Mapping[str, list[Any]], key: str, labels: dict[int, str]) -> Sequence[int]:
    """The class numbers, whose names are put among the labels where no label map has them."""
    numbers, texts = features.get(f"{key}/label", []), features.get(f"{key}/text", [])
    for number, text in zip(numbers, texts or [str(number).encode() for number in numbers], strict=True):
        labels.setdefault(int(number), bytes(text).decode())
    return numbers


def _read_labels(path: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for item in _ITEM.findall(read_bytes(path).decode(errors="replace")):
        number, name = _ID.search(re.sub(_TEXT, "", item)), _NAME.search(item)
        if number is None or name is None:
            raise _malformed(str(path), f"has an item without an id or a name: {item.strip()[:80]!r}")
        found[int(number[1])] = re.sub(r"\\(.)", lambda match: {"n": "\n"}.get(match[1], match[1]), name[1][1:-1])
    return found


def _quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _malformed(place: str, what: str) -> DatasetError:
    return DatasetError(
        f"{place} {what}.", cure="It is not of the TensorFlow Object Detection API; write the file again."
    )
