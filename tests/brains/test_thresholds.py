from __future__ import annotations

from pathlib import Path

import pytest

from diffgram_flows.brains import best_threshold
from diffgram_flows.models import Annotation, Box, Prediction, Sample


def at(x: int, score: float | None = None, label: int = 5, width: int = 50) -> Box:
    return Box(label, x, 0, x + width, 50, score)


@pytest.mark.parametrize(
    ("truth", "predicted", "expected"),
    [
        pytest.param([at(0)], [at(0, 0.8), at(200, 0.4)], 0.6, id="between a hit and a false alarm"),
        pytest.param([at(0)], [at(0, 0.8)], 0.4, id="only hits: half the lowest score"),
        pytest.param([at(0)], [at(200, 0.9)], 1.0, id="only false alarms: show nothing"),
        pytest.param([at(0)], [at(0, 0.8), at(0, 0.6)], 0.7, id="a duplicate is a false alarm"),
        pytest.param([], [at(0, 0.9)], 1.0, id="nothing to find"),
        pytest.param(
            [at(0), at(100)], [at(0, 0.8), at(100, 0.6, label=6)], 0.3, id="correcting is no dearer than drawing"
        ),
        pytest.param([at(0), at(100)], [at(0, 0.8), at(300, 0.5), at(100, 0.5)], 0.25, id="equal scores stay together"),
        pytest.param(
            [at(0), at(100), at(200)],
            [at(0, 0.9), at(400, 0.7), at(100, 0.5), at(200, 0.4), at(500, 0.1)],
            0.25,
            id="one false alarm is worth two hits",
        ),
    ],
)
def test_fewest_edits(truth: list[Box], predicted: list[Box], expected: float) -> None:
    sample = Sample(1, "1.jpg", "", "", Path("1.jpg"), 640, 480, "val", tuple(map(Annotation.of_box, truth)))
    assert best_threshold([sample], [Prediction("1", 640, 480, tuple(predicted))]) == pytest.approx(expected)


def test_predictions_of_other_images_are_ignored() -> None:
    assert best_threshold([], [Prediction("9", 640, 480, (at(0, 0.9),))]) == 1.0
