"""How good brains are on the newest images: what they will meet next looks more like these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffgram_flows.brains.evaluation import Evidence, sample_key
from diffgram_flows.models import Sample
from diffgram_flows.windows import DAYS, windows


@dataclass(frozen=True, slots=True)
class WindowScore:
    """The images that were changed in the last days.

    Attributes:
        days: How far it reaches back.
        images: How many they are.
        annotations: What there is to find in them.
        undated: Judged images whose time nobody knows, and which are in no window.
        scores: The metric of each brain, in their order; NaN where there is nothing to find.
    """

    days: float
    images: int
    annotations: int
    undated: int
    scores: tuple[float, ...]


def window_scores(
    evidence: Sequence[Evidence], samples: Sequence[Sample], now: float, *, days: Sequence[float] = DAYS
) -> tuple[WindowScore, ...]:
    """The scores of brains in sliding time windows; none where no image has a time.

    Args:
        evidence: Of each brain.
        samples: What they were judged on.
        now: The windows' common end, in seconds since 1970.
        days: How far each reaches back.
    """
    found = windows(samples, days, now)
    if all(window.undated == len(samples) for window in found):
        return ()
    weights = np.zeros((len(found), len(samples)))
    for row, window in enumerate(found):
        inside = {sample_key(sample) for sample in window.samples}
        weights[row] = [sample_key(sample) in inside for sample in samples]
    scores = [one.replicates(weights) for one in evidence]
    return tuple(
        WindowScore(
            window.days,
            len(window.samples),
            sum(len(sample.annotations) for sample in window.samples),
            window.undated,
            tuple(float(values[row]) for values in scores),
        )
        for row, window in enumerate(found)
    )
