from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diffgram_flows.brains import draw
from diffgram_flows.brains.fonts import find_font
from diffgram_flows.models import Box, LabelMap

NOBODYS = "\U000f1234"  # no font has it: what is drawn for it is drawn for all that are missing


def drawn(letter: str, text: str) -> bytes:
    return bytes(find_font(text, 24).getmask(letter))


@pytest.mark.parametrize("name", ["car", "Straße", "Ölfleck", "coupé", "łódź", "пешеход", "όχημα", "größe → 日"])
def test_every_letter_has_its_own_shape(name: str) -> None:
    missing = drawn(NOBODYS, name)
    letters = [letter for letter in set(name) if letter != " " and letter != "日"]  # that one is not on every machine
    assert [letter for letter in letters if drawn(letter, name) == missing] == []


def test_a_letter_that_no_font_has_is_no_error() -> None:
    assert drawn(NOBODYS, NOBODYS) == drawn(NOBODYS, "Straße" + NOBODYS)


def test_labels_in_another_language_are_told_apart_in_a_picture(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.new("RGB", (400, 400)).save(photo)
    pictures = [
        draw(photo, [Box(3, 100, 100, 300, 300)], LabelMap(((3, name),)), tmp_path / f"{number}.png").read_bytes()
        for number, name in enumerate(("ж", "щ", "ф"))
    ]
    assert len(set(pictures)) == 3
