"""All that a training changes, in variables that one step changes together.

A step is one call into TensorFlow, and Python hears of signals between calls only. So whatever interrupts a training,
wherever, its variables are those after a whole number of steps, and can be written down and taken up again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.tensorflow.machines import is_half, loss_scale, make_optimizer, strategy_of
from diffgram_flows.brains.tensorflow.objective import Objective

_LARGEST_GRADIENT = 10.0

Arrays = dict[str, NDArray[Any]]


class TrainingState:
    """A network that learns.

    Args:
        network: Built in the scope of its strategy, all layers trainable.
        objective: What is minimised.
        options: Optimiser and averaging.
        interval: Steps over which losses are averaged.

    Attributes:
        averaged: A network of the same layers whose weights are the moving average; it becomes the brain.
    """

    def __init__(self, network: Any, objective: Objective, options: TrainingOptions, interval: int) -> None:
        self.network = network
        self.strategy = strategy_of(network)
        self._objective, self._options, self._interval = objective, options, interval
        with self.strategy.scope():
            self.averaged = keras.models.clone_model(network)
            self.averaged.set_weights(network.get_weights())
            self.optimizer = make_optimizer(options, half=is_half(network))
            self.optimizer.build(network.trainable_variables)
            self.step = tf.Variable(0, trainable=False, dtype=tf.int64)
            # The interval's sums so far: of the loss, then of its parts.
            self.sums = tf.Variable(tf.zeros([1 + len(objective.parts)]), trainable=False)

    def means(self) -> list[float]:
        """Of the loss and its parts, over the interval that is just over."""
        steps = (int(self.step.numpy()) - 1) % self._interval + 1
        return [float(value) / steps for value in self.sums.numpy()]

    def compiled(self) -> Callable[..., None]:
        """A function that makes one step with a batch and a learning rate, for the layers that are trainable now."""
        # XLA is 2 to 3 times slower for these networks on a CPU and takes 20 s to compile.
        compiled = tf.function(self._take, jit_compile=False, reduce_retracing=True)
        replicas = self.strategy.num_replicas_in_sync

        def step(batch: Sequence[Any], rate: float) -> None:
            # A Keras schedule would be built into the graph once for every variable.
            self.optimizer.learning_rate = rate
            compiled(*(batch if replicas == 1 else self._divided(batch)))

        return step

    def arrays(self) -> Arrays:
        """All variables, by names that a state of the same network and options has, too."""
        return {name: np.asarray(variable.numpy()) for name, variable in self._variables().items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> bool:
        """Take up a state; ``False`` where it is one of another network, and nothing was changed."""
        variables = self._variables()
        if any(name not in arrays or arrays[name].shape != tuple(v.shape) for name, v in variables.items()):
            return False
        for name, variable in variables.items():
            variable.assign(arrays[name])
        return True

    def _variables(self) -> dict[str, Any]:
        # ``variables``, not ``weights``: the seeds of dropout layers belong to the state.
        groups = {
            "network": [variable.value for variable in self.network.variables],
            "averaged": [variable.value for variable in self.averaged.weights],
            "optimizer": [variable.value for variable in self.optimizer.variables],
            "loop": [self.step, self.sums],
        }
        return {f"{group}/{i}": variable for group, found in groups.items() for i, variable in enumerate(found)}

    def _divided(self, batch: Sequence[Any]) -> list[Any]:
        """A batch in one piece for each device."""
        replicas = self.strategy.num_replicas_in_sync
        size = int(batch[0].shape[0])
        ends = [size * number // replicas for number in range(replicas + 1)]

        def piece(values: Any) -> Any:
            def of(context: Any) -> Any:
                number = context.replica_id_in_sync_group
                return values[ends[number] : ends[number + 1]]

            return self.strategy.experimental_distribute_values_from_function(of)

        return [piece(values) for values in batch]

    def _take(self, *batch: Any) -> None:
        losses = self.strategy.run(self._learn, args=batch)
        if self.strategy.num_replicas_in_sync > 1:  # the same on each of them
            losses = self.strategy.experimental_local_results(losses)[0]
        first = self.step % self._interval == 0
        self.sums.assign(tf.where(first, losses, self.sums + losses))
        self.step.assign_add(1)
        # A short memory at first: the average must not remember the random start.
        count = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self._options.averaging, count / (count + 10))
        for mean, weight in zip(self.averaged.weights, self.network.weights, strict=True):
            mean.value.assign(decay * mean.value + (1 - decay) * tf.cast(weight.value, mean.dtype))

    def _learn(self, images: Any, *targets: Any) -> Any:
        """One device's part of a step; returns the loss and its parts, of the whole batch."""
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            loss = self._objective(self.network(images, training=True), *targets)
            numbers = tf.stack([tf.cast(value, tf.float32) for value in (loss.count, loss.total, *loss.parts)])
            numbers = self._summed(tf.stop_gradient(numbers))
            count = tf.maximum(numbers[0], 1.0)
            scaled = self.optimizer.scale_loss(tf.cast(loss.total, tf.float32) / count)
        gradients = self._summed(tape.gradient(scaled, variables))
        clipped, _ = tf.clip_by_global_norm(gradients, _LARGEST_GRADIENT * loss_scale(self.optimizer))
        replicas = self.strategy.num_replicas_in_sync
        if replicas > 1:  # Keras adds them up once more; left to itself it would clip them before that
            clipped = [gradient / replicas for gradient in clipped]
        self.optimizer.apply(clipped, variables)
        return numbers[1:] / count

    def _summed(self, values: Any) -> Any:
        """Over all devices."""
        if self.strategy.num_replicas_in_sync == 1:
            return values
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)
