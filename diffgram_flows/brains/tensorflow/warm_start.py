"""Starting a network from the weights of an earlier one."""

from __future__ import annotations

from typing import Any

from diffgram_flows.brains.tensorflow.network import CLASS_LAYER


def copy_weights(source: Any, target: Any) -> int:
    """Copy the weights of layers of the same name and shape; the class layer may have grown.

    Labels are append-only, so the first classes of a grown class layer are those of the source; the weights of the
    appended ones stay as they are.

    Returns:
        How many weight tensors were copied, also in part.
    """
    known = {layer.name: layer for layer in source.layers}
    copied = 0
    for layer in target.layers:
        old = known[layer.name].weights if layer.name in known else []
        for weight, earlier in zip(layer.weights, old, strict=False):
            values = earlier.value.numpy()
            if values.shape != tuple(weight.shape):
                if layer.name != CLASS_LAYER or not _is_start_of(values.shape, tuple(weight.shape)):
                    continue
                grown = weight.value.numpy()
                grown[..., : values.shape[-1]] = values
                values = grown
            weight.assign(values)
            copied += 1
    return copied


def _is_start_of(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether only the last axis, the classes, became longer."""
    return old[:-1] == new[:-1] and old[-1] < new[-1]
