"""Many images with their boxes as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from diffgram_flows.brains import contact_sheet, draw
from diffgram_flows.models import Box, LabelMap


def sheet(shown: Sequence[tuple[Path, Sequence[Box]]], label_map: LabelMap, out: Path) -> Path:
    """Draw the boxes of each image and put all of them into one.

    Args:
        shown: Image files with their boxes, at least one.
        label_map: Names and colours of the labels.
        out: A ``.png`` or ``.jpg`` file; its folder is created.
    """
    with TemporaryDirectory() as folder:
        drawn = [draw(path, boxes, label_map, Path(folder) / f"{i}.png") for i, (path, boxes) in enumerate(shown)]
        return contact_sheet(drawn, out)
