from __future__ import annotations

from pathlib import Path

from diffgram_flows.brains import read_predictions, write_predictions
from diffgram_flows.models import Box, Prediction


def test_predictions_come_back_as_they_were(tmp_path: Path) -> None:
    first = [Prediction("ü.jpg", 640, 480, (Box(4, 1, 2, 30, 40, 0.875), Box(5, 0, 0, 9, 9, 0.5)))]
    second = [Prediction("empty.jpg", 10, 10), Prediction("bad.jpg", 0, 0, error="It is damaged.")]
    write_predictions(tmp_path / "d@1" / "000-009.jsonl", first, brain="d@1", label_map_digest="abc")
    write_predictions(tmp_path / "d@1" / "010-019.jsonl", second, brain="d@1", label_map_digest="abc")
    assert list(read_predictions(tmp_path / "d@1")) == [*first, *second]


def test_a_chunk_that_is_predicted_again_replaces_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "000-009.jsonl"
    write_predictions(path, [Prediction("a.jpg", 1, 1)], brain="d@1", label_map_digest="abc")
    write_predictions(path, [Prediction("b.jpg", 1, 1)], brain="d@1", label_map_digest="abc")
    assert [seen.key for seen in read_predictions(tmp_path)] == ["b.jpg"]


def test_a_brain_that_saw_nothing_yet_has_no_predictions(tmp_path: Path) -> None:
    assert list(read_predictions(tmp_path / "nowhere")) == []
