"""Starting a network from the weights of an earlier one."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.tensorflow.network import CLASS_LAYER


class ClassLayer(NamedTuple):
    """The layer that grows with the labels.

    Attributes:
        path: Its name, after those of the layers that it is part of.
        copies: How many times its outputs hold all classes, one copy after the other.
    """

    path: str
    copies: int = 1


OWN_CLASS_LAYER = ClassLayer(CLASS_LAYER)


def copy_weights(source: Any, target: Any, grows: ClassLayer) -> int:
    """Copy the weights of the same path and shape; the class layer may have grown.

    Labels are append-only, so the first classes of a grown class layer are those of the source; the weights of the
    appended ones stay as they are.

    Returns:
        How many weight tensors were copied, also in part.
    """
    known = {weight.path: weight for weight in source.weights}
    copied = 0
    for weight in target.weights:
        if weight.path not in known:
            continue
        values = known[weight.path].value.numpy()
        if values.shape != tuple(weight.shape):
            if _layer_of(weight) != grows.path or not _is_start_of(values.shape, tuple(weight.shape)):
                continue
            values = _grown(values, weight.value.numpy(), grows.copies)
        weight.assign(values)
        copied += 1
    return copied


def _layer_of(weight: Any) -> str:
    return str(weight.path).rpartition("/")[0]


def _is_start_of(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether only the last axis, the classes, became longer."""
    return old[:-1] == new[:-1] and old[-1] < new[-1]


def _grown(old: NDArray[Any], new: NDArray[Any], copies: int) -> NDArray[Any]:
    """The new weights, with the old ones in their first classes."""
    parts = new.reshape(*new.shape[:-1], copies, -1).copy()
    parts[..., : old.shape[-1] // copies] = old.reshape(*old.shape[:-1], copies, -1)
    return np.reshape(parts, new.shape)
