"""COCO's annotations from whole columns of a snapshot, without making an object of every box.

Imports pyarrow; only a snapshot that is read from Parquet gets here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from diffgram_flows.datasets.columns import SPLITS, TYPES, codes_of
from diffgram_flows.datasets.formats.json_text import json_bytes
from diffgram_flows.models import Split

IMAGE_COLUMNS = ["file_id", "file_name", "width", "height", "split", "annotations"]
_Numbers: TypeAlias = npt.NDArray[np.int64]
# What stands before each of the eight numbers of a box, and after the last one.
_AROUND = (
    *(b',{"id":', b',"image_id":', b',"category_id":', b',"bbox":[', b",", b",", b",", b'],"area":'),
    b',"iscrowd":0}',
)
_GROUP = 10_000  # numbers are written four digits at a time
_PLAIN = np.arange(_GROUP).astype("S4")
_PADDED = np.char.zfill(_PLAIN, 4)
_DIGITS = np.concatenate([_PLAIN, _PADDED, np.array([b""], "S4")])
_NEEDS_ESCAPES = r'["\\\x00-\x1f]'


@dataclass(frozen=True, slots=True)
class Part:
    """Images of one split with their boxes, as JSON; a comma goes before each entry.

    Attributes:
        images, boxes: How many.
        image_text, box_text: Their entries.
    """

    split: Split
    images: int
    boxes: int
    image_text: bytes
    box_text: bytes


def plain(instances: Any) -> bool:
    """Whether all rows are boxes without attributes, which is what this module can write."""
    if codes_of(instances.column("type"), TYPES).any():  # a box has the code 0
        return False
    return not any(np.diff(chunk.offsets.to_numpy()).any() for chunk in instances.column("attributes").chunks)


def parts(images: Any, instances: Any, written: dict[Split, int]) -> Iterator[Part]:
    """The entries of a table of images and a table of their plain boxes, by split.

    Args:
        images: Rows of a snapshot's images.
        instances: The rows of their annotations, in the same order.
        written: How many annotations each split has; annotation ids go on from there.
    """
    splits = codes_of(images.column("split"), SPLITS)
    of_box = np.repeat(splits, images.column("annotations").to_numpy())
    file_ids, labels = (instances.column(name).to_numpy() for name in ("file_id", "label_file_id"))
    flat = [chunk.flatten().to_numpy() for chunk in instances.column("points").chunks]
    corners = np.concatenate(flat).reshape(-1, 4).astype(np.int64) if flat else np.zeros((0, 4), np.int64)
    entries = _images(images)
    for code, split in enumerate(SPLITS):
        chosen = np.flatnonzero(splits == code)
        if len(chosen):
            inside = of_box == code
            text = b"".join(entries.take(pa.array(chosen)).to_pylist())
            boxes = _boxes(written[split], file_ids[inside], labels[inside], corners[inside])
            yield Part(split, len(chosen), int(inside.sum()), text, boxes)


def _images(images: Any) -> Any:
    """The entry of every image, as an array of bytes."""
    names = images.column("file_name")
    if pc.any(pc.match_substring_regex(names, _NEEDS_ESCAPES)).as_py():
        quoted = pa.array([json_bytes(name).decode() for name in names.to_pylist()], pa.string())
    else:
        quoted = pc.binary_join_element_wise('"', names, '"', "")
    file_id, width, height = (images.column(name).cast(pa.string()) for name in ("file_id", "width", "height"))
    pieces = (',{"id":', file_id, ',"file_name":', quoted, ',"width":', width, ',"height":', height, "}")
    return pc.binary_join_element_wise(*pieces, "").cast(pa.binary())


def _boxes(before: int, file_ids: _Numbers, labels: _Numbers, corners: _Numbers) -> bytes:
    """The entries of boxes, one behind the other.

    They are written as rows of equal length, short numbers filled up with zero bytes, which are then taken out.
    """
    left, top, right, bottom = corners.T
    width, height = right - left, bottom - top
    ids = np.arange(before + 1, before + 1 + len(labels))
    fields: list[Any] = []
    for text, numbers in zip(_AROUND, (ids, file_ids, labels, left, top, width, height, width * height), strict=False):
        fields += [text, *_digits(numbers)]
    fields.append(_AROUND[-1])
    kinds = [(str(place), f"S{len(one)}" if isinstance(one, bytes) else "S4") for place, one in enumerate(fields)]
    rows = np.zeros(len(labels), kinds)
    for place, one in enumerate(fields):
        rows[str(place)] = one
    return rows.tobytes().translate(None, b"\0")


def _digits(numbers: _Numbers) -> list[Any]:
    """Whole numbers from 0 on as texts of at most four digits each, the highest first."""
    if not len(numbers):
        return []
    largest = int(numbers.max())
    if largest < _GROUP:
        return [_DIGITS[numbers]]
    found: list[Any] = []
    while largest:
        rest = numbers // _GROUP
        places = numbers - rest * _GROUP
        places[rest > 0] += _GROUP  # with its zeros in front
        if found:
            places[numbers == 0] = 2 * _GROUP  # nothing, for the number has ended before
        found.append(_DIGITS[places])
        numbers, largest = rest, largest // _GROUP
    return found[::-1]
