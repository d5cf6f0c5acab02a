"""Batches of a training, each a pure function of the seed and the number of its step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.options import TrainingOptions

Numbers = NDArray[Any]


class Augment(Protocol):
    """Changes images at random, and what is said of them with them."""

    def __call__(self, images: Any, *targets: Any, strength: float, seed: Any) -> tuple[Any, ...]:
        """Images ``[B, S, S, 3]`` uint8 and their targets; the images come back as float32 in [0, 255].

        Only stateless random numbers of ``seed``, two integers, so that threads do not matter.
        """
        ...


class Batches:
    """Training data in an order of its own for each epoch.

    Args:
        images: ``[N, S, S, 3]`` uint8.
        targets: Arrays of N rows.
        options: Batch size, seed, augmentation.
        augment: How images are changed.
        weights: How often each image is shown, relative to the others; equally often where there are none.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        targets: Sequence[Numbers],
        options: TrainingOptions,
        *,
        augment: Augment | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self._parts = (images, *targets)
        self._options, self._augment, self._weights = options, augment, weights

    def batches(self, first: int) -> Any:
        """Endless (images float32 in [0, 255], target, target, ...) from the step ``first`` on."""
        size = self._options.batch_size
        signature = tuple(tf.TensorSpec((size, *part.shape[1:]), part.dtype) for part in self._parts)
        numbered = (tf.TensorSpec((), tf.int64), *signature)
        dataset = tf.data.Dataset.from_generator(partial(self._generate, first), output_signature=numbered)
        # TensorFlow would make it one after the other in deterministic mode anyway, and complain.
        parallel = None if self._options.deterministic else tf.data.AUTOTUNE
        return dataset.map(self._prepare, parallel).prefetch(2)

    def _prepare(self, step: Any, images: Any, *targets: Any) -> tuple[Any, ...]:
        if self._augment is None or not self._options.augmentation:
            return tf.cast(images, tf.float32), *targets
        seed = tf.stack([tf.cast(self._options.seed, tf.int64), step])
        return self._augment(images, *targets, strength=self._options.augmentation, seed=seed)

    def _generate(self, first: int) -> Iterator[tuple[Any, ...]]:
        size, step = self._options.batch_size, first
        epoch, skipped = divmod(first * size, len(self._parts[0]))
        waiting = self._order(epoch)[skipped:]
        while True:
            while len(waiting) < size:
                epoch += 1
                waiting = np.concatenate([waiting, self._order(epoch)])
            rows, waiting = waiting[:size], waiting[size:]
            yield np.int64(step), *(part[rows] for part in self._parts)
            step += 1

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """The rows of an epoch: each once, or as often as its weight says, rounded up or down by chance."""
        count = len(self._parts[0])
        random = np.random.default_rng([self._options.seed, epoch])
        if self._weights is None:
            return random.permutation(count)
        upper = np.cumsum(self._weights) * (count / self._weights.sum())
        rows = np.searchsorted(upper, np.arange(count) + random.random(), side="right")
        return random.permutation(np.minimum(rows, count - 1))


def in_order(images: NDArray[np.uint8], targets: Sequence[Numbers], batch_size: int) -> Iterator[tuple[Any, ...]]:
    """Each image once, unchanged, in batches as of :class:`Batches`."""
    for start in range(0, len(images), batch_size):
        rows = slice(start, start + batch_size)
        yield tf.cast(images[rows], tf.float32), *(tf.constant(target[rows]) for target in targets)


def balancing_weights(labels: Sequence[Sequence[int]], strength: float) -> NDArray[np.float64] | None:
    """How often images are to be shown so that rare classes are seen more often.

    A class that is ``n`` times rarer than the most frequent one gets the weight ``n ** strength``; an image has that of
    the rarest class in it, and 1 without any.

    Args:
        labels: The class indices in each image.
        strength: 0 changes nothing, 0.5 is the square root, 1 shows all classes equally often.
    """
    counts = np.bincount(np.array([label for image in labels for label in image], np.int64))
    if not strength or not counts.any():
        return None
    weight_of = (counts.max() / np.maximum(counts, 1)) ** strength
    return np.array([max((weight_of[label] for label in image), default=1.0) for image in labels])
