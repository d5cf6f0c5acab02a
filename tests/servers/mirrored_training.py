"""The same training on one device and on two, for tests: run as a program, because a process divides its CPU once."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from servers.small_training import Brightness, data, network

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.brains.tensorflow.fitting import fit
from diffgram_flows.brains.tensorflow.machines import build, for_any_machine, strategy_of


def main() -> None:
    """JSON on standard output."""
    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    # Five images on two devices: the pieces differ in size, and must not weigh the same.
    options = TrainingOptions(image_size=64, batch_size=5, steps=20, learning_rate=0.01, augmentation=0)
    mirrored = build(options, layers)
    keras.utils.set_random_seed(options.seed)
    reports = [report(network, options) for network in (layers(), mirrored)]
    # One with a normalisation and dropout, whose numbers differ by device; it must run at all.
    reports.append(report(build(options, network), options))
    print(json.dumps(reports))  # noqa: T201


def report(learning: keras.Model, options: TrainingOptions) -> dict[str, Any]:
    """Train, and tell of it."""
    history = fit(learning, Brightness(), data(options), options)
    plain = for_any_machine(learning, partial(keras.models.clone_model, learning))
    weights = np.concatenate([weight.value.numpy().ravel() for weight in plain.weights])
    replicas = [strategy_of(model).num_replicas_in_sync for model in (learning, plain)]
    return {"replicas": replicas, "losses": [epoch.loss for epoch in history], "weights": weights.tolist()}


def layers() -> keras.Model:
    """Without a normalisation, whose statistics are of a device's own piece."""
    image = keras.Input((64, 64, 3))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(16)(keras.layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, keras.layers.Dense(1)(keras.layers.Dense(8, activation="tanh")(x)))


if __name__ == "__main__":
    main()
