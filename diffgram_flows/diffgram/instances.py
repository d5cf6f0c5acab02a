"""Instances before they are sent: names become ids, fractions pixels, and what the server would fail on is refused.

A wrong instance is expensive: the server takes the packet, imports the image, fails minutes later, and stores the
boxes that came before the wrong one (contract section 5). So everything is checked here, and every refusal names the
instance by its index, from 0, and the field.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from diffgram_flows.diffgram.shapes import Shape, whole
from diffgram_flows.errors import InvalidRequest

#: What the server takes as ``type``, in its own words (recorded).
KINDS = frozenset(
    {"box", "polygon", "point", "cuboid", "tag", "line", "ellipse", "curve", "keypoints", "cuboid_3d"}
    | {"geo_point", "geo_circle", "geo_polyline", "geo_polygon", "geo_box"}
    | {"text_token", "global", "relation", "audio"}
)
_WITHOUT_LABEL = frozenset({"global", "relation"})
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_FEWEST_POINTS = {"polygon": 3, "line": 2, "point": 1}
_FACE_CORNERS = ("top_left", "top_right", "bot_left", "bot_right")


def prepare(
    instances: Sequence[Mapping[str, Any]],
    *,
    labels: Mapping[str, int] | None = None,
    size: tuple[int, int] | None = None,
    outside: Literal["clip", "refuse"] = "clip",
) -> list[Shape]:
    """Make instances ready to be sent; the given ones stay as they are.

    Args:
        instances: Dictionaries of :mod:`~diffgram_flows.diffgram.shapes`, or in the same form.
        labels: Label names to label file ids, where instances have names.
        size: Width and height of the upright image in pixels, if they are known.
        outside: What happens to what lies outside the image. ``clip``: boxes are cut, the points of polygons and lines
            move to the border; what is gone entirely is refused. ``refuse``: everything outside is refused. An
            ellipse and a cuboid are never cut: an ellipse needs its centre in the image, a cuboid may stand out.

    Raises:
        InvalidRequest: An instance is wrong. It names the index and the field.
    """
    known = resolve_labels(instances, labels or {})
    rounded = [_rounded(instance) for instance in known]
    check(rounded)
    if size is None:
        return rounded
    fitted = [_fitted(instance, index, size, outside) for index, instance in enumerate(rounded)]
    check(fitted)
    return fitted


def resolve_labels(instances: Sequence[Mapping[str, Any]], labels: Mapping[str, int]) -> list[Shape]:
    """Put label file ids in the place of names; what has an id keeps it.

    Args:
        instances: Dictionaries with ``name`` or ``label_file_id``.
        labels: Names to label file ids, as :meth:`ensure_labels` gives them.

    Raises:
        InvalidRequest: A name is not among the labels.
    """
    resolved: list[Shape] = []
    for index, raw in _of(instances):
        instance = dict(_mapping(raw, index))
        name = instance.pop("name", None) if instance.get("label_file_id") is None else None
        if name is not None and name not in labels:
            known = ", ".join(sorted(labels)[:20]) or "none"
            raise _wrong(
                index, "name", f"is {name!r}, which is no label here", f"Make the label first; known: {known}."
            )
        if name is not None:
            instance["label_file_id"] = labels[name]
        resolved.append(instance)
    return resolved


def check(instances: Sequence[Mapping[str, Any]], *, by_name: bool = False) -> None:
    """Refuse what the server would fail on.

    Args:
        instances: In the form that is sent.
        by_name: Whether labels are given as names, which batches alone take.

    Raises:
        InvalidRequest: An instance is wrong. It names the index and the field.
    """
    for index, raw in _of(instances):
        instance = _mapping(raw, index)
        kind = instance.get("type")
        if kind not in KINDS:
            raise _wrong(index, "type", f"is {kind!r}", f"Use one of {', '.join(sorted(KINDS))}.")
        _check_label(instance, index, by_name)
        if kind == "box":
            _check_box(instance, index)
        elif kind in _FEWEST_POINTS:
            _check_points(instance, index, _FEWEST_POINTS[str(kind)])
        elif kind == "ellipse":
            _check_ellipse(instance, index)
        elif kind == "cuboid":
            _check_cuboid(instance, index)
        _check_marks(instance, index)


def _check_label(instance: Mapping[str, Any], index: int, by_name: bool) -> None:
    if instance["type"] in _WITHOUT_LABEL:
        return
    if by_name:
        name = instance.get("name")
        if not isinstance(name, str) or not name.strip():
            raise _wrong(index, "name", f"is {name!r}", "A batch takes the label's name.")
        return
    label = instance.get("label_file_id")
    if not isinstance(label, int) or isinstance(label, bool) or label < 1:
        hint = " A label name alone does not count: resolve it." if instance.get("name") else ""
        raise _wrong(index, "label_file_id", f"is {label!r}", f"Give the id of the label file.{hint}")


def _check_box(instance: Mapping[str, Any], index: int) -> None:
    for field in _CORNERS:
        _check_pixel(instance.get(field), index, field)
    if instance["x_min"] >= instance["x_max"] or instance["y_min"] >= instance["y_max"]:
        corners = ", ".join(f"{field}={instance[field]}" for field in _CORNERS)
        raise _wrong(index, "x_max", f"leaves the box without area ({corners})", "Drop it, or correct its corners.")


def _check_points(instance: Mapping[str, Any], index: int, fewest: int) -> None:
    points = instance.get("points")
    if not isinstance(points, Sequence) or isinstance(points, str) or len(points) < fewest:
        count = len(points) if isinstance(points, Sequence) and not isinstance(points, str) else "no"
        raise _wrong(index, "points", f"has {count} points", f"A {instance['type']} needs at least {fewest}.")
    for number, place in enumerate(points):
        for axis in ("x", "y"):
            value = place.get(axis) if isinstance(place, Mapping) else None
            _check_pixel(value, index, f"points[{number}].{axis}")
    if fewest > 1 and len({(place["x"], place["y"]) for place in points}) < fewest:
        raise _wrong(index, "points", f"has fewer than {fewest} different points", "Drop it, or correct its points.")


def _check_ellipse(instance: Mapping[str, Any], index: int) -> None:
    for field in ("center_x", "center_y", "width", "height"):
        _check_pixel(instance.get(field), index, field)
    for field in ("width", "height"):
        if instance[field] < 1:
            raise _wrong(index, field, f"is {instance[field]}", "An ellipse needs at least one pixel.")
    if not _is_number(instance.get("angle", 0)):
        raise _wrong(index, "angle", f"is {instance['angle']!r}", "Give it in radians.")


def _check_cuboid(instance: Mapping[str, Any], index: int) -> None:
    for face in ("front_face", "rear_face"):
        fields = instance.get(face)
        if not isinstance(fields, Mapping):
            raise _wrong(index, face, "is missing", "A cuboid needs both faces.")
        for corner in _FACE_CORNERS:
            place = fields.get(corner)
            for axis in ("x", "y"):
                value = place.get(axis) if isinstance(place, Mapping) else None
                _check_pixel(value, index, f"{face}.{corner}.{axis}")


def _check_pixel(value: object, index: int, field: str) -> None:
    if value is None:
        raise _wrong(index, field, "is missing", "Give it in pixels.")
    if not _is_int(value):
        raise _wrong(index, field, f"is {value!r}", "Coordinates are whole pixels; the server fails on fractions.")


def _check_marks(instance: Mapping[str, Any], index: int) -> None:
    score, machine = instance.get("score"), instance.get("machine_made")
    if score is not None and not (_is_number(score) and 0 <= score <= 1):
        raise _wrong(index, "score", f"is {score!r}", "A score is a number from 0 to 1.")
    if machine is not None and not isinstance(machine, bool):
        raise _wrong(index, "machine_made", f"is {machine!r}", "It is true or false.")
    if instance.get("model_run_ref") and not instance.get("model_ref"):
        raise _wrong(index, "model_run_ref", "has no model_ref beside it", "The server drops a run without a model.")
    groups = instance.get("attribute_groups")
    if groups is not None and not (isinstance(groups, Mapping) and all(str(key).isdigit() for key in groups)):
        raise _wrong(index, "attribute_groups", f"is {groups!r}", "It is a dictionary whose keys are ids of groups.")
    try:
        json.dumps(dict(instance), allow_nan=False)
    except (TypeError, ValueError):
        unfit = next(key for key, value in instance.items() if not _is_json(value))
    else:
        return
    raise _wrong(index, str(unfit), "is no JSON (or holds NaN)", "Give plain numbers, texts, lists and dictionaries.")


def _rounded(instance: Shape) -> Shape:
    """Every coordinate as a whole pixel."""
    changed = dict(instance)
    for field in (*_CORNERS, "center_x", "center_y", "width", "height"):
        if field in changed:
            changed[field] = whole(changed[field])
    if isinstance(changed.get("points"), Sequence):
        changed["points"] = [_whole_point(place) for place in changed["points"]]
    return changed


def _whole_point(place: Any) -> Any:
    if not isinstance(place, Mapping):
        return place
    return {key: whole(value) if key in ("x", "y") else value for key, value in place.items()}


def _fitted(instance: Shape, index: int, size: tuple[int, int], outside: str) -> Shape:
    """The part of an instance that lies in the image."""
    kind, (width, height) = instance["type"], size
    changed = dict(instance)
    if kind == "box":
        limits = (("x_min", width), ("y_min", height), ("x_max", width), ("y_max", height))
        changed |= {field: _inside(instance[field], limit) for field, limit in limits}
    elif kind in _FEWEST_POINTS:
        changed["points"] = [
            {**place, "x": _inside(place["x"], width), "y": _inside(place["y"], height)} for place in instance["points"]
        ]
    elif kind == "ellipse":
        centre = {"center_x": _inside(instance["center_x"], width), "center_y": _inside(instance["center_y"], height)}
        if changed | centre != changed:
            raise _outside(index, "center_x", kind, size)
    if changed == instance:
        return changed
    gone = kind == "box" and (changed["x_min"] >= changed["x_max"] or changed["y_min"] >= changed["y_max"])
    if outside == "refuse" or gone or kind == "point":
        raise _outside(index, "x_min" if kind == "box" else "points", kind, size)
    return changed


def _inside(value: int, limit: int) -> int:
    return min(max(0, value), limit)


def _outside(index: int, field: str, kind: str, size: tuple[int, int]) -> InvalidRequest:
    what = f"puts the {kind} outside the image of {size[0]} x {size[1]} pixels"
    return _wrong(index, field, what, "Correct it, or drop the instance.")


def _wrong(index: int, field: str, what: str, cure: str) -> InvalidRequest:
    text = f"Instance {index}: {field} {what}."
    return InvalidRequest(text, cure=cure, fields={f"instance_list[{index}].{field}": what})


def _of(instances: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    if isinstance(instances, (str, bytes, Mapping)):
        raise InvalidRequest("The instances are no list.", cure="Give a list of dictionaries.")
    return enumerate(instances)


def _mapping(instance: object, index: int) -> Mapping[str, Any]:
    if isinstance(instance, Mapping):
        return instance
    raise InvalidRequest(
        f"Instance {index} is a {type(instance).__name__}.", cure="Give a dictionary; shapes.box and so on make one."
    )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True
