"""Loading files of a brain. A model file is a program: what it is made of is looked at before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from diffgram_flows.brains.tensorflow.operations import COMPUTING, SAVING
from diffgram_flows.brains.tensorflow.quiet import without_numpy_copy_warning
from diffgram_flows.brains.tensorflow.saving import NETWORK_FILE, PROGRAM_FOLDER
from diffgram_flows.errors import BrainTampered

# Functions in which TensorFlow itself writes and reads the variables' files; only the saver calls them.
_SAVER_FUNCTIONS = ("__inference__traced_save", "__inference__traced_restore")


def load_network(folder: Path) -> Any:
    """The network for a warm start, without any code from the file.

    Raises:
        BrainTampered: The file wants to run code, or is not a network.
    """
    path = folder / NETWORK_FILE
    try:
        with without_numpy_copy_warning():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BrainTampered(
            f"The network {path} cannot be loaded safely ({type(error).__name__}).",
            cure="Train from scratch, or start from another version.",
        ) from error


def load_program(folder: Path) -> tuple[Any, Any]:
    """The program for prediction.

    Returns:
        The loaded module, which must be kept as long as the function is used, and the function.

    Raises:
        BrainTampered: The graph holds an operation that no brain needs, such as one that writes files.
    """
    path = folder / PROGRAM_FOLDER
    _scan(path / "saved_model.pb")
    module = tf.saved_model.load(str(path))
    return module, module.signatures["serving_default"]


def _scan(path: Path) -> None:
    program = saved_model_pb2.SavedModel()
    try:
        program.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError has no public home
        raise BrainTampered(
            f"The program {path} cannot be read ({error}).", cure="Restore it from a backup."
        ) from error
    forbidden = sorted(set(_forbidden(program)))
    if forbidden:
        raise BrainTampered(
            f"The program {path} holds operations that no brain needs: {', '.join(forbidden)}.",
            cure="Do not run it; find out where it came from, and roll back to another version.",
        )


def _forbidden(program: Any) -> Iterator[str]:
    """Names of operations that are not allowed where they are."""
    for graph in (meta.graph_def for meta in program.meta_graphs):
        # The saver is started by the outermost graph; a function that calls it would write files when predicting.
        yield from _found(graph.node, COMPUTING | SAVING)
        for function in graph.library.function:
            saver = function.signature.name.startswith(_SAVER_FUNCTIONS)
            yield from _found(function.node_def, COMPUTING | SAVING if saver else COMPUTING)
            yield from (f"a call of {name}" for name in _called(function) if name.startswith(_SAVER_FUNCTIONS))


def _found(nodes: Any, allowed: frozenset[str]) -> Iterator[str]:
    return (node.op for node in nodes if node.op not in allowed)


def _called(function: Any) -> Iterator[str]:
    return (value.func.name for node in function.node_def for value in node.attr.values() if value.func.name)
