from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from diffgram_flows.brains import Evaluation, evaluate, sample_key
from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.models import Annotation, Box, LabelMap, Prediction, Sample

LABELS = LabelMap(((5, "cat"), (9, "dog"), (7, "cow")))
Case = tuple[list[Sample], list[Prediction]]
Crowds = dict[str, list[Box]]


def test_perfect_predictions_score_one() -> None:
    samples = [sample(1, box(5, 10)), sample(2, box(9, 20), box(5, 100))]
    predictions = [predicted(s, *(box(b.label_file_id, b.x_min, score=0.9) for b in s.boxes)) for s in samples]
    found = evaluate(samples, predictions, LABELS)
    assert (found.map, found.map50, found.images, found.boxes) == (1.0, 1.0, 2, 3)
    assert {name: score.boxes for name, score in found.per_class.items()} == {"cat": 2, "dog": 1}
    assert found.precision_recall == (1.0,) * 101


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param({"seed": 0}, id="mixed"),
        pytest.param({"seed": 1, "empty": 0.9}, id="mostly images without boxes"),
        pytest.param({"seed": 2, "silent": 0.9}, id="mostly images without detections"),
        pytest.param({"seed": 3, "answers": False}, id="no detections at all"),
        pytest.param({"seed": 4, "truth": False}, id="no boxes at all"),
    ],
)
def test_equals_pycocotools(kind: dict[str, Any]) -> None:
    samples, predictions = random_case(**kind)
    expected, per_class = pycocotools_scores(samples, predictions)
    found = evaluate(samples, predictions, LABELS)
    # COCO says -1 where there is nothing to find.
    assert found.map == pytest.approx(max(0.0, expected[0]), abs=1e-6)
    assert found.map50 == pytest.approx(max(0.0, expected[1]), abs=1e-6)
    scores = {name: (score.ap, score.ap50) for name, score in found.per_class.items()}
    assert scores == {name: pytest.approx(pair, abs=1e-6) for name, pair in per_class.items()}


def test_equals_pycocotools_on_5000_detections_with_crowds_and_empty_images() -> None:
    samples, predictions, crowds = crowded_case(7)
    assert sum(len(prediction.boxes) for prediction in predictions) >= 5_000
    assert any(crowds.values())
    assert any(not sample.boxes for sample in samples)
    assert len(predictions) < len(samples)
    judge = pycocotools_judge(samples, predictions, crowds)
    found = evaluate(samples, predictions, LABELS, crowds=crowds)
    assert list(found.summary.values()) == pytest.approx(list(judge.stats), abs=1e-6)
    precision = judge.eval["precision"][..., 2]
    for k, category in enumerate(judge.params.catIds):
        score = found.per_class[LABELS.name_of()[category]]
        mine = (score.ap, score.small, score.medium, score.large)
        assert mine == pytest.approx([float(precision[:, :, k, size].mean()) for size in range(4)], abs=1e-6)
        assert score.ap50 == pytest.approx(float(precision[0, :, k, 0].mean()), abs=1e-6)


def test_what_is_seen_in_a_crowd_is_neither_right_nor_wrong() -> None:
    picture = sample(1, box(5, 10))
    seen = predicted(picture, box(5, 300, score=0.95), box(5, 10, score=0.9))
    assert evaluate([picture], [seen], LABELS).map50 == pytest.approx(0.5)
    crowd = {"1": [Box(5, 280, 20, 400, 200)]}
    found = evaluate([picture], [seen], LABELS, crowds=crowd)
    assert (found.map50, found.boxes) == (1.0, 1)


def test_errors_and_strangers_count_as_nothing_seen() -> None:
    samples = [sample(1, box(5, 10)), sample(2, box(5, 10))]
    right = box(5, 10, score=0.9)
    predictions = [
        predicted(samples[0], right),
        Prediction("2", 0, 0, error="corrupt"),
        Prediction("77", 9, 9, (right,)),
    ]
    assert evaluate(samples, predictions, LABELS).map50 == pytest.approx(0.5, abs=0.01)


def test_a_label_outside_the_map_is_refused() -> None:
    with pytest.raises(LabelMapChanged, match="label 6"):
        evaluate([sample(1, box(6, 10))], [], LABELS)


def test_survives_json() -> None:
    samples, predictions = random_case(5)
    found = evaluate(samples, predictions, LABELS)
    assert Evaluation.from_json(json.loads(json.dumps(found.to_json()))) == found


def sample(number: int, *boxes: Box) -> Sample:
    return Sample(
        number, f"{number}.jpg", "", "", Path(f"{number}.jpg"), 640, 480, "test", tuple(map(Annotation.of_box, boxes))
    )


