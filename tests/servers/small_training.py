"""A network so small that the loop's arithmetic can be checked, and what it learns."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.brains.tensorflow.batches import Batches
from diffgram_flows.brains.tensorflow.objective import Loss


class Brightness:
    """Mean squared error of one number an image."""

    parts = ("squared",)

    def __call__(self, outputs: Any, *targets: Any) -> Loss:
        error = tf.reduce_sum(tf.square(outputs[:, 0] - targets[0]))
        return Loss(error, tf.size(targets[0]), (error,))


def network() -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((64, 64, 3))
    x = keras.layers.AveragePooling2D(16)(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Dense(8, activation="relu", name="backbone")(x)
    x = keras.layers.Dropout(0.2)(keras.layers.Flatten()(keras.layers.BatchNormalization()(x)))
    return keras.Model(image, keras.layers.Dense(1, name="head")(x))


def data(options: TrainingOptions, count: int = 10) -> Batches:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (count, 64, 64, 3), np.uint8)
    return Batches(images, (random.random(count).astype(np.float32),), options)
