"""Polygons to masks and back.

A pixel belongs to a polygon if its centre lies inside by the even-odd rule, so a rectangle of 3 x 2 pixels makes a mask
of exactly 6, and what :func:`polygons_of` draws around a mask without holes makes that mask again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from diffgram_flows.geometry import polygon_area
from diffgram_flows.models import Point

Mask: TypeAlias = npt.NDArray[np.bool_]
_Places: TypeAlias = npt.NDArray[np.float64]
_RIGHT, _DOWN, _LEFT, _UP = (1, 0), (0, 1), (-1, 0), (0, -1)


def mask_of(points: Sequence[Point], width: int, height: int) -> Mask:
    """The pixels inside a polygon, as booleans of the shape (``height``, ``width``); what sticks out is cut off."""
    toggles = np.zeros((height, width + 1), np.int32)
    for (x, y), (to_x, to_y) in zip(points, [*points[1:], *points[:1]], strict=True):
        if y == to_y:
            continue
        # The rows whose centre line the edge crosses, and the first pixel centre to the right of each crossing.
        rows = np.arange(max(min(y, to_y), 0), min(max(y, to_y), height))
        crossings = x + (rows + 0.5 - y) * ((to_x - x) / (to_y - y))
        columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
        np.add.at(toggles, (rows, columns), 1)
    inside: Mask = (np.cumsum(toggles, axis=1)[:, :width] & 1).astype(np.bool_)
    return inside


def polygons_of(mask: Mask, *, tolerance: float = 0.0, least_area: float = 0.0) -> tuple[tuple[Point, ...], ...]:
    """Outlines around the parts of a mask, the largest first.

    Pixels that only touch at a corner are different parts. A polygon has no holes, so those of the mask are filled.

    Args:
        mask: Booleans of the shape (height, width).
        tolerance: How far, in pixels, an outline may be from the true one to have fewer points (Douglas and Peucker);
            0 keeps every corner.
        least_area: Parts of fewer square pixels are left out.
    """
    outlines = [_simplified(outline, tolerance) for outline in _outlines(mask)]
    sized = [(polygon_area(outline), outline) for outline in outlines if len(outline) >= 3]
    kept = [(area, outline) for area, outline in sized if area > 0 and area >= least_area]
    return tuple(outline for _, outline in sorted(kept, key=lambda pair: (-pair[0], pair[1])))


def _outlines(mask: Mask) -> list[tuple[Point, ...]]:
    """The corners of every outer outline, clockwise as one sees it."""
    after = _edges(mask)
    left = {(place, direction): None for place, directions in after.items() for direction in directions}
    found = []
    while left:
        first = next(iter(left))
        (place, direction), corners = first, []
        while (place, direction) in left:
            del left[place, direction]
            place, came = (place[0] + direction[0], place[1] + direction[1]), direction
            # Where two pixels meet at a corner, the right turn stays at the same pixel.
            turn = (-came[1], came[0])
            direction = turn if turn in after[place] else after[place][0]
            if direction != came:
                corners.append(place)
        if _winding(corners) > 0:
            top = min(range(len(corners)), key=lambda index: corners[index][::-1])
            found.append(tuple(corners[top:] + corners[:top]))
    return found


def _edges(mask: Mask) -> dict[Point, list[Point]]:
    """From every lattice point on the border of the mask, where the border goes on, the mask at its right hand."""
    inside = np.pad(np.asarray(mask, np.bool_), 1)
    after: dict[Point, list[Point]] = {}
    core = inside[1:-1, 1:-1]
    for neighbour, offset, direction in (
        (inside[:-2, 1:-1], (0, 0), _RIGHT),
        (inside[1:-1, 2:], (1, 0), _DOWN),
        (inside[2:, 1:-1], (1, 1), _LEFT),
        (inside[1:-1, :-2], (0, 1), _UP),
    ):
        down, across = np.nonzero(core & ~neighbour)
        for x, y in zip((across + offset[0]).tolist(), (down + offset[1]).tolist(), strict=True):
            after.setdefault((x, y), []).append(direction)
    return after


def _winding(points: Sequence[Point]) -> int:
    return sum(points[i - 1][0] * y - x * points[i - 1][1] for i, (x, y) in enumerate(points))


def _simplified(outline: tuple[Point, ...], tolerance: float) -> tuple[Point, ...]:
    """The outline with fewer points: split at its two most distant corners, and each half simplified."""
    if tolerance <= 0 or len(outline) < 4:
        return outline
    places = np.asarray(outline, np.float64)
    far = int(np.argmax(((places - places[0]) ** 2).sum(axis=1)))
    closed = np.vstack([places, places[:1]])
    keep = {0, far}
    spans = [(0, far), (far, len(outline))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(closed[first + 1 : last], closed[first], closed[last])
        worst = int(np.argmax(distances))
        if distances[worst] > tolerance:
            middle = first + 1 + worst
            keep.add(middle)
            spans += [(first, middle), (middle, last)]
    return tuple(outline[index] for index in sorted(keep))


def _distances(places: _Places, start: _Places, end: _Places) -> _Places:
    """How far points lie from the segment between two others."""
    along = end - start
    nearest = start
    length = float((along**2).sum())
    if length:
        share = np.clip(((places - start) @ along) / length, 0, 1)
        nearest = start + share[:, None] * along
    distances: _Places = np.linalg.norm(places - nearest, axis=1)
    return distances
