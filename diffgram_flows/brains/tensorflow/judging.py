"""How good a network is while it learns: the loss on images that it does not learn from, and the method's scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.tensorflow.batches import in_order
from diffgram_flows.brains.tensorflow.objective import Judge, Judged, Objective

Scores = Callable[[Sequence[Any]], Mapping[str, float]]


def make_judge(
    images: NDArray[np.uint8],
    targets: Sequence[NDArray[Any]],
    objective: Objective,
    *,
    answer: Callable[[Any], Any],
    scores: Scores,
    batch_size: int,
) -> Judge | None:
    """A judge, or ``None`` where there is no image to judge by.

    Args:
        images: ``[N, S, S, 3]`` uint8.
        targets: Arrays of N rows.
        objective: The loss.
        answer: From outputs of the network to what ``scores`` wants, in the graph.
        scores: Scores by name of the answers to all batches.
        batch_size: Images at a time.
    """
    if not len(images):
        return None
    compiled: dict[int, Any] = {}

    def judge(network: Any) -> Judged:
        def look(batch: Any, *wanted: Any) -> tuple[Any, Any]:
            outputs = tf.nest.map_structure(_as_float32, network(batch, training=False))
            loss = objective(outputs, *wanted)
            return tf.stack([loss.total, tf.cast(loss.count, tf.float32)]), answer(outputs)

        if id(network) not in compiled:
            compiled[id(network)] = tf.function(look, autograph=False, jit_compile=False, reduce_retracing=True)
        seen = [compiled[id(network)](*batch) for batch in in_order(images, targets, batch_size)]
        total, count = np.sum([losses.numpy() for losses, _ in seen], axis=0)
        return Judged(float(total / max(count, 1.0)), scores([answers for _, answers in seen]))

    return judge


def _as_float32(values: Any) -> Any:
    """What a network in half precision says."""
    return tf.cast(values, tf.float32)
