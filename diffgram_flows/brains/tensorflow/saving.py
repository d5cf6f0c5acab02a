"""A trained network as files: one to train on, one to predict with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from diffgram_flows.brains.tensorflow.decoding import detect
from diffgram_flows.brains.tensorflow.grid import Grid
from diffgram_flows.brains.tensorflow.quiet import without_numpy_copy_warning

NETWORK_FILE = "network.keras"
PROGRAM_FOLDER = "saved_model"


def save(network: Any, grid: Grid, folder: Path) -> None:
    """Write both forms.

    ``network.keras`` holds the layers and weights for a later warm start. ``saved_model`` is the whole program with
    the signature ``serving_default``: ``images`` ``[B, S, S, 3]`` uint8, upright RGB stretched to the square, to the
    dictionary of :func:`~diffgram_flows.brains.tensorflow.decoding.detect`.
    """
    with without_numpy_copy_warning():
        network.save(folder / NETWORK_FILE)
    module = tf.Module()
    module.variables_of_network = [variable.value for variable in network.variables]

    def program(images: Any) -> dict[str, Any]:
        return detect(grid, network(tf.cast(images, tf.float32), training=False))

    signature = tf.TensorSpec([None, grid.size, grid.size, 3], tf.uint8, name="images")
    module.program = tf.function(program, input_signature=[signature], jit_compile=False)
    tf.saved_model.save(module, str(folder / PROGRAM_FOLDER), signatures={"serving_default": module.program})
