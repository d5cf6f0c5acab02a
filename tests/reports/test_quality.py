from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium import webdriver

from diffgram_flows.brains.strokes import colour_of
from diffgram_flows.datasets.leaks import Leak
from diffgram_flows.datasets.quality import Quality, examine
from diffgram_flows.demo import digits
from diffgram_flows.models import Annotation, LabelMap, Sample, Snapshot, Split
from diffgram_flows.reports.quality import as_markdown, write_quality
from diffgram_flows.reports.quality_pictures import label_sheet, pair_sheet

LABELS = LabelMap(((1, "<script>alert(1)</script>"), (2, "a | $b$"), (3, "never")))
SHOWN = """return [...document.querySelectorAll("ul.findings li")].map(line => [line.querySelector("b").innerText,
    [getComputedStyle(line.querySelector("b")).color, getComputedStyle(line).borderLeftColor], line.innerText])"""
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Quality:
    folder = tmp_path_factory.mktemp("pictures")
    samples = []
    for number in range(24):
        image, boxes = digits.compose(number, SPLITS[number % 3])
        path = folder / f"{number}.png"
        image.save(path)
        drawn = tuple(
            Annotation("box", 1 + int(label) % 2, ((x_min, y_min), (x_max, y_max)))
            for label, (x_min, y_min, x_max, y_max) in boxes
        )
        digest = f"{number % 23 + 1:064x}"[::-1]  # the last one has the bytes of the first
        samples.append(Sample(number, path.name, "", digest, path, 256, 256, SPLITS[number % 3], drawn))
    samples[5].path.write_bytes(b"damaged")
    this = Snapshot("0123456789abcdef", folder, LABELS, tuple(samples))
    last = Snapshot("fedcba9876543210", folder, LABELS, tuple(samples[:12]))
    return examine(this, last, leaks=[Leak(23, "test", 0, "train", 0, True)], skipped={"type cuboid": 2}, clipped=3)


def test_the_page_needs_nothing_else_and_trusts_no_name(found: Quality, tmp_path: Path) -> None:
    page = write_quality(found, tmp_path / "deep" / "page.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert page.count("data:image/jpeg;base64,") >= 4
    assert page.count("<svg") == 3
    assert "currentColor" in page
    assert "prefers-color-scheme: dark" in page
    for said in ("2 x type cuboid", "3 cut at the edge", "12 images came since snapshot fedcba9876543210"):
        assert said in page


def test_the_markdown_says_the_short_of_it(found: Quality) -> None:
    text = as_markdown(found, Path("page.html"))
    assert "⛔ Images that look like an elder one of another split: 1" in text
    assert "| a \\| $b$ |" in text
    assert re.search(r"(?<!\\)<script", text) is None


def test_what_cannot_be_told_is_not_called_good(found: Quality) -> None:
    lines = [line for line in as_markdown(found, Path("page.html")).splitlines() if "too few to tell" in line]
    assert lines
    assert all(line.startswith("- ❔ ") for line in lines)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_cannot_be_told_has_a_word_and_a_colour_of_its_own(
    found: Quality, tmp_path: Path, chromium: webdriver.Chrome, scheme: str
) -> None:
    path = write_quality(found, tmp_path / "page.html")
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    chromium.get(path.as_uri())
    told = chromium.execute_script(SHOWN)
    unknown = [(word, colours) for word, colours, text in told if "too few to tell" in text]
    assert {word for word, _ in unknown} == {"unknown"}
    (own,) = {tuple(colours) for _, colours in unknown}
    assert len(set(own)) == 1  # the word's and the edge's
    others = {colour for word, colours, _ in told for colour in colours if word != "unknown"}
    assert len(others) >= 2
    assert own[0] not in others | {chromium.execute_script("return getComputedStyle(document.body).color")}


def test_a_sheet_shows_boxes_around_samples_of_its_label(found: Quality) -> None:
    sheet = label_sheet(found, 0)
    assert sheet is not None
    assert sheet.size == (4 * 240 + 3 * 6, 2 * 240 + 6)
    colours = {colour: count for count, colour in sheet.getcolors(10**6) or ()}
    assert colours[colour_of(1)] > 8 * 3 * 60  # the label's own, around every one of the eight
    assert label_sheet(found, 2) is None


def test_16_bits_are_shown_as_dark_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(np.full((240, 240), 40 * 256, np.uint16)).save(tmp_path / "a.png")
    dark = Sample(1, "a.png", "", "1", tmp_path / "a.png", 240, 240, "train")
    sheet = pair_sheet([(dark, dark)], LABELS)
    assert sheet is not None
    assert sheet.getpixel((100, 100)) == (40, 40, 40)


def test_an_image_that_cannot_be_read_leaves_a_dark_tile(tmp_path: Path) -> None:
    Image.new("RGB", (50, 50), "white").save(tmp_path / "good.png")
    (tmp_path / "bad.png").write_bytes(b"damaged")
    pair = [
        Sample(n, f"{n}", "", "", tmp_path / f"{name}.png", 50, 50, "train") for n, name in enumerate(("good", "bad"))
    ]
    sheet = pair_sheet([(pair[0], pair[1])], LABELS)
    assert sheet is not None
    assert sheet.getpixel((100, 100)) == (255, 255, 255)
    assert sheet.getpixel((346, 100)) == (32, 34, 38)
