from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from diffgram_flows.brains import ClassScore, DetectionEvaluation, Gate, Interval
from diffgram_flows.brains.evaluation import ClassificationEvaluation, TagScore
from diffgram_flows.brains.gate import decide, remarks
from diffgram_flows.errors import ConfigurationError

NO_CLASSES: Mapping[str, ClassScore] = {}


def scored(map50: float, per_class: Mapping[str, ClassScore] = NO_CLASSES) -> DetectionEvaluation:
    return DetectionEvaluation(map=map50 / 2, map50=map50, per_class=per_class, images=50, boxes=90, summary={})


def between(low: float, high: float, draws: int = 50) -> Interval:
    return Interval((low + high) / 2, low, high, 0.9, 0.9, draws)


@pytest.mark.parametrize(
    ("low", "high", "passes", "said"),
    [
        (0.05, 0.3, True, r"better than cars@1: mAP50 0\.7000 against 0\.5000.*90% interval \+0\.0500 to \+0\.3000"),
        (-0.01, 0.3, False, "not better than cars@1 for sure"),
        (0.0, 0.3, False, "not better than cars@1 for sure"),
        (-0.3, 0.1, False, "not better than cars@1: "),
        (float("nan"), float("nan"), False, "not better than cars@1: "),
    ],
)
def test_the_whole_interval_must_lie_above_zero(low: float, high: float, passes: bool, said: str) -> None:
    found = decide(Gate(), scored(0.7), champion="cars@1", theirs=scored(0.5), interval=between(low, high))
    assert found.passed is passes
    assert re.search(said, found.reasons[0])


def test_every_label_with_enough_boxes_must_reach_its_floor_and_is_named() -> None:
    classes = {"cat": ClassScore(0.5, 0.8, 40), "dog": ClassScore(0.1, 0.3, 12), "cow": ClassScore(0.0, 0.0, 9)}
    gate = Gate(min_score=0.75, min_class_score=0.5)
    found = decide(gate, scored(0.7, classes), champion="cars@1", theirs=scored(0.1), interval=between(0.5, 0.7))
    assert not found.passed
    assert found.reasons == (
        "Its mAP50 of 0.7000 is below the required 0.7500.",
        "Its mAP50 of the label dog is 0.3000 (12 to find), below the required 0.5000 of every label.",
    )


def test_a_choice_below_its_floor_is_called_as_people_call_it() -> None:
    score = TagScore(precision=0.2, recall=0.2, f1=0.2, tags=30)
    found = ClassificationEvaluation(
        f1=0.9,
        accuracy=0.9,
        per_class={"cat / 3: red": score},
        names={"cat / 3: red": "cat / colour: red"},
        single=True,
        tags=30,
        images=30,
    )
    (reason,) = decide(Gate(min_class_score=0.5), found).reasons
    assert reason.startswith("Its macro F1 of the label cat / colour: red is 0.2000 (30 to find), below")


def test_the_first_brain_needs_only_the_floors() -> None:
    assert decide(Gate(min_score=0.5), scored(0.5)).passed
    assert not decide(Gate(min_score=0.5), scored(0.49)).passed


def test_what_is_no_number_never_passes() -> None:
    found = decide(Gate(), scored(float("nan")))
    assert (found.passed, found.reasons) == (False, ("Its mAP50 is no number.",))


def test_people_are_told_of_rough_intervals_and_of_labels_that_the_champion_lacks() -> None:
    said = list(remarks(between(0.1, 0.2, draws=7), between(-0.2, -0.1), ("cow", "dog")))
    assert "only 7 test images" in said[0]
    assert "does not know cow, dog" in said[1]
    assert "worse" in said[2]
    assert list(remarks(between(0.1, 0.2), None, ())) == []


@pytest.mark.parametrize("numbers", [{"min_score": 1.1}, {"min_class_score": -0.1}, {"confidence": 1.0}])
def test_a_gate_that_makes_no_sense(numbers: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="gate"):
        Gate(**numbers)  # type: ignore[arg-type]
