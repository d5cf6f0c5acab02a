"""What the training tasks refuse before anything is trained."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from diffgram_flows.brains import Registry
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.models import Annotation, Box, LabelMap, Sample, Snapshot
from diffgram_flows.parameters import TrainOptions, TrainParameters
from diffgram_flows.tasks import training


def test_what_nobody_could_judge_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = (Annotation.of_box(Box(70, 0, 0, 9, 9)),)
    sample = Sample(1, "a.png", "", "0" * 64, tmp_path / "a.png", 10, 10, "train", drawn)
    snapshot = Snapshot("0123456789abcdef", tmp_path, LabelMap(((70, "red"),)), (sample,))
    workspace = SimpleNamespace(workdir=tmp_path, registry=Registry(tmp_path / "brains"), champion=lambda name: None)
    monkeypatch.setattr(training, "open_workspace", lambda target: workspace)
    monkeypatch.setattr(training, "_snapshot", lambda workspace, parameters: snapshot)
    with pytest.raises(NotEnoughData, match=r"is a test image with a box or a polygon, so nobody .* good 'cars' is"):
        training.train.fn(TrainParameters(training=TrainOptions(brain="cars")))
    assert not (tmp_path / "brains").exists()
    assert not (tmp_path / "training").exists()
