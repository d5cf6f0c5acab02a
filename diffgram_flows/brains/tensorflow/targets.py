"""What every point of the grid should say about an image."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from diffgram_flows.brains.tensorflow.grid import Grid

# A point answers for an object if it lies within this many strides of the object's centre.
_CENTRE_RADIUS = 1.5


class Targets(NamedTuple):
    """The right answers, ``B`` images of ``N`` points.

    Attributes:
        positive: ``[B, N]`` bool: the point lies on an object.
        boxes: ``[B, N, 4]`` its box (x_min, y_min, x_max, y_max) in pixels; meaningless where not positive.
        classes: ``[B, N]`` int32 its class index, -1 where not positive.
    """

    positive: Any
    boxes: Any
    classes: Any


def assign(grid: Grid, boxes: Any, classes: Any) -> Targets:
    """Give each point the smallest object whose middle it lies in and whose size fits its stride.

    Args:
        grid: The points.
        boxes: ``[B, M, 4]`` float32, (x_min, y_min, x_max, y_max) in pixels of the square.
        classes: ``[B, M]`` int32, -1 for padding.
    """
    points = grid.points[None, :, None]
    to_top_left = points - boxes[:, None, :, :2]
    to_bottom_right = boxes[:, None, :, 2:] - points
    inside = tf.reduce_min(tf.concat([to_top_left, to_bottom_right], -1), -1) > 0
    from_centre = tf.reduce_max(tf.abs(to_bottom_right - to_top_left), -1) / 2
    sides = boxes[..., 2:] - boxes[..., :2]
    longer = tf.reduce_max(sides, -1)[:, None]
    fits = (longer >= grid.lower[None, :, None]) & (longer < grid.upper[None, :, None])
    candidate = inside & fits & (from_centre < grid.strides[None, :, None] * _CENTRE_RADIUS) & (classes[:, None] >= 0)
    area = tf.where(candidate, tf.reduce_prod(sides, -1)[:, None], tf.float32.max)
    chosen = tf.argmin(area, -1)
    positive = tf.reduce_any(candidate, -1)
    return Targets(
        positive=positive,
        boxes=tf.gather(boxes, chosen, batch_dims=1),
        classes=tf.where(positive, tf.gather(classes, chosen, batch_dims=1), -1),
    )
