from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from diffgram_flows.brains import before_after, contact_sheet, draw, draw_over
from diffgram_flows.brains.drawing import colour_of, compared
from diffgram_flows.errors import ImageRejected
from diffgram_flows.models import Annotation, Box, LabelMap

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
