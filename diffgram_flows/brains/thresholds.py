"""From which score on a box saves people work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from diffgram_flows.brains.evaluation import sample_key
from diffgram_flows.models import Annotation, Box, Prediction, Sample

# Overlap from which a person moves our box instead of drawing a new one, and from which it may stay as it is.
_SAME_THING = 0.5
_GOOD_ENOUGH = 0.7
SHOW_NOTHING = 1.0


def best_threshold(samples: Sequence[Sample], predictions: Iterable[Prediction]) -> float:
    """The score threshold at which people need the fewest edits on these images.

    An edit is a box to draw because it is missing, to correct because its label is wrong or its place is off, or to
    delete because nothing is there. Of equally good thresholds it is the lowest: correcting is easier than drawing.

    Args:
        samples: The truth.
        predictions: With the samples' file ids as keys; others are ignored.

    Returns:
        A score in (0, 1], half-way between the last box worth showing and the first one that is not; 1.0 where no
        box is worth showing.
    """
    by_key = {sample_key(sample): sample for sample in samples}
    effects = [
        effect
        for prediction in predictions
        if prediction.key in by_key
        for effect in _effects(by_key[prediction.key].boxes, prediction.boxes)
    ]
    return fewest_edits(effects)


def best_tag_threshold(samples: Sequence[Sample], predictions: Iterable[Prediction]) -> float:
    """The same for tags: an edit is one to add because it is missing, or to take away because it is not true."""
    truth = {sample_key(sample): _tags(sample.annotations) for sample in samples}
    return fewest_edits(
        (tag.score if tag.score is not None else 1.0, -1 if tag.label_file_id in truth[prediction.key] else 1)
        for prediction in predictions
        if prediction.key in truth
        for tag in prediction.annotations
        if tag.type == "tag"
    )


def _tags(annotations: Iterable[Annotation]) -> set[int]:
    return {annotation.label_file_id for annotation in annotations if annotation.type == "tag"}


def fewest_edits(found: Iterable[tuple[float, int]]) -> float:
    """The threshold at which the sum of the changes above it is lowest, of equally good ones the lowest.

    Args:
        found: Pairs of a score and by how much showing what has it changes the number of edits.

    Returns:
        As :func:`best_threshold`.
    """
    effects = sorted(found, key=lambda effect: -effect[0])
    best_total = total = 0
    best_count = 0
    for count, (score, change) in enumerate(effects, start=1):
        total += change
        ties_with_next = count < len(effects) and effects[count][0] == score
        if total <= best_total and not ties_with_next:
            best_total, best_count = total, count
    if best_total == 0:
        return SHOW_NOTHING
    lowest_shown = effects[best_count - 1][0]
    highest_hidden = effects[best_count][0] if best_count < len(effects) else 0.0
    return (lowest_shown + highest_hidden) / 2


def _effects(truth: Sequence[Box], predicted: Sequence[Box]) -> Iterator[tuple[float, int]]:
    """For each box, its score and by how much showing it changes the number of edits.

    Boxes are matched greedily, best score first, so the effect of a box does not depend on those below it.
    """
    left = list(truth)
    for box in sorted(predicted, key=_score, reverse=True):
        match = max(left, key=lambda real: (real.iou(box), real.label_file_id == box.label_file_id), default=None)
        overlap = match.iou(box) if match else 0.0
        if match is None or overlap < _SAME_THING:
            yield _score(box), 1
            continue
        left.remove(match)
        right = match.label_file_id == box.label_file_id and overlap >= _GOOD_ENOUGH
        yield _score(box), -1 if right else 0


def _score(box: Box) -> float:
    return 1.0 if box.score is None else box.score
