from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from diffgram_flows.models import Box, Failure, LabelMap
from diffgram_flows.reports import failures, picture, sheet, shown_in_terminal, table, watched
from diffgram_flows.reports import progress as progress_module


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


def test_a_bar_whose_total_is_unknown_shows_just_the_count(capsys: Any) -> None:
    with shown_in_terminal():
        with watched("Pushing", "pushing") as progress:
            progress(20, 0)
            progress(21, 0, "cat.jpg")
        with watched("Nothing to do", "nothing"):
            pass
        with watched("Scanning", "scanning") as progress:  # learns its total at the end
            progress(7, 0)
            progress(8, 8)
    shown = capsys.readouterr().out.splitlines()
    counts = {title: next(line for line in shown if title in line) for title in ("Pushing", "Nothing", "Scanning")}
    assert re.search(r"━ 21 +\d:", counts["Pushing"])
    assert re.search(r"━ 0 +\d:", counts["Nothing"])
    assert re.search(r"━ 8/8 +\d:", counts["Scanning"])


def test_an_artifact_whose_total_is_unknown_is_not_done_before_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []
    monkeypatch.setattr(progress_module, "in_run", lambda: True)
    monkeypatch.setattr(progress_module, "create_progress_artifact", lambda **_: uuid4())
    monkeypatch.setattr(progress_module, "update_progress_artifact", lambda _, progress: told.append(progress))
    with watched("Pushing", "pushing") as progress:
        progress(20, 0)
        assert told == [0.0]
    assert told == [0.0, 100.0]


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
