"""Large images piece by piece: where the pieces are, and one set of boxes out of those of all pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Box

TileOption = Literal["never", "auto"] | float
_MUCH_LARGER = 4  # times the side of a tile
_SAME = 0.5  # IoU
_COVERED = 0.6  # of a piece's area, by something better
_ALIGNED = 0.6  # IoU of two pieces of one thing along the border that cut it
_MARGIN = 2  # pixels: how near to a tile's border a box counts as cut by it


@dataclass(frozen=True, slots=True)
class Tiling:
    """How large images are cut.

    Attributes:
        overlap: Share of a tile's side that the next one shows again, in [0, 0.9]; what is smaller than this is seen
            whole in one tile.
        side: Of a tile, in pixels of the image; 0 is the side of the network's input. Larger tiles are fewer, and
            show things smaller.
    """

    overlap: float = 0.25
    side: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            ConfigurationError: A number is out of range.
        """
        if not 0 <= self.overlap <= 0.9 or self.side < 0:
            raise ConfigurationError(
                f"Tiles of {self.side} pixels that overlap by {self.overlap} cannot be laid.",
                cure="Choose an overlap from 0 to 0.9 and a side from 0 on.",
            )

    @classmethod
    def of(cls, option: TileOption) -> Tiling | None:
        """The tiling that an option means: ``never``, ``auto`` or an overlap."""
        if option == "never":
            return None
        return cls() if option == "auto" else cls(overlap=float(option))


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of an image, in its pixels."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The part of ``[H, W, 3]``, without a copy."""
        return image[self.y : self.y + self.height, self.x : self.x + self.width]


def tiles_of(width: int, height: int, size: int, tiling: Tiling) -> list[Tile]:
    """The tiles of an image, row by row; none if it is not much larger than one."""
    side = tiling.side or size
    if max(width, height) <= _MUCH_LARGER * side:
        return []
    rows, columns = _starts(height, side, tiling.overlap), _starts(width, side, tiling.overlap)
    return [Tile(x, y, min(side, width), min(side, height)) for y in rows for x in columns]


def merged(
    whole: Sequence[Box], found: Iterable[tuple[Tile, Sequence[Box]]], width: int, height: int
) -> tuple[Box, ...]:
    """One set of boxes, best first.

    Of two boxes of one label at the same place the better one stays. A box that a tile's border has cut counts only
    if nothing else covers it; two such pieces of one thing, seen from both sides of a border, become one box.

    Args:
        whole: Found in the image as a whole.
        found: Found in each tile, in its own pixels.
        width: Of the image.
        height: Of the image.
    """
    complete, cut = list(whole), list[Box]()
    for tile, boxes in found:
        for box in boxes:
            moved = replace(
                box,
                x_min=box.x_min + tile.x,
                y_min=box.y_min + tile.y,
                x_max=box.x_max + tile.x,
                y_max=box.y_max + tile.y,
            )
            (cut if _is_cut(moved, tile, width, height) else complete).append(moved)
    kept = _best(complete)
    pieces = [box for box in cut if all(_share(box, other) < _COVERED for other in kept[box.label_file_id])]
    for label, joined in _best(_joined(pieces)).items():
        kept[label] += joined
    return tuple(sorted((box for boxes in kept.values() for box in boxes), key=lambda box: -(box.score or 0.0)))


class _ByLabel(dict[int, list[Box]]):
    def __missing__(self, label: int) -> list[Box]:
        return self.setdefault(label, [])


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """Where tiles begin: evenly, the last one ends where the image ends."""
    if length <= side:
        return [0]
    steps = -(-(length - side) // max(1, int(side * (1 - overlap))))
    return [round(number * (length - side) / steps) for number in range(steps + 1)]


def _is_cut(box: Box, tile: Tile, width: int, height: int) -> bool:
    """Whether it ends at a border of the tile that is none of the image."""
    right, bottom = tile.x + tile.width, tile.y + tile.height
    return (
        (tile.x > 0 and box.x_min <= tile.x + _MARGIN)
        or (tile.y > 0 and box.y_min <= tile.y + _MARGIN)
        or (right < width and box.x_max >= right - _MARGIN)
        or (bottom < height and box.y_max >= bottom - _MARGIN)
    )


def _best(boxes: Iterable[Box]) -> _ByLabel:
    """Greedy suppression within each label."""
    kept = _ByLabel()
    for box in sorted(boxes, key=lambda box: -(box.score or 0.0)):
        if all(box.iou(better) < _SAME for better in kept[box.label_file_id]):
            kept[box.label_file_id].append(box)
    return kept


def _joined(pieces: Sequence[Box]) -> list[Box]:
    """Pieces that continue each other, as one box with the best score."""
    joined: list[Box] = []
    for piece in pieces:
        while (other := next((box for box in joined if _continues(piece, box)), None)) is not None:
            joined.remove(other)
            piece = _around(piece, other)
        joined.append(piece)
    return joined


def _continues(one: Box, other: Box) -> bool:
    """Whether two pieces of a label overlap and are as wide, or as high, at the same place."""
    if one.label_file_id != other.label_file_id or not one.iou(other):
        return False
    across = _line_iou((one.x_min, one.x_max), (other.x_min, other.x_max))
    down = _line_iou((one.y_min, one.y_max), (other.y_min, other.y_max))
    return max(across, down) >= _ALIGNED or _share(one, other) >= _COVERED or _share(other, one) >= _COVERED


def _line_iou(one: tuple[int, int], other: tuple[int, int]) -> float:
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0, shared) / (max(one[1], other[1]) - min(one[0], other[0]))


def _around(one: Box, other: Box) -> Box:
    best = max(one, other, key=lambda box: box.score or 0.0)
    return replace(
        best,
        x_min=min(one.x_min, other.x_min),
        y_min=min(one.y_min, other.y_min),
        x_max=max(one.x_max, other.x_max),
        y_max=max(one.y_max, other.y_max),
    )


def _share(piece: Box, other: Box) -> float:
    """How much of a piece another box covers."""
    width = min(piece.x_max, other.x_max) - max(piece.x_min, other.x_min)
    height = min(piece.y_max, other.y_max) - max(piece.y_min, other.y_min)
    return width * height / piece.area if width > 0 and height > 0 else 0.0
