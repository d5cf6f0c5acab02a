"""Boxes that look like slips: too small to be seen, drawn twice, named twice, or as large as the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from diffgram_flows.models import Box, Sample

Kind = Literal["tiny", "drawn twice", "two labels", "whole image"]
KINDS: dict[Kind, str] = {
    "tiny": "a side shorter than 4 pixels: a click that became a box",
    "drawn twice": "the same label on the same place (IoU 0.9 and more)",
    "two labels": "two labels on the same place (IoU 0.95 and more)",
    "whole image": "98 % of the image and more: a tag would say it",
}
_SHORTEST = 4
_TWICE, _TWO_LABELS = 0.9, 0.95
_WHOLE = 0.98


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Boxes of an image that somebody should look at."""

    kind: Kind
    sample: Sample
    boxes: tuple[Box, ...]


def suspicions(sample: Sample, boxes: tuple[Box, ...]) -> Iterator[Suspicion]:
    """What is odd about the boxes of a sample."""
    whole = _WHOLE * sample.width * sample.height
    for box in boxes:
        if min(box.x_max - box.x_min, box.y_max - box.y_min) < _SHORTEST:
            yield Suspicion("tiny", sample, (box,))
        elif box.area >= whole:
            yield Suspicion("whole image", sample, (box,))
    if len(boxes) > 1:
        yield from _pairs(sample, sorted(boxes, key=lambda box: box.x_min))


def _pairs(sample: Sample, boxes: list[Box]) -> Iterator[Suspicion]:
    """Pairs that are one place; from left to right, so that few have to be compared."""
    for place, box in enumerate(boxes):
        end = box.x_min + (1 - _TWICE) * (box.x_max - box.x_min)  # who begins behind it cannot share 90 %
        for other in boxes[place + 1 :]:
            if other.x_min > end:
                break
            same = box.label_file_id == other.label_file_id
            if box.iou(other) >= (_TWICE if same else _TWO_LABELS):
                yield Suspicion("drawn twice" if same else "two labels", sample, (box, other))
