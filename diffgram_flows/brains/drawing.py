"""Boxes and other shapes drawn on images, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from diffgram_flows.brains.strokes import Colour, colour_of, described, font_for, paint
from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import as_rgb, image_size
from diffgram_flows.models import Annotation, Box, LabelMap, Seen

_BACKGROUND: Colour = (24, 26, 30)
_TEXT: Colour = (240, 240, 240)
_LONGEST_SIDE = 1280
_SHORTEST_DRAWN_SIDE = 384  # smaller images are enlarged, so that their labels can be read
_GAP = 8


def draw(image_path: Path, boxes: Sequence[Box], label_map: LabelMap, out: Path, *, title: str = "") -> Path:
    """Draw boxes on an image: people's with a solid line, machines' dashed and with their score.

    Args:
        image_path: The image; drawn upright, and scaled so that its labels can be read.
        boxes: In pixels of the upright image.
        label_map: Names and colours of the labels.
        out: A ``.png`` or ``.jpg`` file; its folder is created.
        title: A line above the image.

    Returns:
        ``out``.

    Raises:
        ImageRejected: The image cannot be read.
    """
    return _write(_drawn(image_path, boxes, label_map, title), out)


def draw_over(image: Image.Image, seen: Sequence[Seen], label_map: LabelMap) -> Image.Image:
    """Draw what was seen over whatever an image in memory shows already, in its own size.

    Boxes of machines are dashed, polygons are filled so that one can look through, tags stand in a line on top. A label
    has the same colour whichever brain saw it, so what several brains see can be drawn one over the other.

    Args:
        image: Upright; it stays as it is.
        seen: In its pixels.
        label_map: Names of the labels.

    Returns:
        A new RGB image.
    """
    drawn = image.convert("RGB") if image.mode != "RGB" else image.copy()
    paint(drawn, seen, label_map)
    return drawn


def before_after(
    image_path: Path,
    left: Sequence[Box],
    right: Sequence[Box],
    label_map: LabelMap,
    out: Path,
    *,
    titles: tuple[str, str] = ("before", "after"),
) -> Path:
    """Draw one image twice, side by side, with different boxes.

    Args:
        image_path: The image.
        left: The boxes of the first, in pixels of the upright image.
        right: The boxes of the second.
        label_map: Names and colours of the labels.
        out: A ``.png`` or ``.jpg`` file.
        titles: The lines above the two.

    Returns:
        ``out``.

    Raises:
        ImageRejected: The image cannot be read.
    """
    pair = [_drawn(image_path, boxes, label_map, title) for boxes, title in zip((left, right), titles, strict=True)]
    return _write(_sheet(pair, 2), out)


def compared(
    image_path: Path,
    left: Sequence[Annotation],
    right: Sequence[Annotation],
    label_map: LabelMap,
    out: Path,
    *,
    titles: tuple[str, str],
) -> Path:
    """Draw one image twice, side by side, with different annotations of any type.

    Args:
        image_path: The image.
        left: What the first shows, in pixels of the upright image; tags, with what was chosen, stand in the line above.
        right: What the second shows.
        label_map: Names and colours of the labels.
        out: A ``.png`` or ``.jpg`` file.
        titles: The lines above the two.

    Returns:
        ``out``.

    Raises:
        ImageRejected: The image cannot be read.
    """
    pair = []
    for shown, title in zip((left, right), titles, strict=True):
        tags = [described(one, label_map) for one in shown if one.type == "tag"]
        line = f"{title}: {', '.join(tags)}" if tags else title
        pair.append(_drawn(image_path, [one for one in shown if one.type != "tag"], label_map, line))
    return _write(_sheet(pair, 2), out)


def contact_sheet(images: Sequence[Path], out: Path, *, columns: int = 4, tile: int = 320) -> Path:
    """Put images into one, row by row, each scaled into a square tile.

    Args:
        images: Files, for example those that :func:`draw` wrote.
        out: A ``.png`` or ``.jpg`` file.
        columns: Tiles in a row.
        tile: Side of a tile in pixels.

    Returns:
        ``out``.

    Raises:
        ImageRejected: An image cannot be read, or there is none.
    """
    if not images:
        raise ImageRejected("There is no image for a contact sheet.", cure="Give at least one image.")
    tiles = [ImageOps.pad(upright(path), (tile, tile), color=_BACKGROUND) for path in images]
    return _write(_sheet(tiles, min(columns, len(tiles))), out)


def _drawn(path: Path, seen: Sequence[Seen], label_map: LabelMap, title: str) -> Image.Image:
    image = upright(path)
    scale = max(1.0, _SHORTEST_DRAWN_SIDE / min(image.size))
    scale = min(scale, _LONGEST_SIDE / max(image.size))
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    index_of = label_map.index_of()

    def colour(label_file_id: int) -> Colour:
        # A label that the map lacks still deserves to be seen.
        return colour_of(index_of.get(label_file_id, len(index_of)))

    paint(image, seen, label_map, colour=colour, scale=scale)
    return _titled(image, title) if title else image


def _titled(image: Image.Image, title: str) -> Image.Image:
    font = font_for(image, title)
    _, top, _, bottom = font.getbbox(title)
    bar = round(bottom - top) + 2 * _GAP
    framed = Image.new("RGB", (image.width, image.height + bar), _BACKGROUND)
    framed.paste(image, (0, bar))
    ImageDraw.Draw(framed).text((_GAP, _GAP - top), title, fill=_TEXT, font=font)
    return framed


def _sheet(tiles: Sequence[Image.Image], columns: int) -> Image.Image:
    """Tiles of one size, row by row, with gaps."""
    width, height = tiles[0].width + _GAP, max(tile.height for tile in tiles) + _GAP
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * width + _GAP, rows * height + _GAP), _BACKGROUND)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (column * width + _GAP, row * height + _GAP))
    return sheet


def upright(path: Path) -> Image.Image:
    """The image in RGB as people see it: its EXIF orientation is applied.

    Raises:
        ImageRejected: It cannot be read, or is too large to be decoded.
    """
    image_size(path, name=path.name)  # refuses what is too large to decode
    try:
        with Image.open(path) as image:
            return as_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRejected(
            f"The image {path.name} is damaged ({error}).", cure="Restore or remove the file."
        ) from error


def _write(image: Image.Image, out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save(out)
    return out
