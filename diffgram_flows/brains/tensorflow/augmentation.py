"""Images that are changed at random, and what is said of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

_PADDING_COLOUR = 114.0
# A box stays in an augmented image if at least this part of it does.
_LEAST_VISIBLE = 0.3


class _View(NamedTuple):
    """The part of each image that is seen: from ``corner`` ``[B, 2]`` (y, x) on, ``scale`` ``[B, 1]`` times larger."""

    windows: Any
    corner: Any
    scale: Any


def augment(images: Any, *targets: Any, strength: float, seed: Any) -> tuple[Any, Any, Any]:
    """Scale, move, brighten and tint each image of a batch at random, and its boxes with it.

    Args:
        images: ``[B, S, S, 3]`` uint8.
        targets: Boxes ``[B, M, 4]`` (x_min, y_min, x_max, y_max) in pixels, and classes ``[B, M]`` int32, -1 for
            padding.
        strength: 1 scales by 0.6 to 1.4, brightens by 0.7 to 1.3 and tints by 20 levels; 0 changes nothing.
        seed: Two integers.
    """
    boxes, classes = targets
    size = images.shape[1]
    images, view = _changed(images, strength, seed)
    origin = tf.gather(view.corner, [1, 0, 1, 0], axis=-1)[:, None] * size
    moved = (boxes - origin) * view.scale[:, None]
    clipped = tf.clip_by_value(moved, 0.0, float(size))
    visible = _area(clipped) > _LEAST_VISIBLE * _area(moved)
    return images, tf.where(visible[..., None], clipped, 0.0), tf.where(visible, classes, -1)


def augment_whole(images: Any, *targets: Any, strength: float, seed: Any) -> tuple[Any, ...]:
    """The same changes for images of which something is said as a whole, which stays true."""
    return _changed(images, strength, seed)[0], *targets


def augment_masks(images: Any, *targets: Any, strength: float, seed: Any) -> tuple[Any, ...]:
    """The same changes for images and their masks ``[B, H, H, P]`` uint8; what was not in the image is no mask."""
    images, view = _changed(images, strength, seed)
    (masks,) = targets
    moved = tf.image.crop_and_resize(
        tf.cast(masks, tf.float32), view.windows, tf.range(tf.shape(masks)[0]), masks.shape[1:3], method="nearest"
    )
    return images, tf.cast(moved, tf.uint8)


def _changed(images: Any, strength: float, seed: Any) -> tuple[Any, _View]:
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
    return images, _View(windows, corner, scale)


def _area(boxes: Any) -> Any:
    return tf.reduce_prod(boxes[..., 2:] - boxes[..., :2], -1)
