"""A trained network as files: one to train on, one to predict with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from diffgram_flows.brains.tensorflow.quiet import without_numpy_copy_warning

NETWORK_FILE = "network.keras"
PROGRAM_FOLDER = "saved_model"


def save(network: Any, size: int, answer: Callable[[Any], dict[str, Any]], folder: Path) -> None:
    """Write both forms.

    ``network.keras`` holds the layers and weights for a later warm start. ``saved_model`` is the whole program with
    the signature ``serving_default``: ``images`` ``[B, S, S, 3]`` uint8, upright RGB stretched to the square, to the
    dictionary of ``answer``.

    Args:
        network: Trained.
        size: Side of its square in pixels.
        answer: From the network's outputs to what is asked of it, in the graph.
        folder: Where the files go.
    """
    with without_numpy_copy_warning():
        network.save(folder / NETWORK_FILE)
    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]

    def program(images: Any) -> dict[str, Any]:
        return answer(network(tf.cast(images, tf.float32), training=False))

    signature = tf.TensorSpec([None, size, size, 3], tf.uint8, name="images")
    module.program = tf.function(program, input_signature=[signature], jit_compile=False)
    tf.saved_model.save(module, str(folder / PROGRAM_FOLDER), signatures={"serving_default": module.program})
