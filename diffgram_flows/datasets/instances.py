"""From what people draw in Diffgram to boxes: instances of an export (contract section 11)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffgram_flows.models import Box


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one file's instances amount to.

    Attributes:
        boxes: In pixels, without doubles, in a fixed order; after :func:`fitted` inside the image.
        skipped: Why instances are not among the boxes: reason to count.
        clipped: How many boxes were cut at the edge of the image.
    """

    boxes: tuple[Box, ...]
    skipped: Mapping[str, int]
    clipped: int = 0


def read_instances(instances: Iterable[Mapping[str, Any]]) -> Drawing:
    """Boxes as they are, polygons as the rectangle around them; everything else is counted by type.

    The same box twice counts once: the server stores a packet's boxes again each time it arrives (contract section 10).
    """
    boxes: set[Box] = set()
    skipped: Counter[str] = Counter()
    for instance in instances:
        box = _read(instance)
        if isinstance(box, str):
            skipped[box] += 1
        elif box in boxes:
            skipped["drawn twice"] += 1
        else:
            boxes.add(box)
    return Drawing(tuple(sorted(boxes, key=_order)), skipped)


def fitted(drawing: Drawing, width: int, height: int) -> Drawing:
    """The drawing cut to an image of ``width`` x ``height`` pixels; boxes wholly outside are skipped."""
    boxes: set[Box] = set()
    skipped = Counter(drawing.skipped)
    clipped = 0
    for box in drawing.boxes:
        inside = box.clipped(width, height)
        if inside is None:
            skipped["outside the image"] += 1
        else:
            boxes.add(inside)
            clipped += inside != box
    return Drawing(tuple(sorted(boxes, key=_order)), skipped, clipped)


def _order(box: Box) -> tuple[int, ...]:
    return box.label_file_id, box.x_min, box.y_min, box.x_max, box.y_max


def _read(instance: Mapping[str, Any]) -> Box | str:
    """The box of an instance, or why it has none."""
    kind = str(instance.get("type"))
    corners = _CORNERS.get(kind)
    if corners is None:
        return f"type {kind}"
    label_file_id = instance.get("label_file_id")
    if not isinstance(label_file_id, int):
        return "without a label"
    try:
        x_min, y_min, x_max, y_max = (round(value) for value in corners(instance))
    except (KeyError, TypeError, ValueError, OverflowError):
        return "without coordinates"
    if x_min >= x_max or y_min >= y_max:
        return "without an area"
    return Box(label_file_id, x_min, y_min, x_max, y_max)


def _of_box(instance: Mapping[str, Any]) -> Sequence[float]:
    return [instance[name] for name in ("x_min", "y_min", "x_max", "y_max")]


def _of_polygon(instance: Mapping[str, Any]) -> Sequence[float]:
    points = instance["points"]
    across, down = [point["x"] for point in points], [point["y"] for point in points]
    return [min(across), min(down), max(across), max(down)]


_CORNERS: Mapping[str, Callable[[Mapping[str, Any]], Sequence[float]]] = {"box": _of_box, "polygon": _of_polygon}