def predicted(of: Sample, *boxes: Box) -> Prediction:
    return Prediction(sample_key(of), of.width, of.height, boxes)


def box(label: int, x: int, *, score: float | None = None) -> Box:
    return Box(label, x, 30, x + 50, 90, score)


def random_case(
    seed: int, *, empty: float = 0.2, silent: float = 0.2, truth: bool = True, answers: bool = True
) -> Case:
    """Boxes, and predictions that are nearly right, missing, of another label, or of nothing."""
    random = np.random.default_rng(seed)
    samples, predictions = [], []
    for number in range(40):
        count = int(random.integers(1, 6)) if truth and random.random() >= empty else 0
        samples.append(sample(number, *(_random_box(random) for _ in range(count))))
        if not answers or random.random() < silent:
            continue
        near = [_shaken(random, b) for b in samples[-1].boxes if random.random() < 0.8]
        noise = [_shaken(random, _random_box(random)) for _ in range(random.integers(0, 4))]
        predictions.append(predicted(samples[-1], *near, *noise))
    return samples, predictions


def crowded_case(seed: int) -> tuple[list[Sample], list[Prediction], Crowds]:
    """More than 5,000 detections in 400 images, of which some are empty, unseen, or hold crowds."""
    random = np.random.default_rng(seed)
    samples, predictions, crowds = [], [], {}
    for number in range(400):
        empty = random.random() < 0.1
        boxes = [_random_box(random, least=6) for _ in range(0 if empty else int(random.integers(1, 9)))]
        samples.append(sample(number, *boxes))
        if random.random() < 0.2:
            crowds[str(number)] = [_random_box(random) for _ in range(int(random.integers(1, 3)))]
        if random.random() < 0.05:
            continue
        near = [_shaken(random, b) for b in boxes for _ in range(2)]
        noise = [_shaken(random, _random_box(random)) for _ in range(int(random.integers(2, 12)))]
        predictions.append(predicted(samples[-1], *near, *noise))
    return samples, predictions, crowds


def _random_box(random: np.random.Generator, least: int = 20) -> Box:
    x, y, width, height = (int(value) for value in random.integers([0, 0, least, least], [400, 300, 200, 150]))
    return Box(int(random.choice([5, 9, 7])), x, y, x + width, y + height)


def _shaken(random: np.random.Generator, b: Box) -> Box:
    reach = min(9, (b.x_max - b.x_min) // 3, (b.y_max - b.y_min) // 3)
    shift = [int(value) for value in random.integers(-reach, reach + 1, 4)]
    label = b.label_file_id if random.random() < 0.8 else 9
    corners = (b.x_min + shift[0], b.y_min + shift[1], b.x_max + shift[2], b.y_max + shift[3])
    return Box(label, *corners, round(float(random.random()), 4))


def pycocotools_scores(
    samples: list[Sample], predictions: list[Prediction]
) -> tuple[list[float], dict[str, tuple[float, float]]]:
    """COCO's own numbers: mAP and mAP at IoU 0.5, and the same by class."""
    judge = pycocotools_judge(samples, predictions)
    precision = judge.eval["precision"][:, :, :, 0, 2]
    names = LABELS.name_of()
    per_class = {
        names[category]: (float(precision[:, :, k].mean()), float(precision[0, :, k].mean()))
        for k, category in enumerate(judge.params.catIds)
        if precision[0, 0, k] >= 0
    }
    return [float(value) for value in judge.stats[:2]], per_class


def pycocotools_judge(samples: list[Sample], predictions: list[Prediction], crowds: Crowds | None = None) -> Any:
    drawn = [(s.file_id, b, False) for s in samples for b in s.boxes]
    drawn += [(int(key), b, True) for key, boxes in (crowds or {}).items() for b in boxes]
    detected = [(int(p.key), b, False) for p in predictions for b in p.boxes]
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(coco(samples, drawn), coco(samples, detected), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge


def coco(samples: list[Sample], boxes: list[tuple[int, Box, bool]]) -> Any:
    index = COCO()
    index.dataset = {
        "images": [{"id": s.file_id} for s in samples],
        "categories": [{"id": label_file_id} for label_file_id, _ in LABELS.labels],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": b.label_file_id,
                "bbox": [b.x_min, b.y_min, b.x_max - b.x_min, b.y_max - b.y_min],
                "area": b.area,
                "iscrowd": int(crowd),
                "score": b.score,
            }
            for number, (image, b, crowd) in enumerate(boxes, start=1)
        ],
    }
    index.createIndex()
    return index
