"""The learning rate of each step."""

from __future__ import annotations

import math

from diffgram_flows.brains.options import TrainingOptions

_WARM_UP = 0.15


def learning_rate(step: int, options: TrainingOptions) -> float:
    """The learning rate of a step, counted from 0: up linearly to the peak, then as ``options.schedule`` says."""
    warm_up = max(1, round(options.steps * _WARM_UP))
    if step < warm_up:
        return options.learning_rate * (step + 1) / warm_up
    if options.schedule == "constant":
        return options.learning_rate
    left = 1 - (step - warm_up) / (options.steps - warm_up)
    if options.schedule == "linear":
        return options.learning_rate * left
    return options.learning_rate * (1 - math.cos(math.pi * left)) / 2
