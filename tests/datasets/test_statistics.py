from __future__ import annotations

import numpy as np

from diffgram_flows.datasets import SplitStatistics
from diffgram_flows.datasets.statistics import SPLITS, Tally, twins
from diffgram_flows.models import AnnotationType, LabelMap, Split

LABELS = LabelMap(((4, "car"), (2, "person"), (9, "car")))
TYPES: list[AnnotationType] = ["box", "polygon", "line", "point", "tag"]


def counted(*images: tuple[Split, list[tuple[int, AnnotationType]]]) -> Tally:
    tally = Tally(LABELS)
    splits = np.array([SPLITS.index(split) for split, _ in images], np.int8)
    counts = np.array([len(drawn) for _, drawn in images], np.int64)
    tally.add_images(splits, counts)
    drawn = [one for _, every in images for one in every]
    labels = np.array([label for label, _ in drawn], np.int64)
    tally.add_annotations(
        np.repeat(splits, counts), labels, np.array([TYPES.index(kind) for _, kind in drawn], np.int8)
    )
    return tally


def test_annotations_are_counted_by_label_type_and_split() -> None:
    car, person, tag = (4, "box"), (2, "polygon"), (4, "tag")
    tally = counted(("train", [car, car, person, tag]), ("train", []), ("test", [(9, "box")]))  # type: ignore[list-item]
    per_type = {"box": 3, "polygon": 1, "tag": 1}
    assert tally.total() == SplitStatistics(3, 1, 4, {"car (id 4)": 3, "person": 1, "car (id 9)": 1}, per_type)
    splits = tally.by_split()
    assert list(splits) == ["train", "val", "test"]
    names = {"car (id 4)": 3, "person": 1, "car (id 9)": 0}
    assert splits["train"] == SplitStatistics(2, 1, 3, names, {"box": 2, "polygon": 1, "tag": 1})
    assert splits["val"] == SplitStatistics(0, 0, 0, dict.fromkeys(names, 0))


def test_what_is_counted_in_parts_is_counted_the_same() -> None:
    tally = Tally(LABELS)
    for _ in range(3):
        tally.add_annotations(np.array([0, 2], np.int8), np.array([9, 2]), np.array([0, 0], np.int8))
    assert tally.total().per_label == {"car (id 4)": 0, "person": 3, "car (id 9)": 3}


def test_nothing_is_counted_without_labels() -> None:
    tally = Tally(LabelMap())
    tally.add_images(np.zeros(2, np.int8), np.zeros(2, np.int64))
    tally.add_annotations(np.zeros(0, np.int8), np.zeros(0, np.int64), np.zeros(0, np.int8))
    assert tally.total() == SplitStatistics(2, 2, 0, {})


def test_twins_lie_in_two_splits() -> None:
    splits = np.array([0, 0, 2, 2, 1], np.int8)
    assert twins(np.array([0, 1, 0, 2, 2]), splits) == 4
    assert twins(np.array([0, 0, 1, 1, 2]), splits) == 0
