"""Tags, areas, calibration and confusion: worked out by hand, or by scikit-learn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from diffgram_flows.brains import Evaluation, evaluate, evaluate_classification, evaluate_segmentation
from diffgram_flows.brains.evaluation import NOTHING, Evidence, calibrate
from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.models import Annotation, Box, LabelMap, Point, Prediction, Sample
from diffgram_flows.names import Attribute

LABELS = LabelMap(((5, "cat"), (9, "dog"), (7, "cow")))
IDS = (5, 9, 7)


def sample(number: int, *annotations: Annotation) -> Sample:
    return Sample(number, f"{number}.jpg", "", "", Path("x.jpg"), 20, 10, "test", annotations)


def said(number: int, *annotations: Annotation) -> Prediction:
    return Prediction(str(number), 20, 10, annotations=annotations)


def tag(label: int, score: float | None = None) -> Annotation:
    return Annotation("tag", label, score=score)


def area(label: int, left: int, right: int, score: float | None = None) -> Annotation:
    """A strip of the image's whole height of 10."""
    points: tuple[Point, ...] = ((left, 0), (right, 0), (right, 10), (left, 10))
    return Annotation("polygon", label, points, score=score)


def evidence(found: Evaluation) -> Evidence:
    assert found.evidence is not None
    return found.evidence


def test_one_tag_an_image_as_scikit_learn_counts_it() -> None:
    random = np.random.default_rng(0)
    truth, scores = random.integers(0, 3, 200), random.random((200, 3))
    scores[np.arange(200), truth] += 0.4
    scores /= scores.sum(axis=1, keepdims=True)
    samples = [sample(row, tag(IDS[index])) for row, index in enumerate(truth)]
    answers = [
        said(row, *(tag(i, float(s)) for i, s in zip(IDS, line, strict=True))) for row, line in enumerate(scores)
    ]
    best = scores.argmax(axis=1)
    found = evaluate_classification(samples, answers, LABELS)
    assert found.single
    assert found.value == pytest.approx(f1_score(truth, best, average="macro"))
    assert found.accuracy == pytest.approx(accuracy_score(truth, best))
    expected = np.array(precision_recall_fscore_support(truth, best))[:3].T
    mine = [(score.precision, score.recall, score.f1) for score in found.per_class.values()]
    assert np.array(mine) == pytest.approx(expected)
    matrix = evidence(found).inspect(answers).confusion
    assert np.array(matrix.counts)[:3, :3].tolist() == confusion_matrix(truth, best).tolist()
    assert matrix.labels[-1] == NOTHING


def test_several_tags_an_image_as_scikit_learn_counts_them() -> None:
    random = np.random.default_rng(1)
    truth, scores = random.random((100, 3)) < 0.4, random.random((100, 3))
    samples = [
        sample(row, *(tag(i) for i, there in zip(IDS, line, strict=True) if there)) for row, line in enumerate(truth)
    ]
    answers = [
        said(row, *(tag(i, float(s)) for i, s in zip(IDS, line, strict=True))) for row, line in enumerate(scores)
    ]
    found = evaluate_classification(samples, answers, LABELS)
    assert not found.single
    assert found.f1 == pytest.approx(f1_score(truth, scores >= 0.5, average="macro"))
    assert found.accuracy == pytest.approx(accuracy_score(truth, scores >= 0.5))
    weights = random.integers(0, 3, 100)
    repeated = np.repeat(np.arange(100), weights)
    again = evidence(found).replicates(np.stack([np.ones(100), weights]).astype(float))
    assert again == pytest.approx([found.f1, f1_score(truth[repeated], (scores >= 0.5)[repeated], average="macro")])


def painted(label: int, colour: str = "", score: float | None = None) -> Annotation:
    return Annotation("tag", label, (), ((3, colour),) if colour else (), score)


