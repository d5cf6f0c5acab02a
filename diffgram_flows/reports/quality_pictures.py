"""Pictures of a quality report: samples of each label, what is suspicious, and what looks the same."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageOps

from diffgram_flows.brains.drawing import draw_over, upright
from diffgram_flows.datasets.quality import Quality
from diffgram_flows.errors import ImageRejected
from diffgram_flows.models import Box, LabelMap, Sample

TILE, GAP = 240, 6
_COLUMNS = 4
_ROOM = 1.5  # around a box, in its own sizes on each side
_LEAST = 96  # pixels of the image in a tile
_BACKGROUND = (32, 34, 38)


def label_sheet(found: Quality, label: int | None) -> Image.Image | None:
    """Samples of a label, each tile around one of its boxes; ``None`` as label shows images without annotation."""
    label_map = found.counted.label_map
    tiles = []
    for sample in found.counted.shown.of(label):
        own = [box for box in sample.boxes if label is not None and box.label_file_id == label_map.labels[label][0]]
        around = own[sample.file_id % len(own) :][:1] if own else []
        tiles.append(_tile(sample, sample.boxes, around, label_map))
    return sheet_of(tiles)


def odd_sheet(found: Quality, kind: str) -> Image.Image | None:
    """Suspicious boxes of a kind."""
    label_map = found.counted.label_map
    return sheet_of([_tile(one.sample, one.boxes, one.boxes, label_map) for one in found.counted.odd.of(kind)])


def pair_sheet(pairs: Iterable[tuple[Sample, Sample]], label_map: LabelMap) -> Image.Image | None:
    """Pairs of images side by side, two pairs in a row, with all that was drawn."""
    tiles = [_tile(sample, sample.boxes, (), label_map) for pair in pairs for sample in pair]
    return sheet_of(tiles)


def sheet_of(tiles: Sequence[Image.Image | None]) -> Image.Image | None:
    """Tiles row by row; ``None`` where there are none, those that could not be read left dark."""
    if not any(tiles):
        return None
    columns = min(_COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (TILE + GAP) - GAP, rows * (TILE + GAP) - GAP), _BACKGROUND)
    for number, tile in enumerate(tiles):
        if tile is not None:
            row, column = divmod(number, columns)
            sheet.paste(tile, (column * (TILE + GAP), row * (TILE + GAP)))
    return sheet


def encoded(image: Image.Image | None) -> str:
    """A picture as a data URI, empty for none."""
    if image is None:
        return ""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=78)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def _tile(sample: Sample, boxes: Sequence[Box], around: Sequence[Box], label_map: LabelMap) -> Image.Image | None:
    """A square part of an image with boxes; around some of them, or all of it. ``None`` if it cannot be read."""
    image = _upright(sample.path)
    if image is None:
        return None
    left, top, side = _window(around, image.size) if around else (0, 0, 0)
    if side:
        image = image.crop((left, top, left + side, top + side))
    scale = TILE / max(image.size)
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    moved = (_moved(box, left, top, scale) for box in boxes)
    inside = [box for one in moved if (box := one.clipped(*image.size)) is not None]
    drawn = draw_over(image, inside, label_map)
    return ImageOps.pad(drawn, (TILE, TILE), color=_BACKGROUND)


def _window(around: Sequence[Box], size: tuple[int, int]) -> tuple[int, int, int]:
    """Left, top and side of a square with room around boxes, inside the image as far as it goes."""
    left, right = min(box.x_min for box in around), max(box.x_max for box in around)
    top, bottom = min(box.y_min for box in around), max(box.y_max for box in around)
    side = max(_LEAST, round(max(right - left, bottom - top) * (1 + 2 * _ROOM)))
    if side >= max(size):
        return 0, 0, 0
    x = min(max(0, (left + right - side) // 2), max(0, size[0] - side))
    y = min(max(0, (top + bottom - side) // 2), max(0, size[1] - side))
    return x, y, side


def _moved(box: Box, left: int, top: int, scale: float) -> Box:
    """The box in the pixels of a tile, at least three of them wide and high so that it is seen."""
    x_min, y_min = round((box.x_min - left) * scale), round((box.y_min - top) * scale)
    x_max = max(x_min + 3, round((box.x_max - left) * scale))
    y_max = max(y_min + 3, round((box.y_max - top) * scale))
    return replace(box, x_min=x_min, y_min=y_min, x_max=x_max, y_max=y_max)


def _upright(path: Path) -> Image.Image | None:
    try:
        return upright(path)
    except (ImageRejected, OSError, SyntaxError, ValueError):
        return None  # a report is made of what is there; reading the snapshot says what is missing
