"""The boxes that RetinaNet starts from, what each of them should say, and the way from what it says to boxes."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from diffgram_flows.brains.tensorflow.decoding import best_boxes
from diffgram_flows.brains.tensorflow.objective import Loss

_SCALES, _RATIOS = 3, (0.5, 1.0, 2.0)
PER_CELL = _SCALES * len(_RATIOS)
# In cells. keras-hub's own 4 begins at 32 pixels, which leaves small objects without an anchor that fits.
_SIZE = 3.0
_FORMAT, _ENCODING = "xyxy", "center_xywh"
_BACKGROUND, _BETWEEN, _OBJECT = -1, -2, 1
# How much an anchor and an object must overlap, and below what the anchor sees background.
_OVERLAP, _NO_OVERLAP = 0.5, 0.4
_BALANCE, _FOCUS = 0.25, 2.0


def make_generator(min_level: int, max_level: int) -> Any:
    """What makes the anchors of all levels; cells of level ``n`` are ``2 ** n`` pixels wide."""
    return keras_hub.layers.AnchorGenerator(
        _FORMAT,
        min_level=min_level,
        max_level=max_level,
        num_scales=_SCALES,
        aspect_ratios=list(_RATIOS),
        anchor_size=_SIZE,
    )


class Anchors:
    """All anchors of a square image, finest level first: the order of the network's outputs.

    Attributes:
        size: Side of the image in pixels.
        boxes: ``[N, 4]`` float32, (x_min, y_min, x_max, y_max) in pixels.
    """

    def __init__(self, min_level: int, max_level: int, size: int) -> None:
        levels = make_generator(min_level, max_level)(np.zeros((size, size, 3), np.float32))
        self.size = size
        self.boxes = np.concatenate([level.numpy() for level in levels.values()])
        self._shape = (size, size, 3)
        self._match = keras_hub.layers.BoxMatcher([_NO_OVERLAP, _OVERLAP], [_BACKGROUND, _BETWEEN, _OBJECT])

    def assign(self, boxes: Any, classes: Any) -> tuple[Any, Any]:
        """What each anchor should say: every object is found by the anchors that it overlaps, by the best in any case.

        Args:
            boxes: ``[B, M, 4]`` (x_min, y_min, x_max, y_max) in pixels.
            classes: ``[B, M]`` int32, -1 for padding.

        Returns:
            The deltas ``[B, N, 4]``, and the classes ``[B, N]`` int32: -1 for background, -2 where nothing is asked.
        """
        overlaps = keras.utils.bounding_boxes.compute_iou(self.boxes, boxes, _FORMAT, image_shape=self._shape)
        chosen, verdict = self._match(overlaps)
        # keras-hub's own way to match every object sends the first anchor to one that does not exist.
        best = tf.one_hot(tf.argmax(overlaps, 1), len(self.boxes)) * tf.cast(classes >= 0, tf.float32)[..., None]
        is_best = tf.reduce_any(best > 0, 1)
        chosen = tf.where(is_best, tf.argmax(best, 1, tf.int32), chosen)
        is_object = is_best | (verdict == _OBJECT)
        deltas = keras.utils.bounding_boxes.encode_box_to_deltas(
            anchors=self.boxes,
            boxes=tf.gather(boxes, chosen, batch_dims=1),
            anchor_format=_FORMAT,
            box_format=_FORMAT,
            encoding_format=_ENCODING,
            image_shape=self._shape,
        )
        return deltas, tf.where(is_object, tf.gather(classes, chosen, batch_dims=1), verdict)

    def decode(self, deltas: Any) -> Any:
        """From deltas ``[B, N, 4]`` to boxes ``[B, N, 4]`` (x_min, y_min, x_max, y_max) in pixels."""
        return keras.utils.bounding_boxes.decode_deltas_to_boxes(
            anchors=self.boxes,
            boxes_delta=deltas,
            anchor_format=_FORMAT,
            encoded_format=_ENCODING,
            box_format=_FORMAT,
            image_shape=self._shape,
        )


class RetinaNetObjective:
    """Focal loss of the classes and Huber loss of the deltas, averaged over the anchors that see an object."""

    parts: ClassVar[tuple[str, ...]] = ("box", "class")

    def __init__(self, anchors: Anchors) -> None:
        self._anchors = anchors

    def __call__(self, outputs: dict[str, Any], *targets: Any) -> Loss:
        """Compare.

        Args:
            outputs: ``cls_logits`` ``[B, N, C]`` and ``bbox_regression`` ``[B, N, 4]``.
            targets: Boxes and classes as of :meth:`Anchors.assign`.
        """
        deltas, classes = self._anchors.assign(*targets)
        said, logits = (tf.cast(outputs[name], tf.float32) for name in ("bbox_regression", "cls_logits"))
        positive = tf.cast(classes >= 0, tf.float32)
        wanted = tf.one_hot(classes, logits.shape[-1])
        focal = keras.losses.binary_focal_crossentropy(
            wanted[..., None],
            logits[..., None],
            apply_class_balancing=True,
            alpha=_BALANCE,
            gamma=_FOCUS,
            from_logits=True,
        )
        asked = tf.cast(classes != _BETWEEN, tf.float32)
        class_loss = tf.reduce_sum(focal * asked[..., None])
        box_loss = tf.reduce_sum(4 * keras.losses.huber(deltas, said) * positive)  # Keras takes the mean of the four
        return Loss(box_loss + class_loss, tf.reduce_sum(positive), (box_loss, class_loss))


def detect(anchors: Anchors, outputs: dict[str, Any]) -> dict[str, Any]:
    """The best boxes of each image, as of :func:`~diffgram_flows.brains.tensorflow.decoding.best_boxes`."""
    return best_boxes(anchors.decode(outputs["bbox_regression"]), outputs["cls_logits"], anchors.size)
