"""COCO object detection: ``images``, ``annotations`` with ``bbox`` as (x, y, width, height), ``categories``.

One file a split: ``annotations/instances_train.json``. Category ids are Diffgram's label file ids, image ids its file
ids, so that nothing has to be looked up on the way back.

A polygon has one ring of ``segmentation``, a point is one visible keypoint. Attributes lie under ``attributes``, by the
id of their group, and tags, which COCO does not know, under ``tags`` of their image; COCO tools overlook both keys.
Lines are left out.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from diffgram_flows.datasets.formats.base import SPLITS, Tally, WriteOptions, WriteReport
from diffgram_flows.datasets.formats.json_text import json_bytes
from diffgram_flows.datasets.formats.placing import Placer
from diffgram_flows.geometry import polygon_area, rectangle
from diffgram_flows.models import Annotation, LabelMap, Sample, Split

ANNOTATIONS, IMAGES = "annotations", "images"
_BOX = b',{"id":%d,"image_id":%d,"category_id":%d,"bbox":[%d,%d,%d,%d],"area":%d,"iscrowd":0}'
_FLUSHED = 1000  # fragments that are written together


def file_name(split: str) -> str:
    """Where a split's annotations lie below the folder."""
    return f"{ANNOTATIONS}/instances_{split}.json"


def write(samples: Iterable[Sample], label_map: LabelMap, folder: Path, options: WriteOptions) -> WriteReport:
    """Write one file a split, in one pass over the samples. Memory does not grow with their number.

    Args:
        samples: In the order in which they are to be written.
        label_map: Their labels.
        folder: Empty.
        options: Whether images come along.

    Raises:
        DatasetError: An image is to come along, and is not there.
    """
    tally, placer = Tally(), Placer(options.images or "none")
    (folder / ANNOTATIONS).mkdir(parents=True)
    with ExitStack() as stack:
        files = {split: _SplitFile(stack, folder / file_name(split), tally) for split in SPLITS}
        if isinstance(samples, _Columnar) and placer.policy == "none":
            _write_columns(samples, files)
        else:
            for sample in samples:
                name = sample.file_name
                if placer.policy != "none":
                    name = placer.name(sample)
                    placer.place(sample, folder / IMAGES / name)
                files[sample.split].add(sample, name)
        for file in files.values():
            file.finish(label_map)
    return tally.report()


@runtime_checkable
class _Columnar(Protocol):
    """Samples that can be had as tables: the images, and their annotations, some thousand images at a time."""

    def tables(self, *, images: list[str] | None = None) -> Iterator[tuple[Any, Any]]: ...
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...


