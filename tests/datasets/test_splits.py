from __future__ import annotations

from collections import Counter

import pytest

from diffgram_flows.datasets import SnapshotOptions, split_of
from diffgram_flows.datasets.splits import check_strata
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Split

KEYS = [f"2026/photo-{number}.jpg" for number in range(4000)]


def test_the_shares_are_kept() -> None:
    counts = Counter(split_of(key, val=0.1, test=0.2) for key in KEYS)
    assert counts["test"] / len(KEYS) == pytest.approx(0.2, abs=0.02)
    assert counts["val"] / len(KEYS) == pytest.approx(0.1, abs=0.02)


def test_a_split_is_for_ever() -> None:
    # Written down once: a change of the hash would mix yesterday's test images into training.
    marks = {"train": ".", "val": "v", "test": "t"}
    assert (
        "".join(marks[split_of(f"{number}.jpg")] for number in range(40)) == "vv...v........v....t......t.......ttt.t."
    )


def test_a_larger_share_takes_only_from_training() -> None:
    for key in KEYS:
        before, after = split_of(key, val=0.1), split_of(key, val=0.3)
        assert after == before or (before, after) == ("train", "val")


def test_a_group_stays_together() -> None:
    options = SnapshotOptions(group_pattern="^(.*)/")
    assert len({options.split(f"film-1/{number}.jpg") for number in range(50)}) == 1
    assert len({options.split(f"{number}.jpg") for number in range(50)}) > 1


@pytest.mark.parametrize(
    ("val", "test"),
    [pytest.param(0.5, 0.5, id="no training"), pytest.param(-0.1, 0.2, id="negative"), pytest.param(0, 1.2, id="over")],
)
def test_impossible_shares_are_refused(val: float, test: float) -> None:
    with pytest.raises(ConfigurationError, match="leave nothing to train on"):
        split_of("a.jpg", val=val, test=test)
    with pytest.raises(ConfigurationError):
        SnapshotOptions(val=val, test=test)


def test_a_wrong_pattern_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'\(' is no regular expression"):
        SnapshotOptions(group_pattern="(")


def spread(labels: dict[str, int], groups: int = 10**9) -> tuple[dict[Split, int], dict[Split, Counter[str]]]:
    """Images of labels, split by hash; of each label in so many groups that stay together."""
    images: Counter[Split] = Counter()
    having: dict[Split, Counter[str]] = {"train": Counter(), "val": Counter(), "test": Counter()}
    for label, count in labels.items():
        for number in range(count):
            split = split_of(f"{label}/{number}", group=f"{label}/{number % groups}")
            images[split] += 1
            having[split][label] += 1
    return dict(images), having


def test_a_split_by_hash_is_stratified_enough() -> None:
    assert check_strata(*spread({f"label {number}": 200 + 50 * number for number in range(60)})) == ()


def test_a_rare_label_that_is_missing_by_chance_is_told_as_that() -> None:
    gaps = check_strata(*spread({"car": 1000, "tractor": 2}))
    assert {(gap.label, gap.by_chance) for gap in gaps} == {("tractor", True)}
    assert "more annotated images" in str(gaps[0])


def test_a_label_whose_images_come_in_groups_is_told_as_that() -> None:
    images, having = spread({"car": 4000})
    images["train"] += 300
    having["train"]["bus"] = 300  # one film
    gaps = check_strata(images, having)
    assert [(gap.split, gap.images, gap.by_chance) for gap in gaps] == [("val", 0, False), ("test", 0, False)]
    assert "no image with 'bus'" in str(gaps[0])
    assert "groups" in str(gaps[0])


def test_too_few_is_told_and_a_little_fewer_is_not() -> None:
    images: dict[Split, int] = {"train": 7000, "val": 1000, "test": 2000}
    few = check_strata(images, {"train": {"bus": 500}, "val": {"bus": 60}, "test": {"bus": 20}})
    assert [(gap.split, round(gap.expected)) for gap in few] == [("test", 116)]
    assert check_strata(images, {"train": {"bus": 70}, "val": {"bus": 9}, "test": {"bus": 15}}) == ()
    many: dict[Split, int] = {split: 100 * count for split, count in images.items()}
    assert check_strata(many, {"train": {"bus": 350_000}, "val": {"bus": 50_000}, "test": {"bus": 99_800}}) == ()
    (gap,) = check_strata(many, {"train": {"bus": 351_000}, "val": {"bus": 50_000}, "test": {"bus": 90_000}})
    assert gap.split == "test"


def test_a_split_without_images_is_not_judged() -> None:
    assert check_strata({"train": 10, "val": 0, "test": 0}, {"train": {"car": 10}}) == ()
