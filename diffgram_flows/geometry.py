"""Shapes in pixels: rectangles around points, and what of a polygon or a line lies in an image.

Points lie on the corners of pixels, so an image of 64 x 48 pixels reaches from (0, 0) to (64, 48), both included.
Cuts are computed exactly and rounded once, to the nearest pixel, halves up: the result is the same from whichever end
a shape was drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

from diffgram_flows.models import Point

_Exact: TypeAlias = tuple[Fraction | int, Fraction | int]
_HALF = Fraction(1, 2)


def rectangle(points: Sequence[Point]) -> tuple[int, int, int, int]:
    """``(x_min, y_min, x_max, y_max)`` of the smallest rectangle around points, of which there must be one."""
    across, down = [x for x, _ in points], [y for _, y in points]
    return min(across), min(down), max(across), max(down)


def polygon_area(points: Sequence[Point]) -> float:
    """The area in square pixels that an outline encloses; of one that crosses itself, the loops' difference."""
    twice = sum(x * points[i - 1][1] - points[i - 1][0] * y for i, (x, y) in enumerate(points))
    return abs(twice) / 2


def is_flat(points: Sequence[Point]) -> bool:
    """Whether all points lie on one straight line, so that nothing is enclosed."""
    x, y = points[0]
    far = next(((a - x, b - y) for a, b in points if (a, b) != (x, y)), (0, 0))
    return all(far[0] * (b - y) == far[1] * (a - x) for a, b in points)


def contains(width: int, height: int, points: Iterable[Point]) -> bool:
    """Whether every point lies in an image of this size, its edge included."""
    return all(0 <= x <= width and 0 <= y <= height for x, y in points)


def clipped_polygon(points: Sequence[Point], width: int, height: int) -> tuple[Point, ...]:
    """The part of a polygon inside an image (Sutherland and Hodgman, 1974); empty where no area is left.

    A concave polygon that falls into several parts stays one polygon: its parts are joined by edges along the border
    of the image, which enclose nothing.
    """
    if contains(width, height, points):
        return tuple(points)
    outline: list[_Exact] = list(points)
    for axis, limit, keeps in ((0, 0, 1), (0, width, -1), (1, 0, 1), (1, height, -1)):
        outline = _cut(outline, axis, limit, keeps)
    found = _without_repeats([_rounded(point) for point in outline])
    return () if len(found) < 3 or is_flat(found) else found


def clipped_line(points: Sequence[Point], width: int, height: int) -> tuple[tuple[Point, ...], ...]:
    """The parts of an open line inside an image, in its order; none where it only touches the border in a point."""
    if contains(width, height, points):
        return (tuple(points),)
    parts: list[list[Point]] = []
    for start, end in pairwise(points):
        inside = _segment(start, end, width, height)
        if inside is None:
            continue
        if parts and parts[-1][-1] == inside[0] == start:
            parts[-1].append(inside[1])
        else:
            parts.append(list(inside))
    whole = [_without_repeats(part, closed=False) for part in parts]
    return tuple(part for part in whole if len(part) > 1)


def _cut(outline: Sequence[_Exact], axis: int, limit: int, keeps: int) -> list[_Exact]:
    """What of an outline lies on one side of a line parallel to an axis; ``keeps`` is 1 for the side above it."""
    kept: list[_Exact] = []
    for index, point in enumerate(outline):
        before = outline[index - 1]
        here, there = (point[axis] - limit) * keeps, (before[axis] - limit) * keeps
        if (here < 0) != (there < 0):
            kept.append(_between(before, point, Fraction(there) / (there - here)))
        if here >= 0:
            kept.append(point)
    return kept


def _segment(start: Point, end: Point, width: int, height: int) -> tuple[Point, Point] | None:
    """The part of a segment inside an image (Liang and Barsky, 1984)."""
    enters, leaves = Fraction(0), Fraction(1)
    for axis, limit in ((0, width), (1, height)):
        step = end[axis] - start[axis]
        for distance, ahead in ((start[axis], step), (limit - start[axis], -step)):
            if ahead == 0 and distance < 0:
                return None
            if ahead > 0:
                enters = max(enters, Fraction(-distance, ahead))
            elif ahead < 0:
                leaves = min(leaves, Fraction(distance, -ahead))
    if enters > leaves:
        return None
    return _rounded(_between(start, end, enters)), _rounded(_between(start, end, leaves))


def _between(start: _Exact, end: _Exact, share: Fraction) -> _Exact:
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _rounded(point: _Exact) -> Point:
    return int((point[0] + _HALF) // 1), int((point[1] + _HALF) // 1)


def _without_repeats(points: Sequence[Point], *, closed: bool = True) -> tuple[Point, ...]:
    """Without points that repeat the one before; of a closed outline the last does not repeat the first either."""
    found = [point for point, before in zip(points, (None, *points), strict=False) if point != before]
    while closed and len(found) > 1 and found[-1] == found[0]:
        found.pop()
    return tuple(found)
