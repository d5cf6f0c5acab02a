from __future__ import annotations

import pytest

from diffgram_flows.parameters import ExportOptions
from diffgram_flows.tasks.cycling import export_is_due
from diffgram_flows.tasks.exporting import WorkState


@pytest.mark.parametrize(
    ("finished", "still_open", "exported", "due"),
    [
        (0, 10, 0, False),
        (49, 10, 0, False),
        (50, 10, 0, True),
        (149, 10, 100, False),
        (150, 10, 100, True),
        (3, 0, 0, True),
        (100, 0, 100, False),
        (0, 0, 0, False),
    ],
    ids=[
        "nothing finished",
        "almost enough",
        "enough",
        "almost enough since the last one",
        "enough since the last one",
        "few, but nobody is left to wait for",
        "all of it exported already",
        "no tasks at all",
    ],
)
def test_when_an_export_is_due(finished: int, still_open: int, exported: int, due: bool) -> None:
    assert export_is_due(WorkState(finished, still_open, exported), ExportOptions(min_new_files=50)) is due
