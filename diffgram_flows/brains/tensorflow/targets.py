"""What every point of the grid should say about an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.tensorflow.grid import Grid
from diffgram_flows.models import LabelMap, Sample

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


def truth(samples: Sequence[Sample], label_map: LabelMap, size: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """The boxes of samples in pixels of the square, ``[N, M, 4]``, and their classes, ``[N, M]``, -1 for padding."""
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
