"""What a brain must fulfil to become the champion, and in words whether it does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from diffgram_flows.brains.evaluation import Evaluation, Interval
from diffgram_flows.errors import ConfigurationError

_FEW = 30  # images below which the ends of a bootstrap interval are rough


@dataclass(frozen=True, slots=True)
class Gate:
    """The conditions.

    The score is the metric of the brain's method: mAP50 of boxes, macro F1 of tags, mean IoU of areas.

    Attributes:
        min_score: Floor of the score.
        min_class_score: Floor of the score of every class of which there is enough to find.
        min_class_count: What is enough: boxes, tags, or pixels of areas.
        confidence: Of the interval of the difference to the champion, which must lie above 0 as a whole. At 0.9, a
            brain that is no better than the champion passes once in twenty times.

    Raises:
        ConfigurationError: A number is out of its range.
    """

    min_score: float = 0.0
    min_class_score: float = 0.0
    min_class_count: int = 10
    confidence: float = 0.9

    def __post_init__(self) -> None:
        floors = (self.min_score, self.min_class_score)
        numbers = all(isinstance(number, (int, float)) for number in (*floors, self.min_class_count, self.confidence))
        if not numbers or not all(0 <= floor <= 1 for floor in floors) or not 0 < self.confidence < 1:
            raise ConfigurationError(
                f"A gate of the floors {floors}, of a count of {self.min_class_count!r} and of the confidence "
                f"{self.confidence!r}.",
                cure="Choose floors from 0 to 1, a number as count, and a confidence between 0 and 1, such as 0.9.",
            )


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a brain passes, and why or why not, as sentences."""

    passed: bool
    reasons: tuple[str, ...]


def decide(
    gate: Gate,
    found: Evaluation,
    *,
    champion: str = "",
    theirs: Evaluation | None = None,
    interval: Interval | None = None,
) -> Decision:
    """Hold a brain against the gate.

    Args:
        gate: The conditions.
        found: The brain's evaluation.
        champion: What the reasons call the brain in use.
        theirs: Its evaluation on the same images; ``None`` where there is no champion yet.
        interval: Of the difference to it.
    """
    failures = tuple(_below(gate, found))
    if failures:
        return Decision(False, failures)
    if theirs is None or interval is None:
        return Decision(True, (f"It is the first one, with {_article(found)} {found.metric} of {found.value:.4f}.",))
    pairs = zip(found.scores.items(), theirs.scores.values(), strict=True)
    scores = ", ".join(f"{name} {ours:.4f} against {others:.4f}" for (name, ours), others in pairs)
    what = f"{scores}; the difference of {found.metric} is {interval}"
    if interval.low > 0:  # also false for NaN
        return Decision(True, (f"It is better than {champion}: {what}.",))
    if interval.difference > 0:
        return Decision(False, (f"It is not better than {champion} for sure: {what}.",))
    return Decision(False, (f"It is not better than {champion}: {what}.",))


def remarks(interval: Interval | None, shared: Interval | None, new: tuple[str, ...]) -> Iterator[str]:
    """What people should know besides, as sentences.

    Args:
        interval: Of the difference to the champion.
        shared: The same for the labels alone that the champion knows; ``None`` where it knows all.
        new: Names of the labels that it does not know.
    """
    if interval is not None and interval.draws < _FEW:
        yield f"There are only {interval.draws} test images or groups, so the interval is rough."
    if shared is not None:
        yield f"The champion does not know {', '.join(new)}; on the other labels the difference is {shared}."
        if shared.high < 0:
            yield "On the labels that both know it is worse than the champion."


def _below(gate: Gate, found: Evaluation) -> Iterator[str]:
    if not math.isfinite(found.value):
        yield f"Its {found.metric} is no number."
    elif found.value < gate.min_score:
        yield f"Its {found.metric} of {found.value:.4f} is below the required {gate.min_score:.4f}."
    for key, score in found.per_class.items():
        if score.support < gate.min_class_count or score.value >= gate.min_class_score:
            continue
        yield (
            f"Its {found.metric} of the label {found.name_of(key)} is {score.value:.4f} ({score.support} to find), "
            f"below the required {gate.min_class_score:.4f} of every label."
        )


def _article(found: Evaluation) -> str:
    return "an" if found.metric.startswith(("mAP", "F")) else "a"
