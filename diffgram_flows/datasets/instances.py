"""From what people draw in Diffgram to annotations: instances of an export (contract section 11).

Taken are boxes, polygons, lines, points and tags, with their attributes. Everything else is left out and counted under
the server's own word for it: ``type cuboid``. Box, polygon and tag were recorded with a real server; a line and a
point have ``points`` as a polygon has them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias, cast

from diffgram_flows.geometry import clipped_line, clipped_polygon, contains, is_flat
from diffgram_flows.models import Annotation, AnnotationType, Box, Point

Attributes: TypeAlias = tuple[tuple[int, str], ...]
_Points: TypeAlias = tuple[Point, ...]
_Key: TypeAlias = tuple[AnnotationType, int, _Points]

_usual = itemgetter("type", "label_file_id", "x_min", "y_min", "x_max", "y_max", "attribute_groups")

DRAWN_TWICE = "drawn twice"
OUTSIDE = "outside the image"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What one file's instances amount to.

    Attributes:
        annotations: In pixels, without doubles, in order of type, label and place; after :func:`fitted` inside the
            image.
        skipped: Why instances, or attributes of them, are not among the annotations: reason to count.
        clipped: How many annotations were cut at the edge of the image.
    """

    annotations: tuple[Annotation, ...]
    skipped: Mapping[str, int]
    clipped: int = 0

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Its boxes, and the rectangles around its polygons."""
        return tuple(box for annotation in self.annotations if (box := annotation.box) is not None)


def read_instances(instances: Iterable[Mapping[str, Any]]) -> Drawing:
    """The annotations among a file's instances, not yet cut to its image.

    The same thing twice counts once, because the server stores a packet's boxes again each time it arrives (contract
    section 10). Where the two differ in their attributes, the one with more of them stays.
    """
    found: dict[_Key, Attributes] = {}
    skipped: Counter[str] = Counter()
    for instance in instances:
        try:  # the usual case, and a million of them: a box of whole pixels without attributes
            kind, label, left, top, right, bottom, groups = _usual(instance)
            if kind == "box" and not groups and type(label) is int and left < right and top < bottom:
                usual: _Key = ("box", label, ((left, top), (right, bottom)))
                if usual not in found and type(left) is type(top) is type(right) is type(bottom) is int:
                    found[usual] = ()
                    continue
        except (KeyError, TypeError):
            pass
        key = _read(instance)
        if isinstance(key, str):
            skipped[key] += 1
            continue
        groups = instance.get("attribute_groups")
        attributes = _attributes(groups, skipped) if groups else ()
        if key in found:
            skipped[DRAWN_TWICE] += 1
            attributes = max(found[key], attributes, key=_completeness)
        found[key] = attributes
    return Drawing(tuple([Annotation(*key, found[key]) for key in sorted(found)]), skipped)


def fitted(drawing: Drawing, width: int, height: int) -> Drawing:
    """The drawing cut to an image of ``width`` x ``height`` pixels; what is wholly outside is skipped.

    A line that leaves the image and comes back becomes several lines. What is the same after the cut counts once.
    """
    for kind, _, points, _, _ in drawing.annotations:
        if kind == "box":
            (left, top), (right, bottom) = points
            if left < 0 or top < 0 or right > width or bottom > height:
                break
        elif not contains(width, height, points):
            break
    else:
        return drawing
    inside: set[Annotation] = set()
    skipped = Counter(drawing.skipped)
    clipped = drawing.clipped
    for annotation in drawing.annotations:
        parts = [annotation._replace(points=points) for points in _cut(annotation, width, height)]
        fresh = [part for part in parts if part not in inside]
        if not fresh:
            skipped[DRAWN_TWICE if parts else OUTSIDE] += 1
        else:
            clipped += fresh != [annotation]
        inside.update(fresh)
    return Drawing(tuple(sorted(inside, key=_order)), skipped, clipped)


def _order(annotation: Annotation) -> tuple[Any, ...]:
    return annotation.type, annotation.label_file_id, annotation.points, annotation.attributes


def _completeness(attributes: Attributes) -> tuple[int, Attributes]:
    return len(attributes), attributes


def _cut(annotation: Annotation, width: int, height: int) -> tuple[_Points, ...]:
    """The points of the parts that lie inside an image."""
    points = annotation.points
    if annotation.type == "box":
        (left, top), (right, bottom) = points
        left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
        return (((left, top), (right, bottom)),) if left < right and top < bottom else ()
    if annotation.type == "polygon":
        outline = clipped_polygon(points, width, height)
        return (outline,) if outline else ()
    if annotation.type == "line":
        return clipped_line(points, width, height)
    return (points,) if contains(width, height, points) else ()


def _attributes(groups: Any, skipped: Counter[str]) -> Attributes:
    """What was chosen by its name, what was written as it is; of another form, as JSON."""
    if not isinstance(groups, Mapping):
        skipped["attributes without groups"] += 1
        return ()
    found: dict[int, str] = {}
    for group, value in groups.items():
        if not str(group).isdecimal():
            skipped["attributes without groups"] += 1
            continue
        chosen = value.get("name") if isinstance(value, Mapping) else value
        if value is None or value == "" or value == {} or value == []:
            continue
        text = chosen if isinstance(chosen, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
        found[int(group)] = text
    return tuple(sorted(found.items()))


def _read(instance: Mapping[str, Any]) -> _Key | str:
    """Type, label and place of an instance, or why it is left out."""
    kind = instance.get("type")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return f"type {kind}"
    label = instance.get("label_file_id")
    if type(label) is not int:
        return "without a label"
    points = reader(instance)
    return points if isinstance(points, str) else (cast(AnnotationType, kind), label, points)


def _of_box(instance: Mapping[str, Any]) -> _Points | str:
    try:
        left, top, right, bottom = instance["x_min"], instance["y_min"], instance["x_max"], instance["y_max"]
        if not type(left) is type(top) is type(right) is type(bottom) is int:
            left, top, right, bottom = _pixel(left), _pixel(top), _pixel(right), _pixel(bottom)
    except (KeyError, TypeError, ValueError, OverflowError):
        return "without coordinates"
    return ((left, top), (right, bottom)) if left < right and top < bottom else "without an area"


def _of_polygon(instance: Mapping[str, Any]) -> _Points | str:
    points = _points(instance)
    return points if not points or isinstance(points, str) or not is_flat(points) else "without an area"


def _of_line(instance: Mapping[str, Any]) -> _Points | str:
    points = _points(instance)
    return points if isinstance(points, str) or len(set(points)) > 1 else "without a length"


def _of_point(instance: Mapping[str, Any]) -> _Points | str:
    points = _points(instance)
    return points if isinstance(points, str) or len(points) == 1 else "a point of several points"


def _of_tag(_: Mapping[str, Any]) -> _Points | str:
    return ()


def _points(instance: Mapping[str, Any]) -> _Points | str:
    try:
        points = tuple([(_pixel(point["x"]), _pixel(point["y"])) for point in instance["points"]])
    except (KeyError, TypeError, ValueError, OverflowError):
        return "without coordinates"
    return points or "without coordinates"


def _pixel(value: Any) -> int:
    """The nearest whole pixel.

    Raises:
        TypeError, ValueError, OverflowError: It is no finite number.
    """
    if type(value) is not int and type(value) is not float:
        raise TypeError(value)
    return round(value)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], _Points | str]] = {
    "box": _of_box,
    "polygon": _of_polygon,
    "line": _of_line,
    "point": _of_point,
    "tag": _of_tag,
}
