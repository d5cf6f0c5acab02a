"""Folders of unfinished trainings: who may have one, and when it goes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.brains.checkpoints import checkpoints_of, order_key
from diffgram_flows.errors import Busy
from diffgram_flows.models import BrainRef, LabelMap, Snapshot


def begin(folder: Path, key: str) -> Path:
    """A training that is interrupted after it has written something."""
    with suppress(KeyboardInterrupt), checkpoints_of(folder, key) as place:
        (place / "state").write_text(key)
        raise KeyboardInterrupt
    return place


def test_what_is_interrupted_stays_and_what_is_done_goes(tmp_path: Path) -> None:
    place = begin(tmp_path, "one")
    assert (place / "state").read_text() == "one"
    with checkpoints_of(tmp_path, "one") as again:
        assert (again / "state").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_new_order_removes_what_an_older_one_left(tmp_path: Path) -> None:
    old = begin(tmp_path, "old")
    with checkpoints_of(tmp_path, "new"):
        assert not old.exists()


def test_an_order_that_is_worked_on_is_let_be(tmp_path: Path) -> None:
    with checkpoints_of(tmp_path, "one") as place:
        with checkpoints_of(tmp_path, "other"):
            assert place.exists()
        with pytest.raises(Busy, match="at this training already"), checkpoints_of(tmp_path, "one"):
            pass
        assert place.exists()


def test_another_order_is_another_training(tmp_path: Path) -> None:
    snapshot = Snapshot("0123", tmp_path, LabelMap(((1, "car"),)), ())
    options, parent = TrainingOptions(), BrainRef("detector", 1)
    key = order_key(snapshot, options, parent, "object_detection")
    assert key == order_key(snapshot, TrainingOptions(), BrainRef("detector", 1), "object_detection")
    weights = tmp_path / "backbone.h5"
    weights.write_bytes(b"one")
    loaded = replace(options, backbone_weights=str(weights))
    others = {
        order_key(replace(snapshot, id="4567"), options, parent, "object_detection"),
        order_key(replace(snapshot, label_map=LabelMap(((2, "car"),))), options, parent, "object_detection"),
        order_key(snapshot, replace(options, seed=1), parent, "object_detection"),
        order_key(snapshot, options, None, "object_detection"),
        order_key(snapshot, options, parent, "classification"),
        order_key(snapshot, loaded, parent, "object_detection"),
    }
    weights.write_bytes(b"two")
    others.add(order_key(snapshot, loaded, parent, "object_detection"))
    assert len(others | {key}) == 8
