"""What is drawn against what is true: the judgement and the hand of the annotator."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.truth import TrueBox, TrueShape, TrueThing

SAME_OBJECT_IOU = 0.4
# How far a careless hand misses a corner, as a part of the box's size.
SLIP = 0.2


@dataclass(slots=True)
class AnnotationTally:
    """What an annotator did.

    Attributes:
        images: Tasks saved and completed.
        drawn: Boxes drawn where there was none.
        corrected: Boxes moved or renamed.
        deleted: Boxes around nothing, removed.
        kept: Boxes left untouched.
        prelabels: Boxes that were there before: corrected + deleted + kept.
        skipped: Tasks left alone, because the truth does not know their image.
    """

    images: int = 0
    drawn: int = 0
    corrected: int = 0
    deleted: int = 0
    kept: int = 0
    prelabels: int = 0
    skipped: int = 0

    def __iadd__(self, other: AnnotationTally) -> AnnotationTally:
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))
        return self


@dataclass(slots=True)
class Sheet:
    """One image on the desk: the instances to send, and what was done to them."""

    instances: list[dict[str, Any]]
    tally: AnnotationTally = field(default_factory=AnnotationTally)


class Hand:
    """Draws boxes, with a careless slip now and then."""

    def __init__(self, labels: dict[int, str], chance: random.Random, error_rate: float, width: int, height: int):
        self.labels = labels
        self._ids = {name: label_id for label_id, name in sorted(labels.items(), reverse=True)}
        self._chance = chance
        self._error_rate = error_rate
        self._width, self._height = width, height

    def draw(self, true: TrueBox) -> dict[str, Any] | None:
        """The box as it comes from the hand, None if it was forgotten.

        Raises:
            ConfigurationError: There is no such label to draw with.
        """
        label_file_id = self._id_of(true.label)
        box = {"x_min": true.x_min, "y_min": true.y_min, "x_max": true.x_max, "y_max": true.y_max}
        if self._chance.random() < self._error_rate:
            if self._chance.random() < 0.5:
                return None
            box = self._slipped(true)
        return {"type": "box", "label_file_id": label_file_id, **box}

    def shape(self, true: TrueShape) -> dict[str, Any]:
        """What is no box, as it is: a careless hand slips with boxes only.

        Raises:
            ConfigurationError: There is no such label to draw with.
        """
        points = [{"x": x, "y": y} for x, y in true.points]
        attributes = {str(group): value for group, value in true.attributes}
        return {
            "type": true.kind,
            "label_file_id": self._id_of(true.label),
            **({"points": points} if points else {}),
            **({"attribute_groups": attributes} if attributes else {}),
        }

    def _id_of(self, label: str) -> int:
        if label not in self._ids:
            raise ConfigurationError(
                f"The label {label!r} of the ground truth is not in the schema of the job.",
                cure="Add it to the schema, with `diffgram-flows sandbox labels` for example, before the job is made.",
            )
        return self._ids[label]

    def _slipped(self, true: TrueBox) -> dict[str, int]:
        dx = round((true.x_max - true.x_min) * self._chance.uniform(-SLIP, SLIP))
        dy = round((true.y_max - true.y_min) * self._chance.uniform(-SLIP, SLIP))
        x_min = min(max(0, true.x_min + dx), self._width - 1)
        y_min = min(max(0, true.y_min + dy), self._height - 1)
        return {
            "x_min": x_min,
            "y_min": y_min,
            "x_max": max(x_min + 1, min(self._width, true.x_max + dx)),
            "y_max": max(y_min + 1, min(self._height, true.y_max + dy)),
        }


def compare(drawn: list[dict[str, Any]], true: Sequence[TrueThing], hand: Hand, tolerance: float) -> Sheet:
    """Decide box by box: keep, correct, delete or draw.

    Instances of another type are judged where the truth has something of that type, else kept as they are.
    """
    truth = [each for each in true if isinstance(each, TrueBox)]
    boxes = [each for each in drawn if each["type"] == "box"]
    sheet = Sheet([])
    _judge_shapes(drawn, [each for each in true if isinstance(each, TrueShape)], hand, tolerance, sheet)
    good = _matched(boxes, truth, tolerance, hand.labels)
    open_boxes = [index for index in range(len(boxes)) if index not in good]
    open_truth = [index for index in range(len(truth)) if index not in good.values()]
    wrong = _matched([boxes[i] for i in open_boxes], [truth[i] for i in open_truth], SAME_OBJECT_IOU)
    to_correct = {open_boxes[i]: open_truth[j] for i, j in wrong.items()}
    for index, box in enumerate(boxes):
        sheet.instances.append(_judged(box, truth, hand, sheet.tally, index in good, to_correct.get(index)))
    for index in open_truth:
        new = hand.draw(truth[index]) if index not in to_correct.values() else None
        if new is not None:
            sheet.instances.append({**new, "creation_ref_id": f"annotator-{index}"})
            sheet.tally.drawn += 1
    sheet.tally.prelabels += len(boxes)
    return sheet


def _judge_shapes(
    drawn: list[dict[str, Any]], truth: list[TrueShape], hand: Hand, tolerance: float, sheet: Sheet
) -> None:
    """Keep what is right, delete what is not, draw what is missing."""
    missing = list(truth)
    kinds = {true.kind for true in truth}
    for each in drawn:
        if each["type"] not in kinds:
            sheet.instances.extend([each] if each["type"] != "box" else [])
            continue
        sheet.tally.prelabels += 1
        right = next((true for true in missing if _is_right(each, true, hand.labels, tolerance)), None)
        if right is None:
            sheet.tally.deleted += 1
            sheet.instances.append({**each, "soft_delete": True})
        else:
            sheet.tally.kept += 1
            sheet.instances.append(each)
            missing.remove(right)
    sheet.tally.drawn += len(missing)
    sheet.instances += [{**hand.shape(true), "creation_ref_id": f"shape-{n}"} for n, true in enumerate(missing)]


def _is_right(shape: dict[str, Any], true: TrueShape, labels: dict[int, str], tolerance: float) -> bool:
    """Whether a shape says the same: of areas, the rectangles around them are compared."""
    if shape["type"] != true.kind or labels.get(shape["label_file_id"]) != true.label:
        return False
    if not true.points:
        return True
    x, y = [point["x"] for point in shape["points"]], [point["y"] for point in shape["points"]]
    across, down = [x for x, _ in true.points], [y for _, y in true.points]
    around = TrueBox(true.label, min(across), min(down), max(across), max(down))
    return _iou({"x_min": min(x), "y_min": min(y), "x_max": max(x), "y_max": max(y)}, around) >= tolerance


def _judged(
    box: dict[str, Any],
    truth: list[TrueBox],
    hand: Hand,
    tally: AnnotationTally,
    is_good: bool,
    correction: int | None,
) -> dict[str, Any]:
    if is_good:
        tally.kept += 1
        return box
    if correction is None:
        tally.deleted += 1
        return {**box, "soft_delete": True}
    new = hand.draw(truth[correction])
    if new is None:  # overlooked
        tally.kept += 1
        return box
    tally.corrected += 1
    return {**box, **new, "machine_made": False}


def _matched(
    boxes: list[dict[str, Any]], truth: list[TrueBox], least: float, labels: dict[int, str] | None = None
) -> dict[int, int]:
    """Pairs of box and truth by their indices, best overlap first; with ``labels`` only those of one label."""
    pairs = [
        (overlap, -i, -j)
        for i, box in enumerate(boxes)
        for j, true in enumerate(truth)
        if (overlap := _iou(box, true)) >= least and (labels is None or labels.get(box["label_file_id"]) == true.label)
    ]
    matched: dict[int, int] = {}
    for _, i, j in sorted(pairs, reverse=True):
        if -i not in matched and -j not in matched.values():
            matched[-i] = -j
    return matched


def _iou(box: dict[str, Any], true: TrueBox) -> float:
    width: float = min(box["x_max"], true.x_max) - max(box["x_min"], true.x_min)
    height: float = min(box["y_max"], true.y_max) - max(box["y_min"], true.y_min)
    if width <= 0 or height <= 0:
        return 0.0
    area: float = (box["x_max"] - box["x_min"]) * (box["y_max"] - box["y_min"])
    shared = width * height
    return shared / (area + (true.x_max - true.x_min) * (true.y_max - true.y_min) - shared)
