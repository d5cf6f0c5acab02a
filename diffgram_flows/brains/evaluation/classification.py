"""How good tags are: of one class an image, or of any number; and what is chosen in their attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from diffgram_flows.brains.evaluation.base import Evaluation, Floats, sample_key
from diffgram_flows.brains.evaluation.calibration import Calibration, calibrate
from diffgram_flows.brains.evaluation.choices import Bools, Choices, paired
from diffgram_flows.brains.evaluation.confusion import NOTHING, Confusion, Inspection
from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.models import Annotation, LabelMap, Prediction, Sample

_THRESHOLD = 0.5


@dataclass(frozen=True, slots=True)
class TagScore:
    """How good the tags of one class are, or one choice in an attribute of a tag.

    Of a choice only those images count in which somebody has chosen something in the same attribute.

    Attributes:
        precision: Share of the images that got the tag and have it; 0 where none got it.
        recall: Share of the images that have the tag and got it.
        f1: Their harmonic mean.
        tags: Images that have the tag.
    """

    measure: ClassVar[str] = "f1"
    precision: float
    recall: float
    f1: float
    tags: int

    @property
    def value(self) -> float:
        return self.f1

    @property
    def support(self) -> int:
        return self.tags


@dataclass(frozen=True, kw_only=True)
class ClassificationEvaluation(Evaluation):
    """How good tags are on some images.

    Attributes:
        f1: Mean of the classes' F1, of those tags and choices that were there to find.
        accuracy: Share of the images whose tags and choices are all right, and no others.
        single: Whether every image has one tag at most; then an answer is the best tag, else all tags that reach the
            threshold.
        tags: Tags to find.
    """

    kind: ClassVar[str] = "classification"
    metric: ClassVar[str] = "macro F1"
    f1: float
    accuracy: float
    per_class: Mapping[str, TagScore]
    single: bool
    tags: int

    @property
    def scores(self) -> Mapping[str, float]:
        return {"macro F1": self.f1, "accuracy": self.accuracy}

    @property
    def truths(self) -> int:
        return self.tags

    @classmethod
    def _read(cls, value: dict[str, Any]) -> ClassificationEvaluation:
        return cls(**value | {"per_class": {name: TagScore(**score) for name, score in value["per_class"].items()}})


def evaluate_classification(
    samples: Sequence[Sample],
    predictions: Iterable[Prediction],
    label_map: LabelMap,
    *,
    threshold: float = _THRESHOLD,
    single: bool | None = None,
) -> ClassificationEvaluation:
    """Judge tags by what people said.

    Args:
        samples: The truth: their annotations of type ``tag`` with attributes. Without a prediction, no tag was given.
        predictions: Tags with scores in ``annotations``, with the samples' keys; what is not a tag, or of a label that
            is not in the map, is ignored.
        label_map: The classes; the labels of all tags must be in it. What it calls their attributes, the evaluation
            calls them.
        threshold: Of images that may have several tags, those from this score on are the answer.
        single: Whether an image has one tag at most; ``None`` finds out from the samples.

    Raises:
        LabelMapChanged: A sample has a tag that is not in the map.
    """
    truth = _truth(samples, label_map)
    kept = list(predictions)
    scores = _scores(samples, kept, label_map)
    one = single if single is not None else bool((truth.sum(axis=1) <= 1).all())
    evidence = TagEvidence(samples, label_map, truth, scores, kept, single=one, threshold=threshold)
    found = {}
    for key, wanted, given in zip(evidence.keys, evidence.truth.T, evidence.answer.T, strict=True):
        if wanted.any():
            right, tags = int((wanted & given).sum()), int(wanted.sum())
            f1 = 2 * right / (tags + int(given.sum()))
            found[key] = TagScore(right / max(1, int(given.sum())), right / tags, f1, tags)
    return ClassificationEvaluation(
        f1=float(np.mean([score.f1 for score in found.values()])) if found else 0.0,
        accuracy=float((evidence.truth == evidence.answer).all(axis=1).mean()) if len(samples) else 0.0,
        per_class=found,
        single=one,
        tags=int(truth.sum()),
        images=len(samples),
        names={
            key: name for key, name in zip(evidence.keys, evidence.names, strict=True) if key in found and name != key
        },
        evidence=evidence,
    )


class TagEvidence:
    """The tags of every image and their scores, and what was chosen in them.

    Attributes:
        keys: Of all classes: C labels, then K choices.
        names: What people call them.
        truth: ``[N, C + K]``.
        answer: ``[N, C + K]``: what every image got, where it can be right or wrong.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        label_map: LabelMap,
        truth: Bools,
        scores: Floats,
        predictions: Iterable[Prediction],
        *,
        single: bool,
        threshold: float,
    ) -> None:
        self._samples, self._label_map = samples, label_map
        self._tags, self._scores = truth, scores
        self._single, self._threshold = single, threshold
        self._choices = Choices.of(samples, label_map)
        labels = label_map.display_names().values()
        self.keys = (*labels, *self._choices.keys)
        self.names = (*labels, *self._choices.names)
        self.truth: Bools = np.hstack([truth, self._choices.truth])
        self.answer = self._answers(scores, predictions)

    def replicates(self, weights: Floats, classes: Sequence[int] | None = None) -> Floats:
        truth, answer = self.truth, self.answer
        if classes is not None:
            labels = np.concatenate([np.arange(len(self._label_map.labels)), self._choices.labels])
            counting = np.isin(labels, list(classes))
            truth, answer = truth[:, counting], answer[:, counting]
        right = weights @ (truth & answer).astype(np.float64)
        wanted, given = weights @ truth.astype(np.float64), weights @ answer.astype(np.float64)
        there = wanted > 0
        with np.errstate(invalid="ignore"):
            f1 = np.where(there, 2 * right / np.maximum(wanted + given, 1), 0)
            mean: Floats = f1.sum(axis=1) / there.sum(axis=1)
        return mean

    def calibration(self) -> Calibration:
        """The best tag's score against being right; of several tags, every tag's."""
        if not self._single:
            return calibrate(self._scores.ravel(), self._tags.ravel())
        rows = np.flatnonzero(self._scores.max(axis=1, initial=0.0) > 0)
        best = self._scores[rows].argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
        return calibrate(self._scores[rows, best], self._tags[rows, best])

    def inspect(self, shown: Iterable[Prediction]) -> Inspection:
        """What is missing against what is too much, and mistakes: how many tags and choices of an image are wrong.

        An image that lacks one tag and has another one instead counts as confused; what is left over is missed, or
        seen where nothing is. The same goes for the choices of an attribute.
        """
        kept = list(shown)
        answer = self._answers(_scores(self._samples, kept, self._label_map), kept)
        labels, nothing = len(self._label_map.labels), len(self.names)
        counts = np.zeros((nothing + 1, nothing + 1), np.int64)
        mistakes = []
        for row, (wanted, given) in enumerate(zip(self._tags, answer[:, :labels], strict=True)):
            pairs = list(paired(wanted, given, nothing))
            pairs += [(labels + one, labels + other) for one, other in self._choices.pairs(row, answer[row, labels:])]
            for one, other in pairs:
                counts[one, other] += 1
            mistakes.append(float(sum(one != other for one, other in pairs)))
        return Inspection(Confusion.of((*self.names, NOTHING), counts), tuple(mistakes))

    def _answers(self, scores: Floats, predictions: Iterable[Prediction]) -> Bools:
        tags = self._answer(scores)
        both: Bools = np.hstack([tags, self._choices.answered(self._samples, predictions, tags)])
        return both

    def _answer(self, scores: Floats) -> Bools:
        if not self._single:
            found: Bools = scores >= self._threshold
            return found & (scores > 0)
        answer = np.zeros(scores.shape, np.bool_)
        rows = np.flatnonzero(scores.max(axis=1, initial=0.0) > 0)
        if len(rows):
            answer[rows, scores[rows].argmax(axis=1)] = True
        return answer


