from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diffgram_flows.brains import before_after, contact_sheet, draw, draw_over
from diffgram_flows.brains.drawing import compared
from diffgram_flows.brains.strokes import colour_of, described
from diffgram_flows.errors import ImageRejected
from diffgram_flows.models import Annotation, Box, LabelMap, Seen
from diffgram_flows.names import Attribute

LABELS = LabelMap(tuple((number, f"label {number}") for number in range(12)))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (400, 400), (60, 60, 60)).save(path)
    return path


def outline(path: Path, index: int) -> int:
    """How many pixels have exactly the colour of a class."""
    with Image.open(path) as image:
        colours = image.convert("RGB").getcolors(2**24) or []
    return {colour: count for count, colour in colours}.get(colour_of(index), 0)


def line_of(image: Image.Image, index: int) -> int:
    """The uppermost row with the colour of a class, or the height of the image."""
    found = np.argwhere((np.asarray(image) == colour_of(index)).all(-1))
    return int(found[:, 0].min()) if len(found) else image.height


def test_people_and_machines_are_told_apart(photo: Path, tmp_path: Path) -> None:
    box = (3, 100, 100, 300, 300)
    person = draw(photo, [Box(*box)], LABELS, tmp_path / "out" / "person.png")
    machine = draw(photo, [Box(*box, 0.5)], LABELS, tmp_path / "out" / "machine.png")
    assert outline(machine, 3) < 0.85 * outline(person, 3)
    assert outline(person, 4) == 0


def test_colours_differ() -> None:
    assert len({colour_of(index) for index in range(100)}) == 100


@pytest.mark.parametrize(
    "box",
    [
        pytest.param(Box(1, 0, 0, 400, 400), id="the whole image"),
        pytest.param(Box(1, 380, 0, 400, 4), id="a corner"),
        pytest.param(Box(999, 10, 10, 50, 50, 0.3), id="a label that the map lacks"),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_draws_anywhere(photo: Path, tmp_path: Path, box: Box, suffix: str) -> None:
    out = draw(photo, [box], LABELS, tmp_path / f"out.{suffix}", title="Ä title")
    with Image.open(out) as image:
        assert image.width == 400
        assert image.height > 400


def test_small_images_are_enlarged_and_large_ones_reduced(tmp_path: Path) -> None:
    for side, shown in ((32, 384), (5_000, 1_280)):
        Image.new("L", (side, side)).save(tmp_path / "in.png")
        with Image.open(draw(tmp_path / "in.png", [], LABELS, tmp_path / "out.png")) as image:
            assert image.size == (shown, shown)


def test_before_and_after(photo: Path, tmp_path: Path) -> None:
    box = Box(3, 100, 100, 300, 300)
    out = before_after(photo, [], [box], LABELS, tmp_path / "pair.png", titles=("before", ""))
    with Image.open(out) as image:
        assert image.width > 800
        middle = image.width // 2
        halves = [image.crop((0, 0, middle, image.height)), image.crop((middle, 0, image.width, image.height))]
    assert [colour_of(3) in {colour for _, colour in half.getcolors(2**24) or []} for half in halves] == [False, True]


def test_contact_sheet(photo: Path, tmp_path: Path) -> None:
    with Image.open(contact_sheet([photo] * 5, tmp_path / "sheet.jpg", columns=3, tile=100)) as image:
        assert image.size == (3 * 108 + 8, 2 * 108 + 8)


def test_brains_draw_one_over_the_other() -> None:
    page, graphs = LabelMap(((5, "page"),)), LabelMap(((6, "graph"),))
    clean = Image.new("L", (400, 300), 60)
    once = draw_over(clean, [Box(5, 10, 50, 200, 200, 0.9)], page)
    twice = draw_over(once, [Box(6, 220, 50, 390, 280, 0.8)], graphs)
    assert (once.mode, once.size, clean.getcolors()) == ("RGB", (400, 300), [(400 * 300, 60)])
    shown = [{colour for _, colour in image.getcolors(2**20) or []} for image in (once, twice)]
    assert [colour_of(5) in colours for colours in shown] == [True, True]
    assert [colour_of(6) in colours for colours in shown] == [False, True]


def test_polygons_let_one_look_through_and_say_what_they_are() -> None:
    clean = Image.new("RGB", (400, 300), (200, 200, 200))
    polygon = Annotation("polygon", 3, ((100, 100), (300, 100), (300, 250), (100, 250)), score=0.5)
    drawn = draw_over(clean, [polygon], LABELS)
    inside = drawn.getpixel((200, 200))
    assert inside not in ((200, 200, 200), colour_of(3))
    assert drawn.getpixel((100, 175)) == colour_of(3)
    assert drawn.getpixel((50, 50)) == (200, 200, 200)
    assert colour_of(3) in {colour for _, colour in drawn.crop((100, 80, 200, 98)).getcolors() or []}  # its label
    unsure = draw_over(clean, [polygon._replace(score=0.9)], LABELS)
    assert unsure.crop((0, 0, 400, 98)).tobytes() != drawn.crop((0, 0, 400, 98)).tobytes()


def test_what_was_chosen_is_called_as_people_call_it() -> None:
    named = replace(LABELS, attributes=(Attribute(3, "colour", ((7, "red"),)),))
    tag = Annotation("tag", LABELS.labels[0][0], (), ((3, '{"id": 7}'), (4, "big")), 0.8)
    assert described(tag, named) == f"{LABELS.names[0]} (red, big)"
    assert described(Annotation("tag", 999), named) == "label 999"


def test_tags_stand_in_lines_below_those_of_the_brain_before() -> None:
    clean = Image.new("RGB", (300, 300))
    tags = [Annotation("tag", number, (), ((7, "ripe"),), 0.75) for number in range(6)]
    once = draw_over(clean, tags, LABELS)
    lines = [line_of(once, number) for number in range(8)]
    assert 0 < lines[0] < lines[5] < 300
    assert lines[6:] == [300, 300]  # nowhere
    twice = draw_over(once, [Annotation("tag", 7, score=0.5)], LABELS)
    last = line_of(twice, 7)
    assert lines[5] < last < 300
    assert twice.crop((0, 0, 300, last)).tobytes() == once.crop((0, 0, 300, last)).tobytes()
    assert clean.getcolors() == [(300 * 300, (0, 0, 0))]
    assert line_of(draw_over(clean, tags[:1], LABELS), 0) == line_of(once, 0)  # the clean image remembers nothing


def test_what_is_seen_of_every_type_is_drawn_at_once() -> None:
    clean = Image.new("RGB", (400, 400), (60, 60, 60))
    seen: list[Seen] = [
        Box(1, 20, 100, 120, 200, 0.9),
        Annotation("polygon", 2, ((200, 100), (300, 100), (250, 220)), score=0.8),
        Annotation("line", 3, ((20, 380), (380, 300)), score=0.7),
        Annotation("point", 4, ((350, 150),), score=0.6),
        Annotation("tag", 5, score=0.5),
        Annotation("polygon", 6, ((1, 1), (2, 2)), score=0.4),  # too few points for an area
    ]
    shown = {colour for _, colour in draw_over(clean, seen, LABELS).getcolors(2**20) or []}
    assert [colour_of(number) in shown for number in range(8)] == [False, *[True] * 6, False]


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (900, 2)])
def test_tiny_images_can_be_drawn_on(size: tuple[int, int]) -> None:
    seen: list[Seen] = [
        Box(1, 0, 0, 1, 1, 0.9),
        Annotation("tag", 2),
        Annotation("polygon", 3, ((0, 0), (1, 0), (1, 1))),
    ]
    assert draw_over(Image.new("RGB", size), seen, LABELS).size == size


