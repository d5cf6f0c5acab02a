"""What the training runs on: one device or several, and in which precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from diffgram_flows.brains.options import TrainingOptions

_HALF, _FULL = "mixed_float16", "float32"


def build(options: TrainingOptions, make: Callable[[], Any]) -> Any:
    """A network to train: repeatable, on all devices, in half precision where a GPU computes it.

    Half precision pays on a GPU only: a CPU takes three times as long.

    Args:
        options: Seed, determinism, precision.
        make: Makes the layers.
    """
    keras.utils.set_random_seed(options.seed)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    half = options.mixed_precision and tf.config.list_logical_devices("GPU")
    with find_strategy().scope(), _policy(_HALF if half else _FULL):
        return make()


def for_any_machine(network: Any, make: Callable[[], Any]) -> Any:
    """The network in full precision and without a strategy, so that it can be saved and loaded everywhere."""
    if not is_half(network) and strategy_of(network).num_replicas_in_sync == 1:
        return network
    with _policy(_FULL):
        plain = make()
    plain.set_weights(network.get_weights())
    return plain


def strategy_of(network: Any) -> Any:
    """What the network was built to be trained with."""
    return getattr(network.weights[0].value, "distribute_strategy", None) or tf.distribute.get_strategy()


def is_half(network: Any) -> bool:
    """Whether the network computes in half precision."""
    return bool(network.layers[-1].dtype_policy.name == _HALF)


def find_strategy() -> Any:
    """One copy of the network on each GPU where there are several, else the one device that there is.

    Logical devices count as devices, so the distribution can be tried out on a CPU that is divided into several.
    """
    for kind in ("GPU", "CPU"):
        devices = tf.config.list_logical_devices(kind)
        if len(devices) > 1:
            return tf.distribute.MirroredStrategy([device.name for device in devices])
        if devices:
            break
    return tf.distribute.get_strategy()


@contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
