"""Annotation formats of other tools: a format is one module with a writer and a reader, and one line here."""

from __future__ import annotations

from diffgram_flows.datasets.formats import (
    coco,
    coco_reading,
    jsonl,
    label_studio,
    tfrecord,
    voc,
    yolo,
)
from diffgram_flows.datasets.formats.base import (
    ForeignAnnotations,
    ForeignImage,
    Format,
    ImagePolicy,
    WriteOptions,
    WriteReport,
)
from diffgram_flows.errors import ConfigurationError

__all__ = [
    "FORMATS",
    "ForeignAnnotations",
    "ForeignImage",
    "Format",
    "ImagePolicy",
    "WriteOptions",
    "WriteReport",
    "find_format",
]

FORMATS: dict[str, Format] = {
    "coco": Format(coco.write, coco_reading.read),
    "jsonl": Format(jsonl.write, jsonl.read),
    "label-studio": Format(label_studio.write, label_studio.read),
    "tfrecord": Format(tfrecord.write, tfrecord.read),
    "voc": Format(voc.write, voc.read, images="copy"),
    "yolo": Format(yolo.write_boxes, yolo.read, images="copy"),
    "yolo-seg": Format(yolo.write_polygons, yolo.read, images="copy"),
}


def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in FORMATS:
        raise ConfigurationError(
            f"There is no annotation format {name!r}.", cure=f"Choose one of: {', '.join(sorted(FORMATS))}."
        )
    return FORMATS[name]
