"""Saying what every pixel of an image belongs to: the layers, the truth and the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.tensorflow.network import CLASS_LAYER, backbone, convolution, pyramid
from diffgram_flows.brains.tensorflow.objective import Loss
from diffgram_flows.masks import mask_of
from diffgram_flows.models import LabelMap, Sample

CELL = 4
"""Side in pixels of the squares that the network speaks about."""

_NOTHING_LOGIT = -2.0
_BITS = 8
_SMOOTH = 1.0


def build_segmenter(class_count: int, options: TrainingOptions) -> Any:
    """A new network with random weights.

    Returns:
        A ``keras.Model`` from images ``[B, S, S, 3]``, RGB in [0, 255], to logits ``[B, S / 4, S / 4, class_count]``:
        each class on its own, because polygons may overlap.
    """
    image = layers.Input((options.image_size, options.image_size, 3), name="image")
    finest = pyramid(backbone(image, options), options.head)[0]
    x = convolution(finest, options.head, 3, "fine_8")
    x = layers.UpSampling2D(interpolation="bilinear", name="upsample_4")(x)
    x = convolution(x, options.head, 3, "fine_4")
    logits = layers.Conv2D(
        class_count,
        1,
        bias_initializer=keras.initializers.Constant(_NOTHING_LOGIT),
        name=CLASS_LAYER,
        dtype="float32",
    )(x)
    return keras.Model(image, logits, name="segmenter")


def mask_truth(samples: Sequence[Sample], label_map: LabelMap, size: int) -> NDArray[np.uint8]:
    """The polygons of samples as masks, ``[N, size / 4, size / 4, P]``.

    Class ``c`` is the bit ``c % 8`` of the plane ``c // 8``.
    """
    side, count = size // CELL, len(label_map.labels)
    packed = np.zeros((len(samples), side, side, -(-count // _BITS)), np.uint8)
    index_of = label_map.index_of()
    for row, sample in enumerate(samples):
        across, down = side / sample.width, side / sample.height
        for polygon in sample.annotations:
            if polygon.type == "polygon":
                plane, bit = divmod(index_of[polygon.label_file_id], _BITS)
                outline = [(round(x * across), round(y * down)) for x, y in polygon.points]
                packed[row, :, :, plane] |= mask_of(outline, side, side).astype(np.uint8) << bit
    return packed


def unpacked(masks: Any, count: int) -> Any:
    """Masks of :func:`mask_truth` as ``[B, H, H, count]`` float32 of 0 and 1."""
    bits = tf.bitwise.right_shift(masks[..., None], tf.constant(list(range(_BITS)), tf.uint8))
    planes = tf.reshape(
        tf.bitwise.bitwise_and(bits, tf.constant(1, tf.uint8)), [-1, *masks.shape[1:3], masks.shape[3] * _BITS]
    )
    return tf.cast(planes[..., :count], tf.float32)


class SegmentationObjective:
    """Cross entropy of every pixel, and how little the whole masks overlap (Milletari et al., 2016: V-Net).

    Args:
        class_count: How many classes there are.
    """

    parts: ClassVar[tuple[str, ...]] = ("pixel", "overlap")

    def __init__(self, class_count: int) -> None:
        self._count = class_count

    def __call__(self, outputs: Any, *targets: Any) -> Loss:
        """Compare logits ``[B, H, H, C]`` with packed masks ``[B, H, H, P]``."""
        (masks,) = targets
        truth, logits = unpacked(masks, self._count), tf.cast(outputs, tf.float32)
        pixel = tf.reduce_sum(tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(truth, logits), [1, 2, 3]))
        likely = tf.sigmoid(logits)
        shared, area = tf.reduce_sum(truth * likely, [1, 2]), tf.reduce_sum(truth, [1, 2])
        overlap = (2 * shared + _SMOOTH) / (area + tf.reduce_sum(likely, [1, 2]) + _SMOOTH)
        # A class that is not in an image has nothing to overlap with: its pixels are enough.
        present = tf.cast(area > 0, tf.float32)
        missed = tf.reduce_sum((1 - overlap) * present, -1) / tf.maximum(tf.reduce_sum(present, -1), 1.0)
        apart = tf.reduce_sum(missed)
        images = tf.cast(tf.shape(outputs)[0], tf.float32)
        return Loss(pixel + apart, images, (pixel, apart))


def likelihoods(outputs: Any) -> dict[str, Any]:
    """``masks`` ``[B, S, S, C]`` uint8: how likely each pixel of the square belongs to each class, 0 to 255."""
    likely = tf.sigmoid(tf.cast(outputs, tf.float32))
    side = outputs.shape[1] * CELL
    return {"masks": tf.cast(tf.round(tf.image.resize(likely, (side, side)) * 255), tf.uint8)}
