"""AdamW on one long vector of all weights.

Keras' own optimiser computes the same, variable by variable: for a network of a hundred small layers that is thousands
of operations a step, which take longer to start than to compute, and seconds to put together.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_MOMENTUM, _VELOCITY, _TINY = 0.9, 0.999, 1e-7
_LARGEST_GRADIENT = 10.0
_FIRST_SCALE, _STEPS_TO_GROW = 2.0**15, 2_000


class AdamW:
    """The optimiser and its memory.

    In half precision the loss is multiplied by :attr:`scale`, so that small gradients do not vanish. A step whose
    gradients are not finite halves the scale and changes nothing else; many good ones in a row double it.

    Args:
        size: Number of weights.
        weight_decay: Decoupled: a share of the weights and the learning rate.
        half: Whether the gradients come from half precision.
    """

    def __init__(self, size: int, weight_decay: float, *, half: bool) -> None:
        self._decay, self._half = weight_decay, half
        self.momentum = tf.Variable(tf.zeros([size]), trainable=False)
        self.velocity = tf.Variable(tf.zeros([size]), trainable=False)
        self.steps = tf.Variable(0.0, trainable=False)
        self.scale = tf.Variable(_FIRST_SCALE if half else 1.0, trainable=False)
        self.good = tf.Variable(0.0, trainable=False)

    @property
    def variables(self) -> list[Any]:
        """What it remembers."""
        return [self.momentum, self.velocity, self.steps, self.scale, self.good]

    def updated(self, weights: Any, gradient: Any, rate: Any, learning: Any | None) -> Any:
        """One step.

        Args:
            weights: ``[size]``.
            gradient: ``[size]``, of the loss times :attr:`scale`.
            rate: Learning rate, scalar.
            learning: ``[size]`` bool, ``False`` for weights that stay as they are; where there is none, all learn.

        Returns:
            The new weights.
        """
        gradient = gradient / self.scale
        norm = tf.norm(gradient)
        finite = tf.math.is_finite(norm)
        moving = finite if learning is None else tf.logical_and(finite, learning)
        gradient = gradient * tf.minimum(1.0, _LARGEST_GRADIENT / tf.maximum(norm, _TINY))
        self.steps.assign_add(tf.cast(finite, tf.float32))
        momentum = self.momentum + (gradient - self.momentum) * (1 - _MOMENTUM)
        velocity = self.velocity + (tf.square(gradient) - self.velocity) * (1 - _VELOCITY)
        # Both begin at nothing; this makes up for it.
        warm = tf.sqrt(1 - tf.pow(_VELOCITY, self.steps)) / (1 - tf.pow(_MOMENTUM, self.steps))
        moved = weights * (1 - self._decay * rate) - rate * warm * momentum / (tf.sqrt(velocity) + _TINY)
        if self._half or learning is not None:
            momentum = tf.where(moving, momentum, self.momentum)
            velocity = tf.where(moving, velocity, self.velocity)
            moved = tf.where(moving, moved, weights)
        self.momentum.assign(momentum)
        self.velocity.assign(velocity)
        if self._half:
            self._adapt_scale(finite)
        return moved

    def _adapt_scale(self, finite: Any) -> None:
        good = tf.where(finite, self.good + 1, 0.0)
        grown = good >= _STEPS_TO_GROW
        self.scale.assign(tf.where(finite, tf.where(grown, self.scale * 2, self.scale), self.scale / 2))
        self.good.assign(tf.where(grown, 0.0, good))
