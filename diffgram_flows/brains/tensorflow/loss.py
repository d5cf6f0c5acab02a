"""How wrong the network is: quality focal loss for the classes, generalised IoU for the boxes."""

from __future__ import annotations

from typing import Any, ClassVar

import tensorflow as tf

from diffgram_flows.brains.tensorflow.decoding import to_boxes
from diffgram_flows.brains.tensorflow.grid import Grid
from diffgram_flows.brains.tensorflow.objective import Loss
from diffgram_flows.brains.tensorflow.targets import assign

_BOX_WEIGHT = 2.0
# A point on an object should say its class at least this loudly, however bad its box still is.
_LEAST_QUALITY = 0.1
_TINY = 1e-6


class DetectionObjective:
    """The loss of a detector, averaged over the points that lie on objects.

    Args:
        grid: The points of the square.
    """

    parts: ClassVar[tuple[str, ...]] = ("box", "class")

    def __init__(self, grid: Grid) -> None:
        self._grid = grid

    def __call__(self, outputs: dict[str, Any], *targets: Any) -> Loss:
        """Compare.

        Args:
            outputs: What the network said: ``classes`` ``[B, N, C]`` and ``distances`` ``[B, N, 4]``.
            targets: The truth: boxes ``[B, M, 4]`` (x_min, y_min, x_max, y_max) in pixels of the square, and classes
                ``[B, M]`` int32, -1 for padding.
        """
        boxes, classes = targets
        wanted = assign(self._grid, boxes, classes)
        positive = tf.cast(wanted.positive, tf.float32)
        distances, logits = (tf.cast(outputs[name], tf.float32) for name in ("distances", "classes"))
        iou, generalised = _overlaps(to_boxes(self._grid, distances), wanted.boxes)
        box_loss = tf.reduce_sum((1 - generalised) * positive)
        quality = tf.maximum(tf.stop_gradient(iou), _LEAST_QUALITY)
        answer = tf.one_hot(wanted.classes, logits.shape[-1]) * quality[..., None]
        surprise = tf.square(tf.abs(answer - tf.sigmoid(logits)))
        class_loss = tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(answer, logits) * surprise)
        return Loss(_BOX_WEIGHT * box_loss + class_loss, tf.reduce_sum(positive), (box_loss, class_loss))


def _overlaps(a: Any, b: Any) -> tuple[Any, Any]:
    """IoU and generalised IoU of boxes ``[..., 4]``."""
    shared = _area(tf.maximum(a[..., :2], b[..., :2]), tf.minimum(a[..., 2:], b[..., 2:]))
    hull = _area(tf.minimum(a[..., :2], b[..., :2]), tf.maximum(a[..., 2:], b[..., 2:])) + _TINY
    union = _area(a[..., :2], a[..., 2:]) + _area(b[..., :2], b[..., 2:]) - shared + _TINY
    iou = shared / union
    return iou, iou - (hull - union) / hull


def _area(top_left: Any, bottom_right: Any) -> Any:
    sides = tf.maximum(bottom_right - top_left, 0.0)
    return sides[..., 0] * sides[..., 1]
