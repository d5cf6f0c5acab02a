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
from diffgram_flows.brains.tensorflow.adamw import AdamW
from diffgram_flows.brains.tensorflow.machines import is_half, strategy_of
from diffgram_flows.brains.tensorflow.objective import Objective

Arrays = dict[str, NDArray[Any]]


class TrainingState:
    """A network that learns.

    Args:
        network: Built in the scope of its strategy, all layers trainable.
        objective: What is minimised.
        options: Optimiser and averaging.
        interval: Steps over which losses are averaged.
    """

    def __init__(self, network: Any, objective: Objective, options: TrainingOptions, interval: int) -> None:
        self.network = network
        self._strategy = strategy_of(network)
        self._objective, self._options, self._interval = objective, options, interval
        self._learned = [weight.value for weight in network.trainable_weights]
        self._counted = [weight.value for weight in network.non_trainable_weights]
        self._sizes = [int(np.prod(weight.shape)) for weight in (*self._learned, *self._counted)]
        self._optimizer = AdamW(sum(self._sizes[: len(self._learned)]), options.weight_decay, half=is_half(network))
        self._mean = tf.Variable(_joined([*self._learned, *self._counted]), trainable=False)
        self._step = tf.Variable(0, trainable=False, dtype=tf.int64)
        # The interval's sums so far: of the loss, then of its parts.
        self._sums = tf.Variable(tf.zeros([1 + len(objective.parts)]), trainable=False)
        with self._strategy.scope():
            self._averaged = keras.models.clone_model(network)

    @property
    def step(self) -> int:
        """How many steps have been made."""
        return int(self._step.numpy())

    @property
    def averaged(self) -> Any:
        """A network of the same layers whose weights are the moving average; it becomes the brain."""
        pieces = iter(np.split(self._mean.numpy(), np.cumsum(self._sizes)[:-1]))
        for weight in (*self._averaged.trainable_weights, *self._averaged.non_trainable_weights):
            weight.assign(next(pieces).reshape(weight.shape))
        return self._averaged

    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return bool(np.isfinite(self._mean.numpy()).all())

    def means(self) -> list[float]:
        """Of the loss and its parts, over the interval that is just over."""
        steps = (self.step - 1) % self._interval + 1
        return [float(value) / steps for value in self._sums.numpy()]

    def compiled(self) -> Callable[..., None]:
        """A function that makes one step with a batch and a learning rate, for the layers that are trainable now."""
        # XLA is 2 to 3 times slower for these networks on a CPU and takes 20 s to compile.
        compiled = tf.function(self._take, autograph=False, jit_compile=False, reduce_retracing=True)
        replicas = self._strategy.num_replicas_in_sync

        def step(batch: Sequence[Any], rate: float) -> None:
            compiled(tf.constant(rate, tf.float32), *(batch if replicas == 1 else self._divided(batch)))

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
        network = [variable.value for variable in self.network.variables]
        loop = [self._step, self._sums, self._mean]
        groups = {"network": network, "optimizer": self._optimizer.variables, "loop": loop}
        return {f"{group}/{i}": variable for group, found in groups.items() for i, variable in enumerate(found)}

    def _divided(self, batch: Sequence[Any]) -> list[Any]:
        """A batch in one piece for each device."""
        replicas = self._strategy.num_replicas_in_sync
        size = int(batch[0].shape[0])
        ends = [size * number // replicas for number in range(replicas + 1)]

        def piece(values: Any) -> Any:
            def of(context: Any) -> Any:
                number = context.replica_id_in_sync_group
                return values[ends[number] : ends[number + 1]]

            return self._strategy.experimental_distribute_values_from_function(of)

        return [piece(values) for values in batch]

    def _take(self, rate: Any, *batch: Any) -> None:
        """A step: what every device does with its part of the batch, then what is done once with all of it."""
        gradient, losses = self._strategy.run(self._learn, args=batch)
        gradient = self._strategy.reduce(tf.distribute.ReduceOp.SUM, gradient, axis=None)
        losses = self._strategy.experimental_local_results(losses)[0]  # the same on each of them
        weights = self._optimizer.updated(_joined(self._learned), gradient, rate, self._mask())
        for weight, values in zip(self._learned, tf.split(weights, self._sizes[: len(self._learned)]), strict=True):
            weight.assign(tf.reshape(values, weight.shape))
        first = self._step % self._interval == 0
        self._sums.assign(tf.where(first, losses, self._sums + losses))
        self._step.assign_add(1)
        # A short memory at first: the average must not remember the random start.
        count = tf.cast(self._step, tf.float32)
        decay = tf.minimum(self._options.averaging, count / (count + 10))
        everything = tf.concat([weights, _joined(self._counted)], 0) if self._counted else weights
        # Written so that what does not change is not rounded either.
        self._mean.assign_add((1 - decay) * (everything - self._mean))

    def _learn(self, images: Any, *targets: Any) -> tuple[Any, Any]:
        """One device's part: its gradient, and the loss and its parts of the whole batch."""
        with tf.GradientTape() as tape:
            loss = self._objective(self.network(images, training=True), *targets)
            numbers = tf.stack([tf.cast(value, tf.float32) for value in (loss.count, loss.total, *loss.parts)])
            if self._strategy.num_replicas_in_sync > 1:
                everywhere = tf.distribute.get_replica_context()
                numbers = everywhere.all_reduce(tf.distribute.ReduceOp.SUM, tf.stop_gradient(numbers))
            count = tf.maximum(tf.stop_gradient(numbers[0]), 1.0)
            scaled = tf.cast(loss.total, tf.float32) / count * self._optimizer.scale
        learning = [variable for variable, learns in zip(self._learned, self._learns(), strict=True) if learns]
        gradients = iter(tape.gradient(scaled, learning, unconnected_gradients=tf.UnconnectedGradients.ZERO))
        every = [
            next(gradients) if learns else tf.zeros_like(variable)
            for variable, learns in zip(self._learned, self._learns(), strict=True)
        ]
        return _joined(every), numbers[1:] / count

    def _learns(self) -> list[bool]:
        """Which of the variables that can learn do so now."""
        now = {id(weight.value) for weight in self.network.trainable_weights}
        return [id(variable) in now for variable in self._learned]

    def _mask(self) -> Any | None:
        learns = self._learns()
        return None if all(learns) else tf.constant(np.repeat(learns, self._sizes[: len(learns)]))


def _joined(values: Sequence[Any]) -> Any:
    """One long vector."""
    return tf.concat([tf.reshape(value, [-1]) for value in values], 0)