def test_choices_in_attributes_are_classes_where_somebody_has_chosen() -> None:
    truth = [painted(5, "red"), painted(5, "red"), painted(5, "blue"), painted(5), painted(9)]
    answers = [painted(5, "red"), painted(5, "blue"), painted(5, "blue"), painted(5, "blue"), painted(5, "red")]
    samples = [sample(row, one) for row, one in enumerate(truth)]
    given = [said(row, one._replace(score=0.9)) for row, one in enumerate(answers)]
    found = evaluate_classification(samples, given, LABELS)
    red, blue = found.per_class["cat / 3: red"], found.per_class["cat / 3: blue"]
    assert (red.precision, red.recall, red.tags) == (1.0, 0.5, 2)
    assert (blue.precision, blue.recall, blue.tags) == (0.5, 1.0, 1)  # nobody has said what colour the fourth one is
    cat = 2 * 4 / (4 + 5)
    assert found.f1 == pytest.approx((cat + 0 + 2 / 3 + 2 / 3) / 4)
    assert (found.accuracy, found.tags) == (3 / 5, 5)
    again = evidence(found).replicates(np.array([[1.0] * 5, [1, 0, 0, 0, 0]]))
    assert again == pytest.approx([found.f1, 1.0])
    assert evidence(found).replicates(np.ones((1, 5)), [1]) == pytest.approx([0.0])
    assert evidence(found).replicates(np.ones((1, 5)), [0]) == pytest.approx([(cat + 4 / 3) / 3])
    seen = evidence(found).inspect(given)
    assert seen.mistakes == (0.0, 1.0, 0.0, 0.0, 1.0)
    assert seen.confusion.worst(3) == [("dog", "cat", 1), ("cat / 3: red", "cat / 3: blue", 1)]
    nothing = evidence(found).inspect([])
    assert nothing.mistakes == (2.0, 2.0, 2.0, 1.0, 1.0)


def chose(label: int, *chosen: tuple[int, str]) -> Annotation:
    return Annotation("tag", label, (), chosen, 0.9)


def test_choices_are_called_as_people_call_them_and_known_by_their_ids() -> None:
    named = replace(LABELS, attributes=(Attribute(3, " coat  colour", ((7, "red"), (8, "blue"))), Attribute(4)))
    truth = [chose(5, (3, "red"), (4, "x")), chose(5, (3, '{"id": 8}')), chose(9, (3, "red"), (6, "y"))]
    samples = [sample(row, one) for row, one in enumerate(truth)]
    given = [said(0, truth[0]), said(1, chose(5, (3, "red"))), said(2, truth[2])]
    found, bare = (evaluate_classification(samples, given, labels) for labels in (named, LABELS))
    assert found.names == {
        "cat / 3: red": "cat / coat colour: red",
        'cat / 3: {"id": 8}': "cat / coat colour: blue",
        "dog / 3: red": "dog / coat colour: red",
    }
    assert (found.name_of("cat / 4: x"), found.name_of("dog / 6: y")) == ("cat / 4: x", "dog / 6: y")
    assert replace(found, names={}) == bare  # they are of the same classes
    assert (bare.names, "names" in bare.to_json()) == ({}, False)
    again = Evaluation.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert evidence(found).inspect(given).confusion.worst(2) == [
        ("cat / coat colour: blue", "cat / coat colour: red", 1)
    ]


def test_what_has_the_same_name_is_told_apart() -> None:
    twins = LabelMap(((5, "cat"), (9, "cat")), tuple(Attribute(i, "colour", ((8, "red"),)) for i in (3, 4, 6)))
    truth = [chose(5, (3, "red"), (4, "red")), chose(9, (6, "red")), chose(9, (6, "8"))]
    samples = [sample(row, one) for row, one in enumerate(truth)]
    answers = [said(0, truth[0]), said(1, truth[1]), said(2, truth[1])]
    found = evaluate_classification(samples, answers, twins)
    assert {found.name_of(key): score.f1 for key, score in found.per_class.items()} == {
        "cat (id 5)": 1.0,
        "cat (id 9)": 1.0,
        "cat (id 5) / colour (id 3): red": 1.0,
        "cat (id 5) / colour (id 4): red": 1.0,
        "cat (id 9) / 6: red": pytest.approx(2 / 3),  # both answers read "red"
        "cat (id 9) / 6: 8": 0.0,
    }
    assert found.f1 == pytest.approx(evidence(found).replicates(np.ones((1, 3)))[0])
    labels = evidence(found).inspect(answers).confusion.labels
    assert len(set(labels)) == len(labels)

    drawn = sample(1, area(5, 0, 5), area(9, 5, 9))
    assert list(evaluate_segmentation([drawn], [], twins).per_class) == ["cat (id 5)", "cat (id 9)"]
    assert list(evaluate([drawn], [], twins).per_class) == ["cat (id 5)", "cat (id 9)"]


