"""Saying what an image shows as a whole: the layers and the loss."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf
from keras import layers

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.tags import UNKNOWN
from diffgram_flows.brains.tensorflow.network import CLASS_LAYER, backbone
from diffgram_flows.brains.tensorflow.objective import Loss

# Wrong answers that are given with confidence cost at most this much of it.
_SMOOTHING = 0.02


def build_classifier(class_count: int, options: TrainingOptions) -> Any:
    """A new network with random weights.

    Returns:
        A ``keras.Model`` from images ``[B, S, S, 3]``, RGB in [0, 255], to logits ``[B, class_count]``.
    """
    image = layers.Input((options.image_size, options.image_size, 3), name="image")
    features = backbone(image, options)
    pooled = [
        pool(name=f"{name}_{stride}")(features[stride])
        for stride in sorted(features)[-2:]
        for name, pool in (("mean", layers.GlobalAveragePooling2D), ("most", layers.GlobalMaxPooling2D))
    ]
    x = layers.Concatenate(name="pooled")(pooled)
    x = layers.Dense(options.head, use_bias=False, name="hidden")(x)
    x = layers.BatchNormalization(momentum=0.9, name="hidden_norm")(x)
    x = layers.Activation("relu", name="hidden_relu")(x)
    return keras.Model(image, layers.Dense(class_count, name=CLASS_LAYER, dtype="float32")(x), name="classifier")


class ClassificationObjective:
    """Cross entropy of every class on its own: an image may have several tags, or none."""

    parts: ClassVar[tuple[str, ...]] = ()

    def __call__(self, outputs: Any, *targets: Any) -> Loss:
        """Compare logits ``[B, C]`` with the truth ``[B, C]``: 1, 0, or what is not known."""
        (truth,) = targets
        known = tf.cast(truth > UNKNOWN, tf.float32)
        wanted = truth * (1 - _SMOOTHING) + _SMOOTHING / 2
        wrong = tf.nn.sigmoid_cross_entropy_with_logits(wanted, tf.cast(outputs, tf.float32)) * known
        return Loss(tf.reduce_sum(wrong), tf.reduce_sum(known))


def tag_scores(outputs: Any) -> dict[str, Any]:
    """``scores`` ``[B, C]`` in [0, 1]."""
    return {"scores": tf.sigmoid(tf.cast(outputs, tf.float32))}
