from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from diffgram_flows.models import Box, Failure, LabelMap
from diffgram_flows.reports import failures, picture, sheet, shown_in_terminal, table, watched


def test_outside_of_a_run_nothing_needs_prefect(tmp_path: Path) -> None:
    table("counts", [{"label": "car", "boxes": 3}], "Counts")
    failures("lost", [Failure("a.jpg", "It is damaged.")])
    picture("nothing", tmp_path / "not-there.png", "Not even opened")
    with watched("Working", "working") as progress:
        progress(1, 2)


def test_a_terminal_that_asks_for_bars_gets_them(capsys: Any) -> None:
    with shown_in_terminal(), watched("Importing", "importing") as progress:
        progress(3, 12, "cat.jpg")
    shown = capsys.readouterr().out
    assert "Importing" in shown
    assert "3/12" in shown
    with watched("Later", "later") as progress:
        progress(1, 1)
    assert "Later" not in capsys.readouterr().out


def test_a_sheet_shows_every_image_with_its_boxes(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (64, 64), (10, 10, 10)).save(paths[-1])
    shown = [(path, (Box(7, 8, 8, 40, 40),)) for path in paths]
    out = sheet(shown, LabelMap(((7, "car"),)), tmp_path / "deep" / "sheet.png")
    with Image.open(out) as image:
        assert image.width > 3 * 64
        assert len(image.convert("RGB").getcolors(1_000_000) or ()) > 3