class _SplitFile:
    """One file while it grows. Its images, which come after all annotations in it, wait in a nameless file."""

    def __init__(self, stack: ExitStack, path: Path, tally: Tally) -> None:
        self._file: IO[bytes] = stack.enter_context(path.open("wb"))
        rest = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115  # the stack closes it
        self._rest: IO[bytes] = stack.enter_context(rest)
        self._tally = tally
        self._images: list[bytes] = []
        self._annotations: list[bytes] = []
        self.images = self.annotations = 0
        self._file.write(b'{"annotations":[')

    def add(self, sample: Sample, name: str) -> None:
        """One image with its annotations; annotation ids count from 1, which COCO tools expect."""
        image: dict[str, Any] = {
            "id": sample.file_id,
            "file_name": name,
            "width": sample.width,
            "height": sample.height,
        }
        fragments, image_id, number = self._annotations, sample.file_id, self.annotations + len(self._annotations)
        boxes = 0
        for annotation in sample.annotations:
            if annotation.type == "box" and not annotation.attributes:  # the usual case, and a million of them
                (left, top), (right, bottom) = annotation.points
                width, height = right - left, bottom - top
                number += 1
                boxes += 1
                label = annotation.label_file_id
                fragments.append(_BOX % (number, image_id, label, left, top, width, height, width * height))
            elif annotation.type == "tag":
                image.setdefault("tags", []).append(_about(annotation))
                self._tally.written["tag"] += 1
            elif (entry := _entry(annotation)) is not None:
                number += 1
                fragments.append(b"," + json_bytes({"id": number, "image_id": image_id, **entry}))
                self._tally.written[annotation.type] += 1
            else:
                self._tally.left_out[f"{annotation.type}s"] += 1
        if boxes:
            self._tally.written["box"] += boxes
        self._tally.images += 1
        self._images.append(b"," + json_bytes(image))
        if len(self._images) + len(fragments) > _FLUSHED:
            self.flush()

    def add_text(self, images: int, image_text: bytes, boxes: int, box_text: Any) -> None:
        """Entries that are ready; a comma goes before each. Call :meth:`flush` before."""
        self._tally.images += images
        if boxes:
            self._tally.written["box"] += boxes
        self._write(self._rest, self.images, image_text)
        self._write(self._file, self.annotations, box_text)
        self.images += images
        self.annotations += boxes

    def finish(self, label_map: LabelMap) -> None:
        """Write what is left, and the categories."""
        self.flush()
        self._file.write(b'],"images":[')
        self._rest.seek(0)
        shutil.copyfileobj(self._rest, self._file, 1 << 20)
        categories = [{"id": i, "name": name, "supercategory": ""} for i, name in label_map.display_names().items()]
        self._file.write(b'],"categories":' + json_bytes(categories) + b"}\n")

    def flush(self) -> None:
        """Write what has come together."""
        self._write(self._rest, self.images, b"".join(self._images))
        self._write(self._file, self.annotations, b"".join(self._annotations))
        self.images += len(self._images)
        self.annotations += len(self._annotations)
        self._images.clear()
        self._annotations.clear()

    def _write(self, file: IO[bytes], before: int, text: Any) -> None:
        view = memoryview(text)
        file.write(view if before else view[1:])  # no comma before the first


def _write_columns(samples: _Columnar, files: Mapping[Split, _SplitFile]) -> None:
    """Boxes as whole columns; where there is anything else, the samples one by one."""
    from diffgram_flows.datasets.formats import coco_columns

    first = 0
    for images, instances in samples.tables(images=coco_columns.IMAGE_COLUMNS):
        end = first + images.num_rows
        if coco_columns.plain(instances):
            for file in files.values():
                file.flush()
            written = {split: file.annotations for split, file in files.items()}
            for part in coco_columns.parts(images, instances, written):
                files[part.split].add_text(part.images, part.image_text, part.boxes, part.box_text)
        else:
            for sample in samples[first:end]:
                files[sample.split].add(sample, sample.file_name)
        first = end


def _entry(annotation: Annotation) -> dict[str, Any] | None:
    """What is not a plain box, without its ids; ``None`` for what COCO cannot hold."""
    if annotation.type == "point":
        x, y = annotation.points[0]
        shape: dict[str, Any] = {"bbox": [x, y, 0, 0], "area": 0, "keypoints": [x, y, 2], "num_keypoints": 1}
    elif annotation.type in ("box", "polygon"):
        left, top, right, bottom = rectangle(annotation.points)
        shape = {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
        if annotation.type == "polygon":
            shape["area"] = _plain(polygon_area(annotation.points))
            shape["segmentation"] = [[value for point in annotation.points for value in point]]
    else:
        return None
    return {**_about(annotation), **shape, "iscrowd": 0}


def _about(annotation: Annotation) -> dict[str, Any]:
    about: dict[str, Any] = {"category_id": annotation.label_file_id}
    if annotation.attributes:
        about["attributes"] = attribute_object(annotation)
    return about


def attribute_object(annotation: Annotation) -> Mapping[str, str]:
    """Attributes as JSON objects hold them: group id, as text, to value."""
    return {str(group): value for group, value in annotation.attributes}


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else value
