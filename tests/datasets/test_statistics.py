from __future__ import annotations

from pathlib import Path

from diffgram_flows.datasets import SplitStatistics, count, count_by_split
from diffgram_flows.models import Annotation, Box, LabelMap, Sample, Split

LABELS = LabelMap(((4, "car"), (2, "person"), (9, "car")))


def sample(split: Split, *labels: int) -> Sample:
    boxes = tuple(Box(label, 0, 0, 5, 5) for label in labels)
    return Sample(1, "a.jpg", "", "00", Path("a.jpg"), 10, 10, split, tuple(map(Annotation.of_box, boxes)))


def test_boxes_are_counted_by_label_and_split() -> None:
    samples = [sample("train", 4, 4, 2), sample("train"), sample("test", 9)]
    assert count(samples, LABELS) == SplitStatistics(3, 1, 4, {"car (id 4)": 2, "person": 1, "car (id 9)": 1})
    splits = count_by_split(samples, LABELS)
    assert list(splits) == ["train", "val", "test"]
    assert splits["train"] == SplitStatistics(2, 1, 3, {"car (id 4)": 2, "person": 1, "car (id 9)": 0})
    assert splits["val"] == SplitStatistics(0, 0, 0, {"car (id 4)": 0, "person": 0, "car (id 9)": 0})
