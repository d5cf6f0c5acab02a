"""Loading files of a brain. A model file is a program: what it is made of is looked at before it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from diffgram_flows.brains.tensorflow.operations import COMPUTING, SAVING
from diffgram_flows.brains.tensorflow.quiet import without_compile_warning, without_numpy_copy_warning
from diffgram_flows.brains.tensorflow.saving import NETWORK_FILE, PROGRAM_FOLDER
from diffgram_flows.errors import BrainTampered

# Functions in which TensorFlow itself writes and reads the variables' files; only the saver calls them.
_SAVER_FUNCTIONS = ("__inference__traced_save", "__inference__traced_restore")
_ROLL_BACK = "Do not run it; find out where it came from, and roll back to another version."
_MAX_PROGRAM = 1 << 30  # bytes; a protobuf ends at two of them


def load_network(folder: Path) -> Any:
    """The network for a warm start, without any code from the file.

    Raises:
        BrainTampered: The file wants to run code, or is not a network.
    """
    path = folder / NETWORK_FILE
    try:
        with without_numpy_copy_warning(), without_compile_warning():
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BrainTampered(
            f"The network {path} cannot be loaded safely ({type(error).__name__}).",
            cure="Train from scratch, or start from another version.",
        ) from error


def load_program(folder: Path) -> tuple[Any, Any]:
    """The program for prediction, with its weights as constants: a tenth faster, as layers become one operation.

    Returns:
        The loaded module, which must be kept as long as the function is used, and the function: from
        ``images`` ``[B, S, S, 3]`` uint8 to the program's outputs by name.

    Raises:
        BrainTampered: The graph holds an operation that no brain needs, such as one that writes files.
    """
    path = folder / PROGRAM_FOLDER
    scan_program(path / "saved_model.pb")
    module = tf.saved_model.load(str(path))
    signature = module.signatures["serving_default"]
    constant = convert_variables_to_constants_v2(signature)
    names = sorted(signature.structured_outputs)  # as the flat outputs are ordered

    def program(images: Any) -> dict[str, Any]:
        return dict(zip(names, constant(tf.convert_to_tensor(images)), strict=True))

    return module, program


def scan_program(path: Path, computing: frozenset[str] = COMPUTING) -> None:
    """Look through a saved program and all its functions before it is loaded.

    Raises:
        BrainTampered: It cannot be read, or holds an operation that is not allowed where it is.
    """
    refuse(path, _forbidden(parse(saved_model_pb2.SavedModel(), path), computing))


def parse(message: Any, path: Path) -> Any:
    """Read a file into a protobuf message.

    Raises:
        BrainTampered: It cannot be read, or is larger than any program.
    """
    try:
        if (size := path.stat().st_size) > _MAX_PROGRAM:
            raise ValueError(f"its {size:,} bytes are more than the limit of {_MAX_PROGRAM:,}")
        message.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError has no public home
        raise BrainTampered(
            f"The program {path} cannot be read ({error}).", cure="Restore it from a backup."
        ) from error
    return message


def refuse_forbidden(path: Path, operations: Iterable[str], allowed: frozenset[str], *, cure: str) -> None:
    """Raise :class:`BrainTampered` if one of a program's operations is not allowed."""
    refuse(path, (operation for operation in operations if operation not in allowed), cure)


def refuse(path: Path, found: Iterable[str], cure: str = _ROLL_BACK) -> None:
    """Raise :class:`BrainTampered` if anything was found."""
    if forbidden := sorted(set(found)):
        raise BrainTampered(
            f"The program {path} holds operations that no brain needs: {', '.join(forbidden)}.",
            cure=cure,
        )


def _forbidden(program: Any, computing: frozenset[str]) -> Iterator[str]:
    """Names of operations that are not allowed where they are."""
    for meta in program.meta_graphs:
        graph, objects = meta.graph_def, meta.object_graph_def
        if not objects.nodes:  # of TensorFlow 1: its signatures could name any operation of the outermost graph
            yield "a graph without objects"
        yield from (f"a call of {name}" for name in objects.concrete_functions if name.startswith(_SAVER_FUNCTIONS))
        # The saver is started by the outermost graph; a function that calls it would write files when predicting.
        yield from _found(graph.node, computing | SAVING)
        for function in graph.library.function:
            saver = function.signature.name.startswith(_SAVER_FUNCTIONS)
            yield from _found(function.node_def, computing | SAVING if saver else computing)
            yield from (f"a call of {name}" for name in _called(function) if name.startswith(_SAVER_FUNCTIONS))


def _found(nodes: Any, allowed: frozenset[str]) -> Iterator[str]:
    return (node.op for node in nodes if node.op not in allowed)


def _called(function: Any) -> Iterator[str]:
    """Functions that a function calls, in an attribute or in a list of them (the branches of a ``Case``)."""
    for node in function.node_def:
        for value in node.attr.values():
            yield from (called.name for called in (value.func, *value.list.func) if called.name)
