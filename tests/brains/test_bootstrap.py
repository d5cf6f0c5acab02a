from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diffgram_flows.brains import DetectionEvaluation, evaluate
from diffgram_flows.brains.evaluation import Evidence, difference
from diffgram_flows.models import Annotation, Box, LabelMap, Prediction, Sample

LABELS = LabelMap(((5, "cat"), (9, "dog"), (7, "cow")))
Judge = Callable[..., DetectionEvaluation]


def samples(count: int, seed: int = 0) -> list[Sample]:
    random = np.random.default_rng(seed)
    return [_sample(random, number) for number in range(count)]


def predictions(truth: list[Sample], seed: int, *, sees: float, invents: int = 2) -> list[Prediction]:
    """What a brain says that finds a share of the boxes, and some that are not there; no two scores are equal."""
    random = np.random.default_rng(seed)
    found = []
    for sample in truth:
        boxes = [_moved(random, box) for box in sample.boxes if random.random() < sees]
        boxes += [_moved(random, _box(random)) for _ in range(int(random.integers(0, invents + 1)))]
        found.append(Prediction(str(sample.file_id), 640, 480, tuple(boxes)))
    return found


def evidence(truth: list[Sample], seed: int, *, sees: float) -> Evidence:
    found = evaluate(truth, predictions(truth, seed, sees=sees), LABELS).evidence
    assert found is not None
    return found


def test_images_that_count_once_give_the_evaluation_itself() -> None:
    truth = samples(60)
    seen = predictions(truth, 1, sees=0.7)
    found = evaluate(truth, seen, LABELS)
    assert found.evidence is not None
    again = found.evidence.replicates(np.ones((2, len(truth))))
    assert again == pytest.approx([found.map50] * 2, abs=1e-12)
    for index, name in enumerate(LABELS.names):
        alone = found.evidence.replicates(np.ones((1, len(truth))), [index])
        assert alone[0] == pytest.approx(found.per_class[name].ap50, abs=1e-12)


@pytest.mark.parametrize("count", [10, 20])
def test_few_images_count_as_coco_counts_them_to_the_last_bit(count: int) -> None:
    """With few boxes a recall is often just one of COCO's 101, such as 7 of 10, which is below its 0.70."""
    for seed in range(30):
        truth = samples(count, seed)
        found = evaluate(truth, predictions(truth, seed + 1000, sees=0.7), LABELS)
        assert found.evidence is not None
        assert found.evidence.replicates(np.ones((1, count)))[0] == pytest.approx(found.map50, rel=0, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_an_image_that_counts_thrice_is_as_good_as_three_images(seed: int) -> None:
    truth = samples(40, seed)
    seen = {prediction.key: prediction for prediction in predictions(truth, seed, sees=0.6)}
    weights = np.random.default_rng(seed).integers(0, 4, len(truth))
    copies = [replace(s, file_id=1000 * s.file_id + n) for s, w in zip(truth, weights, strict=True) for n in range(w)]
    copied = [replace(seen[str(copy.file_id // 1000)], key=str(copy.file_id)) for copy in copies]
    weighted = evaluate(truth, seen.values(), LABELS).evidence
    assert weighted is not None
    found = weighted.replicates(weights[None].astype(float))[0]
    assert found == pytest.approx(evaluate(copies, copied, LABELS).map50, abs=1e-9)


def test_the_same_brain_twice_differs_by_nothing() -> None:
    truth = samples(50)
    one = evidence(truth, 1, sees=0.7)
    interval = difference(one, one, range(50), confidence=0.9)
    assert (interval.difference, interval.low, interval.high, interval.better) == (0.0, 0.0, 0.0, 0.0)


def test_equally_good_brains_cannot_be_told_apart_and_a_better_one_can() -> None:
    truth = samples(120)
    one, twin, worse = (evidence(truth, seed, sees=sees) for seed, sees in ((1, 0.8), (2, 0.8), (3, 0.5)))
    alike = difference(one, twin, range(120), confidence=0.9)
    assert alike.low < 0 < alike.high
    better = difference(one, worse, range(120), confidence=0.9)
    assert 0 < better.low < better.difference < better.high
    assert better.better > 0.99
    back = difference(worse, one, range(120), confidence=0.9)
    assert (back.low, back.high) == pytest.approx((-better.high, -better.low))


def test_the_same_seed_gives_the_same_interval_and_more_confidence_a_wider_one() -> None:
    truth = samples(40)
    one, other = evidence(truth, 1, sees=0.8), evidence(truth, 2, sees=0.6)
    intervals = [difference(one, other, range(40), confidence=c, replicates=300) for c in (0.8, 0.8, 0.99)]
    assert intervals[0] == intervals[1]
    assert intervals[2].low < intervals[0].low < intervals[0].high < intervals[2].high


def test_images_of_a_group_are_drawn_together() -> None:
    truth = samples(80)
    one, other = evidence(truth, 1, sees=0.8), evidence(truth, 2, sees=0.6)
    together = difference(one, other, [number // 20 for number in range(80)], confidence=0.9)
    assert together.draws == 4
    whole = difference(one, other, ["film"] * 80, confidence=0.9)
    assert whole.low == whole.high == pytest.approx(whole.difference)


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says() -> None:
    """Two brains that are equally good: 0 is to lie in nine of ten intervals."""
    held = 0
    for seed in range(40):
        truth = samples(40, seed)
        one, other = evidence(truth, 2 * seed, sees=0.7), evidence(truth, 2 * seed + 1, sees=0.7)
        interval = difference(one, other, range(40), confidence=0.9, replicates=200, seed=seed)
        held += interval.low <= 0 <= interval.high
    assert 31 <= held <= 40


def test_nothing_to_find_is_no_number() -> None:
    truth = [replace(sample, annotations=()) for sample in samples(5)]
    one = evidence(truth, 1, sees=1.0)
    interval = difference(one, one, range(5), confidence=0.9)
    assert np.isnan([interval.difference, interval.low, interval.high]).all()


def _sample(random: np.random.Generator, number: int) -> Sample:
    boxes = [_box(random) for _ in range(int(random.integers(1, 5)))]
    annotations = tuple(map(Annotation.of_box, boxes))
    return Sample(number, f"{number}.jpg", "", "", Path(f"{number}.jpg"), 640, 480, "test", annotations)


def _box(random: np.random.Generator) -> Box:
    x, y, width, height = (int(value) for value in random.integers([0, 0, 30, 30], [400, 300, 200, 150]))
    return Box(int(random.choice([5, 9, 7])), x, y, x + width, y + height)


def _moved(random: np.random.Generator, box: Box) -> Box:
    left, top, right, bottom = (int(value) for value in random.integers(-6, 7, 4))
    corners = (box.x_min + left, box.y_min + top, box.x_max + right, box.y_max + bottom)
    return Box(box.label_file_id, *corners, float(random.random()))