def test_areas_pixel_by_pixel() -> None:
    samples = [sample(1, area(5, 0, 10)), sample(2, area(9, 0, 4)), sample(3)]
    answers = [said(1, area(5, 5, 15, 0.9)), said(2, area(9, 0, 4, 0.8), area(6, 0, 20, 0.1))]
    found = evaluate_segmentation(samples, answers, LABELS)
    assert {name: score.iou for name, score in found.per_class.items()} == {"cat": pytest.approx(1 / 3), "dog": 1.0}
    assert found.value == found.mean_iou == pytest.approx(2 / 3)
    assert found.pixel_accuracy == pytest.approx(1 - 100 / 600)
    assert (found.per_class["cat"].recall, found.areas, found.images) == (0.5, 2, 3)
    again = evidence(found).replicates(np.array([[1.0, 1, 1], [1, 0, 0], [0, 0, 1]]))
    assert again == pytest.approx([2 / 3, 1 / 3, np.nan], nan_ok=True)
    seen = evidence(found).inspect(answers)
    assert seen.mistakes == pytest.approx((0.5, 0.0, 0.0))
    assert seen.confusion.worst(2) == [("cat", NOTHING, 50), (NOTHING, "cat", 50)]
    assert evidence(found).calibration().count == 2


@pytest.mark.parametrize("judge", [evaluate_classification, evaluate_segmentation], ids=["tags", "areas"])
def test_a_label_outside_the_map_is_refused(judge: object) -> None:
    assert callable(judge)
    with pytest.raises(LabelMapChanged, match="label 6"):
        judge([sample(1, tag(6), area(6, 0, 5))], [], LABELS)


def test_every_kind_survives_json_and_old_manifests_are_of_detectors() -> None:
    samples, answers = [sample(1, tag(5), area(9, 0, 5), Annotation.of_box(Box(5, 1, 1, 9, 9)))], [said(1, tag(5, 0.7))]
    for judge in (evaluate, evaluate_classification, evaluate_segmentation):
        found = judge(samples, answers, LABELS)
        again = Evaluation.from_json(json.loads(json.dumps(found.to_json())))
        assert again == found
        assert again.evidence is None
    old = {"map": 0.2, "map50": 0.4, "precision_recall": [], "images": 3, "boxes": 5, "per_class": {}}
    assert Evaluation.from_json(old).scores == {"mAP50": 0.4, "mAP": 0.2}


def test_calibration_by_hand() -> None:
    found = calibrate([0.0, 0.1, 0.95, 0.95, 1.0, 0.55], [0, 0, 1, 1, 1, 0])
    counts = [one.count for one in found.bins]
    assert counts == [2, 0, 0, 0, 0, 1, 0, 0, 0, 3]
    assert found.error == pytest.approx((0.1 + 0.05 + 0.05 + 0.0 + 0.55) / 6)
    assert np.isnan(calibrate([], []).error)


def test_boxes_that_are_right_wrongly_called_missed_and_of_nothing() -> None:
    cat, dog = Box(5, 0, 0, 4, 4), Box(9, 10, 0, 14, 4)
    picture = sample(1, *map(Annotation.of_box, (cat, dog, Box(7, 0, 6, 4, 10))))
    shown = Prediction("1", 20, 10, (Box(5, 0, 0, 4, 4, 0.9), Box(7, 10, 0, 14, 4, 0.8), Box(9, 15, 5, 19, 9, 0.7)))
    found = evidence(evaluate([picture], [shown], LABELS)).inspect([shown])
    assert found.mistakes == (3.0,)
    assert found.confusion.counts == ((1, 0, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (0, 1, 0, 0))


def test_scores_of_boxes_against_finding_one() -> None:
    picture = sample(1, Annotation.of_box(Box(5, 0, 0, 4, 4)))
    shown = Prediction("1", 20, 10, (Box(5, 0, 0, 4, 4, 0.95), Box(5, 10, 0, 14, 4, 0.95)))
    (full,) = [one for one in evidence(evaluate([picture], [shown], LABELS)).calibration().bins if one.count]
    assert (full.count, full.hits) == (2, 0.5)
    assert full.score == pytest.approx(0.95)
