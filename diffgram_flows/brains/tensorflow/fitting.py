"""The training loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import Epoch
from diffgram_flows.brains.tensorflow.grid import Grid
from diffgram_flows.brains.tensorflow.loss import Loss, detection_loss
from diffgram_flows.models import Progress

_REPORTS = 20
_WARM_UP = 0.15
_LARGEST_GRADIENT = 10.0

Step = Callable[[float, Any, Any, Any], Loss]


def seed_everything(options: TrainingOptions) -> None:
    """Make what follows repeatable: must run before the network is built."""
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()


def fit(
    network: Any, grid: Grid, train: Any, validation: Any | None, options: TrainingOptions, progress: Progress
) -> tuple[Epoch, ...]:
    """Train a network in place and leave the moving average of its weights in it.

    Args:
        network: As of ``build_network``.
        grid: The points of its square.
        train: Endless batches.
        validation: Batches of images that are not trained on, or ``None``.
        options: Length, rates, averaging.
        progress: Told after every report interval.

    Returns:
        The means of every interval, a twentieth of the training each.
    """
    average = [tf.Variable(weight, trainable=False) for weight in network.weights]
    train_step = _train_step(network, grid, options, average)
    validate = _validation(network, grid, validation)
    batches = iter(train)
    history: list[Epoch] = []
    interval = math.ceil(options.steps / _REPORTS)
    done, started = 0, time.monotonic()
    while done < options.steps:
        upcoming = range(done, min(done + interval, options.steps))
        losses = [train_step(one_cycle(step, options), *next(batches)) for step in upcoming]
        done = upcoming.stop
        total, box, classes = (float(value) for value in tf.reduce_mean(losses, axis=0))
        epoch = Epoch(done, total, box, classes, validate(), time.monotonic() - started)
        history.append(epoch)
        progress(done, options.steps, f"loss {epoch.loss:.3f}")
    for weight, mean in zip(network.weights, average, strict=True):
        weight.assign(mean)
    return tuple(history)


def one_cycle(step: int, options: TrainingOptions) -> float:
    """The learning rate of a step: up linearly to the peak, then down to zero along a cosine."""
    warm_up = max(1, round(options.steps * _WARM_UP))
    if step < warm_up:
        return options.learning_rate * (step + 1) / warm_up
    return options.learning_rate * (1 + math.cos(math.pi * (step - warm_up) / (options.steps - warm_up))) / 2


def _train_step(network: Any, grid: Grid, options: TrainingOptions, average: list[Any]) -> Step:
    optimizer = keras.optimizers.AdamW(
        options.learning_rate, weight_decay=options.weight_decay, global_clipnorm=_LARGEST_GRADIENT
    )
    optimizer.build(network.trainable_variables)

    def step(images: Any, boxes: Any, classes: Any) -> Loss:
        with tf.GradientTape() as tape:
            loss = detection_loss(grid, network(images, training=True), boxes, classes)
        gradients = tape.gradient(loss.total, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        # A short memory at first: the average must not remember the random start.
        count = tf.cast(optimizer.iterations, tf.float32)
        decay = tf.minimum(options.averaging, count / (count + 10))
        for mean, weight in zip(average, network.weights, strict=True):
            mean.assign(decay * mean + (1 - decay) * tf.cast(weight, mean.dtype))
        return loss

    # XLA is 2 to 3 times slower for this network on a CPU and takes 20 s to compile.
    compiled = tf.function(step, jit_compile=False, reduce_retracing=True)

    def at_rate(rate: float, *batch: Any) -> Loss:
        # A Keras schedule would be built into the graph once for every variable.
        optimizer.learning_rate = rate
        loss: Loss = compiled(*batch)
        return loss

    return at_rate


def _validation(network: Any, grid: Grid, validation: Any | None) -> Callable[[], float | None]:
    """A function that says the mean loss over the validation images, ``None`` where there are none."""
    if validation is None:
        return lambda: None

    def loss(images: Any, boxes: Any, classes: Any) -> Any:
        return detection_loss(grid, network(images, training=False), boxes, classes).total

    compiled = tf.function(loss, jit_compile=False, reduce_retracing=True)
    return lambda: float(tf.reduce_mean([compiled(*batch) for batch in validation]))