def test_a_label_stays_in_the_image() -> None:
    labels = LabelMap(((5, "page"),))
    left, right = (draw_over(Image.new("RGB", (200, 100)), [Box(5, x, 40, x + 20, 90, 0.5)], labels) for x in (10, 178))
    drawn = [image.crop((0, 0, 200, 39)).getcolors() or [] for image in (left, right)]
    assert sorted(drawn[0]) == sorted(drawn[1])


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(lambda folder: contact_sheet([], folder / "out.png"), id="no images"),
        pytest.param(lambda folder: draw(folder / "none.png", [], LABELS, folder / "out.png"), id="missing"),
    ],
)
def test_refuses_what_cannot_be_drawn(tmp_path: Path, action: Callable[[Path], object]) -> None:
    with pytest.raises(ImageRejected):
        action(tmp_path)


def test_annotations_of_every_type_side_by_side(photo: Path, tmp_path: Path) -> None:
    left = [
        Annotation("polygon", 1, ((20, 20), (200, 20), (20, 200))),
        Annotation("line", 2, ((10, 300), (390, 300))),
        Annotation("point", 3, ((350, 350),)),
        Annotation("tag", 4),
        Annotation.of_box(Box(5, 220, 30, 380, 180)),
    ]
    out = compared(photo, left, [Annotation("tag", 4, score=0.8)], LABELS, tmp_path / "pair.png", titles=("a", "b"))
    assert [outline(out, index) > 20 for index in range(7)] == [False, True, True, True, False, True, False]
    bare = compared(photo, [], [], LABELS, tmp_path / "bare.png", titles=("a", "b"))
    with Image.open(out) as drawn, Image.open(bare) as nothing:
        right = (drawn.width // 2, 0, drawn.width, 40)
        assert drawn.size == nothing.size
        assert drawn.crop(right).tobytes() != nothing.crop(right).tobytes()  # the tag's name above
