"""From the network's outputs to boxes, inside the graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from diffgram_flows.brains.tensorflow.grid import Grid

MAX_BOXES = 100
# Below this score a box is not even a candidate; callers choose a higher threshold for what people see.
LOWEST_SCORE = 0.05
_OVERLAP = 0.5


def to_boxes(grid: Grid, distances: Any) -> Any:
    """Side distances ``[B, N, 4]`` in strides to boxes (x_min, y_min, x_max, y_max) in pixels of the square."""
    pixels = distances * grid.strides[None, :, None]
    return tf.concat([grid.points - pixels[..., :2], grid.points + pixels[..., 2:]], -1)


def detect(grid: Grid, outputs: dict[str, Any]) -> dict[str, Any]:
    """The best boxes of each image, as of :func:`best_boxes`."""
    return best_boxes(to_boxes(grid, outputs["distances"]), outputs["classes"], grid.size)


def best_boxes(boxes: Any, logits: Any, size: int) -> dict[str, Any]:
    """The best boxes of each image: one class a box, and non-maximum suppression within each class.

    Args:
        boxes: ``[B, N, 4]``, (x_min, y_min, x_max, y_max) in pixels of the square.
        logits: ``[B, N, C]``, of their classes.
        size: Side of the square in pixels.

    Returns:
        ``detection_boxes`` ``[B, MAX_BOXES, 4]`` (y_min, x_min, y_max, x_max in [0, 1]), ``detection_scores`` and
        ``detection_classes`` (class indices) ``[B, MAX_BOXES]``, all best first and padded with zeros, and
        ``num_detections`` ``[B]``.
    """
    scores = tf.sigmoid(logits)
    best = tf.one_hot(tf.argmax(scores, -1), scores.shape[-1])
    corners = tf.gather(boxes / size, [1, 0, 3, 2], axis=-1)
    found = tf.image.combined_non_max_suppression(
        corners[:, :, None],
        scores * best,
        max_output_size_per_class=MAX_BOXES,
        max_total_size=MAX_BOXES,
        iou_threshold=_OVERLAP,
        score_threshold=LOWEST_SCORE,
        clip_boxes=True,
    )
    return {
        "detection_boxes": found.nmsed_boxes,
        "detection_scores": found.nmsed_scores,
        "detection_classes": tf.cast(found.nmsed_classes, tf.int32),
        "num_detections": found.valid_detections,
    }
