"""From samples to batches of the training: decode once, keep the pixels, augment whole batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.tensorflow.pixels import decode_upright, undecodable
from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import header
from diffgram_flows.models import Failure, LabelMap, Sample

_CACHE_IN_MEMORY_BYTES = 2_000_000_000
_SHUFFLE_WINDOW = 2_048
_PADDING_COLOUR = 114.0
# A box stays in an augmented image if at least this part of it does.
_LEAST_VISIBLE = 0.3


@dataclass(frozen=True, slots=True)
class Decoded:
    """Images that can be decoded.

    Attributes:
        dataset: (image ``[S, S, 3]`` uint8, boxes ``[M, 4]`` float32 in pixels of the square, classes ``[M]`` int32
            with -1 for padding), from memory, or from files where it is too large for that.
        count: How many there are.
        skipped: Those that cannot be decoded, and why.
    """

    dataset: Any
    count: int
    skipped: tuple[Failure, ...]


def decode_samples(samples: Sequence[Sample], label_map: LabelMap, size: int, cache: Path) -> Decoded:
    """Decode all samples into squares, once.

    Args:
        samples: Images with boxes of labels in ``label_map``.
        label_map: The classes.
        size: Side of the square in pixels.
        cache: What the names of cache files begin with.
    """
    readable, turns, skipped = _readable(samples)
    if not readable:
        return Decoded(None, 0, tuple(skipped))
    paths = [str(sample.path) for sample in readable]
    parts = (np.arange(len(readable)), paths, turns, *_truth(readable, label_map, size))

    def decode(index: Any, path: Any, turn: Any, boxes: Any, classes: Any) -> tuple[Any, ...]:
        return index, decode_upright(tf.io.read_file(path), turn, size), boxes, classes

    dataset = tf.data.Dataset.from_tensor_slices(parts).map(decode, tf.data.AUTOTUNE).ignore_errors()
    in_memory = len(readable) * size * size * 3 <= _CACHE_IN_MEMORY_BYTES
    dataset = dataset.cache() if in_memory else dataset.cache(str(cache))
    decoded = {int(index) for index, *_ in dataset}  # the pass that fills the cache
    for index, sample in enumerate(readable):
        if index not in decoded:
            skipped.append(Failure(sample.file_name, undecodable(sample.path, sample.file_name)))
    return Decoded(dataset.map(lambda _, *rest: rest), len(decoded), tuple(skipped))


def training_batches(decoded: Decoded, options: TrainingOptions) -> Any:
    """Endless batches of (images float32 in [0, 255], boxes, classes), the same for the same seed."""
    window = min(decoded.count, _SHUFFLE_WINDOW)
    dataset = decoded.dataset.shuffle(window, seed=options.seed).repeat().batch(options.batch_size)
    if not options.augmentation:
        return dataset.map(_as_floats).prefetch(2)
    numbered = tf.data.Dataset.zip((tf.data.Dataset.counter(), dataset))

    def augmented(number: Any, batch: tuple[Any, ...]) -> tuple[Any, Any, Any]:
        # Stateless numbers: which image is changed how does not depend on the threads.
        seed = tf.stack([tf.cast(options.seed, tf.int64), number])
        return augment(*batch, strength=options.augmentation, seed=seed)

    return numbered.map(augmented, tf.data.AUTOTUNE).prefetch(2)


def validation_batches(decoded: Decoded, options: TrainingOptions) -> Any:
    """Each image once, unchanged, in batches as of :func:`training_batches`."""
    return decoded.dataset.batch(options.batch_size).map(_as_floats).prefetch(2)


def augment(images: Any, boxes: Any, classes: Any, *, strength: float, seed: Any) -> tuple[Any, Any, Any]:
    """Scale, move, brighten and tint each image of a batch at random, and its boxes with it.

    Args:
        images: ``[B, S, S, 3]`` uint8.
        boxes: ``[B, M, 4]`` (x_min, y_min, x_max, y_max) in pixels.
        classes: ``[B, M]`` int32, -1 for padding.
        strength: 1 scales by 0.6 to 1.4, brightens by 0.7 to 1.3 and tints by 20 levels; 0 changes nothing.
        seed: Two integers.
    """
    batch, size = tf.shape(images)[0], images.shape[1]
    chance = tf.random.stateless_uniform([batch, 7], seed)
    scale = 1 + strength * (0.8 * chance[:, :1] - 0.4)
    window = 1 / scale
    corner = tf.minimum(0.0, 1 - window) + tf.abs(1 - window) * chance[:, 1:3]
    windows = tf.concat([corner, corner + window], -1)
    images = tf.image.crop_and_resize(
        images, windows, tf.range(batch), (size, size), extrapolation_value=_PADDING_COLOUR
    )
    brightness = 1 + strength * (0.6 * chance[:, 3] - 0.3)
    tint = strength * (40 * chance[:, 4:7] - 20)
    images = tf.clip_by_value(images * brightness[:, None, None, None] + tint[:, None, None], 0.0, 255.0)
    origin = tf.gather(corner, [1, 0, 1, 0], axis=-1)[:, None] * size
    moved = (boxes - origin) * scale[:, None]
    clipped = tf.clip_by_value(moved, 0.0, float(size))
    visible = _area(clipped) > _LEAST_VISIBLE * _area(moved)
    return images, tf.where(visible[..., None], clipped, 0.0), tf.where(visible, classes, -1)


def _area(boxes: Any) -> Any:
    return tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], -1)


def _as_floats(images: Any, boxes: Any, classes: Any) -> tuple[Any, Any, Any]:
    return tf.cast(images, tf.float32), boxes, classes


def _readable(samples: Sequence[Sample]) -> tuple[list[Sample], list[int], list[Failure]]:
    """The samples whose header is fine, with their EXIF orientations, and the others with the reason."""
    readable, turns, skipped = [], [], []
    for sample in samples:
        try:
            turns.append(header(sample.path, name=sample.file_name)[2])
        except ImageRejected as error:
            skipped.append(Failure(sample.file_name, str(error)))
        else:
            readable.append(sample)
    return readable, turns, skipped


def _truth(samples: Sequence[Sample], label_map: LabelMap, size: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Boxes and classes of all samples, padded to the longest."""
    most = max((len(sample.boxes) for sample in samples), default=0)
    boxes = np.zeros((len(samples), max(1, most), 4), np.float32)
    classes = np.full((len(samples), max(1, most)), -1, np.int32)
    index_of = label_map.index_of()
    for row, sample in enumerate(samples):
        stretch = np.array([size / sample.width, size / sample.height] * 2, np.float32)
        for column, box in enumerate(sample.boxes):
            boxes[row, column] = np.array([box.x_min, box.y_min, box.x_max, box.y_max], np.float32) * stretch
            classes[row, column] = index_of[box.label_file_id]
    return boxes, classes
