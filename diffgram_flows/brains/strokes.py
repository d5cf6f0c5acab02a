"""How one thing looks that somebody or something sees in an image: its outline, its label, its colour."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterable, Sequence

from PIL import Image, ImageDraw

from diffgram_flows.brains.fonts import Font, find_font
from diffgram_flows.models import Annotation, Box, LabelMap, Seen

Colour = tuple[int, int, int]
_DARK: Colour = (0, 0, 0)
_LIGHT: Colour = (255, 255, 255)
_SHADE = 90  # of 255: how much of what is below a polygon is hidden
_GOLDEN_ANGLE = 0.618034
_PADDING = 3
_DASH, _PERIOD = 8, 14
# Where the next line of tags begins: a note in the image itself, so that a second brain writes below the first.
_TAGS_END = "diffgram_flows.tags_end"


def colour_of(index: int) -> Colour:
    """The colour of a class index: the same for ever, and far from its neighbours'."""
    hue = index * _GOLDEN_ANGLE % 1.0
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75 if index % 2 else 0.9, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def font_for(image: Image.Image, text: str) -> Font:
    """A font that can be read in an image of that size, and has the letters of a text."""
    return find_font(text, size=max(12, min(image.size) // 28))


def paint(
    image: Image.Image,
    seen: Iterable[Seen],
    label_map: LabelMap,
    *,
    colour: Callable[[int], Colour] = colour_of,
    scale: float = 1.0,
) -> None:
    """Draw over an RGB image: areas first, then outlines, the large ones first, then labels; tags in a line on top.

    Args:
        image: What is drawn on.
        seen: In pixels of the upright image, before it was scaled.
        label_map: Names of the labels and of what is chosen in their attributes.
        colour: Of a label file id.
        scale: How much larger the image is than what was looked at.
    """
    marks = [Annotation.of_box(one) if isinstance(one, Box) else one for one in seen]
    placed = sorted((mark for mark in marks if mark.points), key=_area, reverse=True)
    font = font_for(image, "".join(_caption(mark, label_map) for mark in marks))
    _shade(image, [mark for mark in placed if mark.type == "polygon"], colour, scale)
    canvas = ImageDraw.Draw(image)
    for mark in placed:
        points = [(round(x * scale), round(y * scale)) for x, y in mark.points]
        _outline(canvas, mark, points, colour(mark.label_file_id))
        _label(canvas, points, colour(mark.label_file_id), _caption(mark, label_map), font, image.width)
    tags = [(_caption(mark, label_map), colour(mark.label_file_id)) for mark in marks if not mark.points]
    if tags:
        _write_tags(image, tags, font)


def _area(mark: Annotation) -> int:
    return mark.box.area if mark.box else 0


def described(mark: Annotation, label_map: LabelMap) -> str:
    """The label's name, and what was chosen of its attributes."""
    name = label_map.name_of().get(mark.label_file_id, f"label {mark.label_file_id}")
    chosen = ", ".join(label_map.attribute(group).answer(value) for group, value in mark.attributes)
    return f"{name} ({chosen})" if chosen else name


def _caption(mark: Annotation, label_map: LabelMap) -> str:
    """What it is, and how sure a machine is."""
    text = described(mark, label_map)
    return text if mark.score is None else f"{text} {mark.score:.0%}"


def _shade(image: Image.Image, polygons: Sequence[Annotation], colour: Callable[[int], Colour], scale: float) -> None:
    canvas = ImageDraw.Draw(image, "RGBA")  # this mode mixes colours instead of replacing them
    for mark in polygons:
        if len(mark.points) > 2:
            points = [(round(x * scale), round(y * scale)) for x, y in mark.points]
            canvas.polygon(points, fill=(*colour(mark.label_file_id), _SHADE))


def _outline(canvas: ImageDraw.ImageDraw, mark: Annotation, points: Sequence[tuple[int, int]], colour: Colour) -> None:
    if mark.type == "box":
        _outline_box(canvas, points, colour, dashed=mark.score is not None)
    elif mark.type == "polygon":
        canvas.line([*points, points[0]], fill=colour, width=2)
    elif mark.type == "line":
        canvas.line(list(points), fill=colour, width=3)
    else:
        x, y = points[0]
        canvas.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)


def _outline_box(
    canvas: ImageDraw.ImageDraw, points: Sequence[tuple[int, int]], colour: Colour, *, dashed: bool
) -> None:
    (left, top), (right, bottom) = points
    if not dashed:
        canvas.rectangle((left, top, right, bottom), outline=colour, width=3)
        return
    for start in range(left, right, _PERIOD):
        end = min(start + _DASH, right)
        canvas.line((start, top, end, top), colour, 3)
        canvas.line((start, bottom, end, bottom), colour, 3)
    for start in range(top, bottom, _PERIOD):
        end = min(start + _DASH, bottom)
        canvas.line((left, start, left, end), colour, 3)
        canvas.line((right, start, right, end), colour, 3)


def _label(
    canvas: ImageDraw.ImageDraw,
    points: Sequence[tuple[int, int]],
    colour: Colour,
    text: str,
    font: Font,
    room: int,
) -> None:
    """Above the highest point where there is room, else below it; moved to the left where it would leave the image."""
    left, top = min(points, key=lambda point: point[1])
    width, height = _size(canvas, text, font)
    x = max(0, min(left, room - 1 - width))
    y = top - height
    _plate(canvas, x, y if y >= 0 else top + 2, text, colour, font)


def _write_tags(image: Image.Image, tags: Sequence[tuple[str, Colour]], font: Font) -> None:
    """Labels of the whole image side by side in its upper left corner, in as many lines as they need."""
    canvas = ImageDraw.Draw(image)
    gap = 2 * _PADDING
    x, y, bottom = gap, int(image.info.get(_TAGS_END, 0)) + gap, 0
    for text, colour in tags:
        width, height = _size(canvas, text, font)
        if x > gap and x + width > image.width - gap:
            x, y = gap, bottom + gap
        _plate(canvas, x, y, text, colour, font)
        x, bottom = x + width + gap, max(bottom, y + height)
    image.info[_TAGS_END] = bottom


def _size(canvas: ImageDraw.ImageDraw, text: str, font: Font) -> tuple[int, int]:
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    return round(right - left) + 2 * _PADDING, round(bottom - top) + 2 * _PADDING


def _plate(canvas: ImageDraw.ImageDraw, x: int, y: int, text: str, colour: Colour, font: Font) -> None:
    """Text on a rectangle of a colour, from its upper left corner on."""
    left, top, _, _ = canvas.textbbox((0, 0), text, font=font)
    width, height = _size(canvas, text, font)
    canvas.rectangle((x, y, x + width, y + height), fill=colour)
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    ink = _DARK if luminance > 140 else _LIGHT
    canvas.text((x + _PADDING - left, y + _PADDING - top), text, fill=ink, font=font)
