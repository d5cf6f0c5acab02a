"""Boxes and other shapes drawn on images, for people to look at."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import image_size
from diffgram_flows.models import Annotation, Box, LabelMap

Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_BACKGROUND: Colour = (24, 26, 30)
_TEXT: Colour = (240, 240, 240)
_LONGEST_SIDE = 1280
_SHORTEST_DRAWN_SIDE = 384  # smaller images are enlarged, so that their labels can be read
_GAP = 8
_SHADE = 90  # of 255: how much of what is below a polygon is hidden
_GOLDEN_ANGLE = 0.618034


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


def draw_over(image: Image.Image, boxes: Sequence[Box], label_map: LabelMap) -> Image.Image:
    """Draw boxes over whatever an image in memory shows already, in its own size.

    A label has the same colour whichever brain saw it, so what several brains see can be drawn one over the other.

    Args:
        image: Upright; it stays as it is.
        boxes: In its pixels.
        label_map: Names of the labels.

    Returns:
        A new RGB image.
    """
    drawn = image.convert("RGB") if image.mode != "RGB" else image.copy()
    _draw_boxes(drawn, boxes, label_map, 1.0, colour_of, _font(drawn))
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
        left: What the first shows, in pixels of the upright image; tags stand in the line above.
        right: What the second shows.
        label_map: Names and colours of the labels.
        out: A ``.png`` or ``.jpg`` file.
        titles: The lines above the two.

    Returns:
        ``out``.

    Raises:
        ImageRejected: The image cannot be read.
    """
    names, pair = label_map.name_of(), []
    for shown, title in zip((left, right), titles, strict=True):
        boxes = [box for one in shown if one.type == "box" and (box := one.box) is not None]
        tags = [names.get(one.label_file_id, f"label {one.label_file_id}") for one in shown if one.type == "tag"]
        line = f"{title}: {', '.join(tags)}" if tags else title
        pair.append(_drawn(image_path, boxes, label_map, line, [one for one in shown if one.type != "box"]))
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
    tiles = [ImageOps.pad(_upright(path), (tile, tile), color=_BACKGROUND) for path in images]
    return _write(_sheet(tiles, min(columns, len(tiles))), out)


def colour_of(index: int) -> Colour:
    """The colour of a class index: the same for ever, and far from its neighbours'."""
    hue = index * _GOLDEN_ANGLE % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75 if index % 2 else 0.9, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def _drawn(
    path: Path, boxes: Sequence[Box], label_map: LabelMap, title: str, shapes: Sequence[Annotation] = ()
) -> Image.Image:
    image = _upright(path)
    scale = max(1.0, _SHORTEST_DRAWN_SIDE / min(image.size))
    scale = min(scale, _LONGEST_SIDE / max(image.size))
    image = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    font = _font(image)
    index_of = label_map.index_of()

    def colour(label_file_id: int) -> Colour:
        # A label that the map lacks still deserves to be seen.
        return colour_of(index_of.get(label_file_id, len(index_of)))

    for shape in shapes:
        _draw_shape(image, shape, scale, colour(shape.label_file_id))
    _draw_boxes(image, boxes, label_map, scale, colour, font)
    return _titled(image, title, font) if title else image


def _draw_boxes(
    image: Image.Image,
    boxes: Sequence[Box],
    label_map: LabelMap,
    scale: float,
    colour: Callable[[int], Colour],
    font: Font,
) -> None:
    canvas = ImageDraw.Draw(image)
    name_of = label_map.name_of()
    for box in sorted(boxes, key=lambda box: -box.area):  # small ones last, on top
        name = name_of.get(box.label_file_id, f"label {box.label_file_id}")
        shade = colour(box.label_file_id)
        _draw_box(canvas, box, scale, shade)
        text = name if box.score is None else f"{name} {box.score:.0%}"
        _draw_label(canvas, box, scale, shade, text, font, image.width)


def _draw_shape(image: Image.Image, shape: Annotation, scale: float, colour: Colour) -> None:
    """A polygon with its area shaded, a line, or a point; nothing for a tag."""
    canvas = ImageDraw.Draw(image, "RGBA")
    points = [(round(x * scale), round(y * scale)) for x, y in shape.points]
    if shape.type == "polygon" and len(points) > 2:
        canvas.polygon(points, fill=(*colour, _SHADE))
        canvas.line([*points, points[0]], fill=colour, width=2)
    elif shape.type == "line" and len(points) > 1:
        canvas.line(points, fill=colour, width=3)
    elif points:
        x, y = points[0]
        canvas.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)


def _font(image: Image.Image) -> Font:
    return ImageFont.load_default(size=max(12, min(image.size) // 28))


def _draw_box(canvas: ImageDraw.ImageDraw, box: Box, scale: float, colour: Colour) -> None:
    corners = [round(side * scale) for side in (box.x_min, box.y_min, box.x_max, box.y_max)]
    left, top, right, bottom = corners
    if box.score is None:
        canvas.rectangle((left, top, right, bottom), outline=colour, width=3)
        return
    for start in range(left, right, 14):
        end = min(start + 8, right)
        canvas.line((start, top, end, top), colour, 3)
        canvas.line((start, bottom, end, bottom), colour, 3)
    for start in range(top, bottom, 14):
        end = min(start + 8, bottom)
        canvas.line((left, start, left, end), colour, 3)
        canvas.line((right, start, right, end), colour, 3)


def _draw_label(
    canvas: ImageDraw.ImageDraw,
    box: Box,
    scale: float,
    colour: Colour,
    text: str,
    font: Font,
    room: int,
) -> None:
    """Above the box where there is room, else inside it; moved to the left where it would leave the image."""
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    width, height = right - left + 6, bottom - top + 6
    x = max(0, min(round(box.x_min * scale), room - 1 - width))
    y = round(box.y_min * scale) - height
    y = y if y >= 0 else round(box.y_min * scale) + 2
    canvas.rectangle((x, y, x + width, y + height), fill=colour)
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    canvas.text((x + 3 - left, y + 3 - top), text, fill=(0, 0, 0) if luminance > 140 else (255, 255, 255), font=font)


def _titled(image: Image.Image, title: str, font: Font) -> Image.Image:
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


def _upright(path: Path) -> Image.Image:
    image_size(path, name=path.name)  # refuses what is too large to decode
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRejected(
            f"The image {path.name} is damaged ({error}).", cure="Restore or remove the file."
        ) from error


def _write(image: Image.Image, out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    image.save(out)
    return out
