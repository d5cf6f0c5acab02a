"""What can be drawn: one function a kind, giving the dictionary that the server takes (contract sections 5 and 10).

Coordinates are pixels of the upright image, the origin is its upper left corner. Fractions are rounded, because the
server fails on them. A label is the id of a label *file*, or a name, which
:func:`~diffgram_flows.diffgram.instances.resolve_labels` turns into one; batches alone take names.

Recorded with a real server: box, polygon and tag. The others have the fields that the recorded rows of instances
have for them; what the server says to them was not recorded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeAlias

from diffgram_flows.errors import InvalidRequest
from diffgram_flows.models import Box, Seen

Shape: TypeAlias = dict[str, Any]
Label: TypeAlias = int | str
Pair: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class MachineMark:
    """Who drew a box that no person drew; the server makes Model and ModelRun rows of the two references."""

    model_ref: str
    model_run_ref: str


@dataclass(frozen=True, slots=True)
class Face:
    """One of the two rectangles of a cuboid, in pixels."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float

    def fields(self) -> dict[str, Any]:
        """The four corners, and width and height."""
        left, top, right, bottom = (whole(value) for value in (self.x_min, self.y_min, self.x_max, self.y_max))
        return {
            "width": right - left,
            "height": bottom - top,
            "top_left": {"x": left, "y": top},
            "top_right": {"x": right, "y": top},
            "bot_left": {"x": left, "y": bottom},
            "bot_right": {"x": right, "y": bottom},
        }


def box(label: Label, x_min: float, y_min: float, x_max: float, y_max: float, **marks: Any) -> Shape:
    """A rectangle.

    Args:
        label: A label file id, or a name that is still to be resolved.
        x_min: Its left side, in pixels.
        y_min: Its upper side.
        x_max: Its right side.
        y_max: Its lower side.
        **marks: As for :func:`marked`.
    """
    corners = {"x_min": whole(x_min), "y_min": whole(y_min), "x_max": whole(x_max), "y_max": whole(y_max)}
    return marked("box", label, corners, **marks)


def polygon(label: Label, points: Iterable[Pair], **marks: Any) -> Shape:
    """A closed outline of at least three points, (x, y) in pixels."""
    return marked("polygon", label, {"points": _points(points)}, **marks)


def line(label: Label, points: Iterable[Pair], **marks: Any) -> Shape:
    """An open line of at least two points, (x, y) in pixels. Not recorded."""
    return marked("line", label, {"points": _points(points)}, **marks)


def point(label: Label, x: float, y: float, **marks: Any) -> Shape:
    """One point in pixels. Not recorded."""
    return marked("point", label, {"points": _points([(x, y)])}, **marks)


def ellipse(
    label: Label, center_x: float, center_y: float, width: float, height: float, *, angle: float = 0.0, **marks: Any
) -> Shape:
    """An ellipse; ``width`` and ``height`` are whole diameters in pixels, ``angle`` is in radians. Not recorded."""
    fields = {
        "center_x": whole(center_x),
        "center_y": whole(center_y),
        "width": whole(width),
        "height": whole(height),
        "angle": angle,
    }
    return marked("ellipse", label, fields, **marks)


def cuboid(label: Label, front: Face, rear: Face, **marks: Any) -> Shape:
    """A box in perspective: the face that is near and the one behind it. Not recorded."""
    return marked("cuboid", label, {"front_face": front.fields(), "rear_face": rear.fields()}, **marks)


def tag(label: Label, **marks: Any) -> Shape:
    """A label for the whole file, without a place in it."""
    return marked("tag", label, {}, **marks)


def marked(
    kind: str,
    label: Label,
    fields: Mapping[str, Any],
    *,
    attributes: Mapping[int | str, Any] | None = None,
    machine: MachineMark | None = None,
    score: float | None = None,
    number: int | None = None,
) -> Shape:
    """Put an instance together.

    Args:
        kind: The server's word for it.
        label: A label file id, or a name that is still to be resolved.
        fields: Its geometry.
        attributes: Attribute group id -> ``{"id": option id, "name": option name}``, or free text. The server stores
            and exports them as they are.
        machine: Which model drew it; ``None`` for a person.
        score: The model's confidence in [0, 1].
        number: Which object of a video this is, the same in all its frames.
    """
    shape: Shape = {"type": kind, ("name" if isinstance(label, str) else "label_file_id"): label, **fields}
    if attributes:
        shape["attribute_groups"] = {str(group): value for group, value in attributes.items()}
    if machine is not None:
        shape |= {"machine_made": True, "model_ref": machine.model_ref, "model_run_ref": machine.model_run_ref}
    if score is not None:
        shape["score"] = score
    if number is not None:
        shape["number"] = number
    return shape


def instance_from_box(box: Box, *, machine: MachineMark | None = None) -> Shape:
    """The server's form of a :class:`~diffgram_flows.models.Box`; a score is told for a machine's box only.

    Raises:
        InvalidRequest: The box is empty or inverted; the server would fail the whole import for it.
    """
    corners = {"x_min": int(box.x_min), "y_min": int(box.y_min), "x_max": int(box.x_max), "y_max": int(box.y_max)}
    if corners["x_min"] >= corners["x_max"] or corners["y_min"] >= corners["y_max"]:
        raise InvalidRequest(f"The box {box} has no area.", cure="Clip boxes to the image and drop the empty ones.")
    score = float(box.score) if machine is not None and box.score is not None else None
    return marked("box", int(box.label_file_id), corners, machine=machine, score=score)


def instance_from(seen: Seen, *, machine: MachineMark | None = None) -> Shape:
    """The server's form of anything that a brain sees; as :func:`instance_from_box`.

    Raises:
        InvalidRequest: A box is empty or inverted.
    """
    if isinstance(seen, Box):
        return instance_from_box(seen, machine=machine)
    if seen.type == "box":
        (x_min, y_min), (x_max, y_max) = seen.points
        return instance_from_box(Box(seen.label_file_id, x_min, y_min, x_max, y_max, seen.score), machine=machine)
    fields = {"points": _points(seen.points)} if seen.points else {}
    score = seen.score if machine is not None else None
    return marked(seen.type, seen.label_file_id, fields, attributes=dict(seen.attributes), machine=machine, score=score)


def whole(value: float) -> Any:
    """The nearest pixel. What is no finite number stays as it is: the check of the instances names it by its place."""
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)  # numpy's numbers, too
    return round(float(value)) if good else value


def _points(points: Iterable[Pair]) -> list[dict[str, Any]]:
    return [{"x": whole(x), "y": whole(y)} for x, y in points]
