from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from diffgram_flows.brains import DetectionEvaluation, Epoch, loss_curve, precision_recall
from diffgram_flows.brains.evaluation import Confusion, calibrate
from diffgram_flows.brains.plots import calibration_curve, confusion_matrix

CURVE = tuple(1 - index / 100 for index in range(101))


def is_picture(path: Path) -> bool:
    with Image.open(path) as image:
        return image.format == "PNG" and len(image.convert("L").getcolors() or []) > 10


@pytest.mark.parametrize("validation", [0.9, None], ids=["with validation", "without"])
def test_loss_curve(tmp_path: Path, validation: float | None) -> None:
    history = [Epoch(step, 1 / step, {"box": 0.3 / step}, validation, {}, float(step)) for step in range(1, 5)]
    assert is_picture(loss_curve(history, tmp_path / "plots" / "loss.png"))


@pytest.mark.parametrize("curve", [CURVE, ()], ids=["curve", "nothing to find"])
def test_precision_recall(tmp_path: Path, curve: tuple[float, ...]) -> None:
    evaluations = {
        "detector@1": DetectionEvaluation(
            map=0.3, map50=0.5, per_class={}, precision_recall=curve, images=3, boxes=5, summary={}
        )
    }
    assert is_picture(precision_recall(evaluations, tmp_path / "plots" / "pr.png"))


@pytest.mark.parametrize("scores", [[0.2, 0.6, 0.9], []], ids=["answers", "none"])
def test_calibration_curve(tmp_path: Path, scores: list[float]) -> None:
    found = {"detector@1": calibrate(scores, [score > 0.5 for score in scores])}
    assert is_picture(calibration_curve(found, tmp_path / "plots" / "calibration.png"))


@pytest.mark.parametrize("size", [1, 3, 80])
def test_confusion_matrix(tmp_path: Path, size: int) -> None:
    counts = tuple(tuple(2_500_000 if row == column else column for column in range(size)) for row in range(size))
    matrix = Confusion(tuple(f"label {index}" for index in range(size)), counts)
    assert is_picture(confusion_matrix(matrix, "what is taken for what", tmp_path / "confusion.png"))