def _truth(samples: Sequence[Sample], label_map: LabelMap) -> Bools:
    index_of = label_map.index_of()
    truth = np.zeros((len(samples), len(index_of)), np.bool_)
    for row, sample in enumerate(samples):
        for tag in _tags(sample.annotations):
            if tag.label_file_id not in index_of:
                raise LabelMapChanged(
                    f"{sample.file_name} has a tag of the label {tag.label_file_id}, which is not in the label map.",
                    cure="Judge with the label map of the snapshot that the image comes from.",
                )
            truth[row, index_of[tag.label_file_id]] = True
    return truth


def _scores(samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap) -> Floats:
    """``[N, C]``, 0 where nothing was said."""
    index_of = label_map.index_of()
    rows = {sample_key(sample): row for row, sample in enumerate(samples)}
    scores = np.zeros((len(samples), len(index_of)))
    for prediction in predictions:
        row = rows.get(prediction.key)
        for tag in _tags(prediction.annotations):
            column = index_of.get(tag.label_file_id)
            if row is not None and column is not None:
                scores[row, column] = max(scores[row, column], 1.0 if tag.score is None else tag.score)
    return scores


def _tags(annotations: Iterable[Annotation]) -> Iterable[Annotation]:
    return (annotation for annotation in annotations if annotation.type == "tag")
