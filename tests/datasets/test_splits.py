from __future__ import annotations

from collections import Counter

import pytest

from diffgram_flows.datasets import SnapshotOptions, split_of
from diffgram_flows.errors import ConfigurationError

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
