"""Brains of Diffgram's earlier SDK: graphs of TensorFlow 1 with their weights as constants.

Such a graph takes encoded images, decodes them in a loop and piles them up, so images of two sizes, or one that is
damaged, fail the whole batch. Where it has piled them up, its decoder is cut off: images that we have decoded go in
there, batched by size, with the same result to the bit. A graph whose loop stretches them, too, keeps its decoder, as
nobody knows how it does that; but one that :mod:`~diffgram_flows.brains.tensorflow.frozen` has written says where it
takes squares like ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.brains.methods.protocol import Answer
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.frozen import SQUARES
from diffgram_flows.brains.tensorflow.inference import boxes_of
from diffgram_flows.brains.tensorflow.loading import parse, refuse_forbidden, scan_program
from diffgram_flows.brains.tensorflow.operations import COMPUTING, LEGACY
from diffgram_flows.brains.tensorflow.saving import PROGRAM_FOLDER
from diffgram_flows.errors import BrainTampered

GRAPH_FILE = "frozen_inference_graph.pb"
LABEL_FILE = "label_dict.json"
OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
_ENCODED, _DECODED = "encoded_image_string_tensor", "image_tensor"
_FORBIDDEN = "Do not run it; ask whoever made the file, get the brain from where it was trained, or train one anew."
_PILES = ("TensorArrayGatherV3", "TensorListStack")  # what ends a loop over images
Found = Callable[[NDArray[np.uint8]], Mapping[str, NDArray[Any]]]


class LegacyDetector:
    """A loaded brain of the earlier SDK.

    Args:
        found: From images of one shape ``[B, H, W, 3]`` to the graph's outputs.
        model_ids: The graph's own numbers of classes, by label file id.
        size: Side of the squares that it takes, ``None`` for images of any size.
    """

    tileable = False

    def __init__(self, found: Found, model_ids: Mapping[int, int], size: int | None = None) -> None:
        self.size = size
        self._found = found
        self._label_file_ids = {model_id: label_file_id for label_file_id, model_id in model_ids.items()}

    def answer(
        self, images: NDArray[np.uint8], sizes: Sequence[tuple[int, int]], score_threshold: float
    ) -> list[Answer]:
        """The boxes of each image, best first; classes that ``label_dict`` does not have are left out."""
        found = self._found(images)
        rows = ({name: found[name][row] for name in OUTPUTS} for row in range(len(sizes)))
        return [self._answer(row, *size, score_threshold) for row, size in zip(rows, sizes, strict=True)]

    def _answer(self, found: dict[str, Any], width: int, height: int, score_threshold: float) -> Answer:
        count = int(found["num_detections"])
        classes = np.rint(found["detection_classes"][:count]).astype(int)
        known = np.array([int(model_id) in self._label_file_ids for model_id in classes], bool)
        order = np.argsort(-found["detection_scores"][:count], kind="stable")
        order = order[known[order]]
        ids = list(self._label_file_ids)
        ordered = {
            "detection_boxes": found["detection_boxes"][order],
            "detection_scores": found["detection_scores"][order],
            "detection_classes": np.array([ids.index(int(classes[row])) for row in order]),
            "num_detections": len(order),
        }
        return Answer(boxes_of(ordered, width, height, list(self._label_file_ids.values()), score_threshold))


def load(record: BrainRecord) -> LegacyDetector:
    """Load a brain whose files were verified, converted or as the earlier SDK has left it.

    Raises:
        BrainTampered: A file cannot be read, or the graph holds an operation that no detector needs.
    """
    model_ids = read_label_dict(record.folder / LABEL_FILE)
    converted = record.folder / PROGRAM_FOLDER
    if not converted.is_dir():
        pruned = _pruned(record.folder / GRAPH_FILE)
        return LegacyDetector(_runner(pruned), model_ids, _side(_taken(pruned)))
    scan_program(converted / "saved_model.pb", COMPUTING | LEGACY)
    module = tf.saved_model.load(str(converted))
    signature = module.signatures["serving_default"]
    return LegacyDetector(_runner(signature, module), model_ids, _side(_taken(signature)))


def convert(graph: Path, folder: Path) -> None:
    """Write a frozen graph, without its decoder where that can be cut off, as ``saved_model`` into a folder.

    Raises:
        BrainTampered: It cannot be read, is none of Diffgram's brains, or holds a forbidden operation.
    """
    function = _pruned(graph)
    (taken,) = function.inputs
    module = tf.Module()
    module.program = tf.function(
        lambda images: function(images), input_signature=[tf.TensorSpec(taken.shape, taken.dtype, name="images")]
    )
    tf.saved_model.save(module, str(folder / PROGRAM_FOLDER), signatures={"serving_default": module.program})


def read_label_dict(path: Path) -> dict[int, int]:
    """Label file id to the graph's number of the class.

    Raises:
        BrainTampered: It cannot be read, or two labels have one number.
    """
    try:
        ids = {int(label_file_id): int(number) for label_file_id, number in json.loads(path.read_bytes()).items()}
        if len(set(ids.values())) < len(ids):
            raise ValueError("two labels have the same number")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BrainTampered(
            f"The labels {path} cannot be read ({error}).",
            cure='Write the brain\'s label_dict there: {"<label file id>": <number in the graph>, ...}.',
        ) from error
    return ids


def _pruned(path: Path) -> Any:
    """The function from images, decoded if possible, to the outputs."""
    definition = parse(tf.compat.v1.GraphDef(), path)
    refuse_forbidden(path, _operations(definition), COMPUTING | LEGACY, cure=_FORBIDDEN)
    try:
        wrapped = tf.compat.v1.wrap_function(lambda: tf.compat.v1.import_graph_def(definition, name=""), [])
        outputs = {name: wrapped.graph.as_graph_element(f"{name}:0") for name in OUTPUTS}
        return wrapped.prune(_entrance(wrapped.graph, list(outputs.values())), outputs)
    except (KeyError, ValueError, TypeError, tf.errors.OpError) as error:
        raise BrainTampered(
            f"The graph {path} is none of Diffgram's detectors ({str(error).splitlines()[0]}).",
            cure="Export it again with encoded_image_string_tensor or image_tensor and the four detection outputs.",
        ) from error


def _operations(definition: Any) -> list[str]:
    functions = definition.library.function
    return [node.op for nodes in (definition.node, *(f.node_def for f in functions)) for node in nodes]


def _entrance(graph: Any, outputs: Sequence[Any]) -> Any:
    """The tensor where images go in."""
    names = {operation.name for operation in graph.get_operations()}
    if _DECODED in names:
        return graph.as_graph_element(f"{_DECODED}:0")
    encoded = graph.as_graph_element(f"{_ENCODED}:0")
    if SQUARES in names:
        squares = graph.as_graph_element(f"{SQUARES}:0")
        if squares.dtype == tf.uint8 and _side(squares) and _replaces(squares, encoded, outputs):
            return squares
    for operation in graph.get_operations():
        if operation.type in _PILES:
            (pile,) = operation.outputs
            if pile.dtype == tf.uint8 and _of_any_size(pile) and _replaces(pile, encoded, outputs):
                pile.set_shape([None, None, None, 3])
                return pile
    return encoded


def _of_any_size(images: Any) -> bool:
    """Whether a tensor of images holds them as they are, and not stretched."""
    return images.shape.rank is None or (images.shape.rank == 4 and images.shape[1:3].as_list() == [None, None])


def _side(images: Any) -> int | None:
    """The side of the squares that a tensor holds, ``None`` if it holds something else."""
    if images.shape.rank != 4 or images.shape[1] != images.shape[2]:
        return None
    side: int | None = images.shape[1]
    return side


def _replaces(pile: Any, encoded: Any, outputs: Sequence[Any]) -> bool:
    """Whether the outputs need nothing of the encoded images but what is in the pile."""
    waiting, seen = [output.op for output in outputs], {pile.op}
    while waiting:
        operation = waiting.pop()
        if operation in seen:
            continue
        if operation == encoded.op:
            return False
        seen.add(operation)
        waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return True


def _runner(function: Any, module: Any = None) -> Found:
    """Feed a function what it takes, a batch of pixels or files one by one; with the module whose signature it is."""
    taken = _taken(function)
    alone = taken.dtype == tf.string or taken.shape[:1] == [1]

    def run(images: Any) -> dict[str, NDArray[Any]]:
        outputs = function(images) if module is None else function(images=images)
        return {name: outputs[name].numpy() for name in OUTPUTS}

    def found(images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        if not alone:
            return run(tf.constant(images))
        ready = [tf.io.encode_png(image)[None] if taken.dtype == tf.string else image[None] for image in images]
        parts = [run(tf.convert_to_tensor(image)) for image in ready]
        return {name: np.concatenate([part[name] for part in parts]) for name in OUTPUTS}

    return found


def _taken(function: Any) -> Any:
    """The tensor of images that a function takes, beside the variables that a signature carries."""
    (taken,) = (tensor for tensor in function.inputs if tensor.dtype in (tf.uint8, tf.string))
    return taken
