"""A brain as the earlier SDK of Diffgram wants it: one frozen graph that takes encoded images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.loading import scan_program
from diffgram_flows.brains.tensorflow.pixels import decode_upright
from diffgram_flows.brains.tensorflow.saving import PROGRAM_FOLDER

# Whoever converts such a graph gives it squares here, decoded as our own brains decode them.
SQUARES = "decoded_squares"
_UPRIGHT = 1  # what EXIF says is not known inside a graph, as in the earlier SDK
# What is added to each: the object detection of TensorFlow numbers classes from 1.
_OUTPUTS = {"detection_boxes": 0, "detection_classes": 1, "detection_scores": 0, "num_detections": 0}


def freeze(record: BrainRecord, path: Path) -> None:
    """Write a detector as a ``GraphDef`` with the names of TensorFlow's object detection.

    It takes ``encoded_image_string_tensor`` ``[B]``; classes are numbered from 1, in order of the label map.

    Args:
        record: A brain of boxes whose files were verified.
        path: The file.

    Raises:
        BrainTampered: Its graph holds a forbidden operation.
    """
    folder = record.folder / PROGRAM_FOLDER
    scan_program(folder / "saved_model.pb")
    module = tf.saved_model.load(str(folder))
    network = module.signatures["serving_default"]
    size = record.manifest.options.image_size

    def decode(content: Any) -> Any:
        return decode_upright(content, tf.constant(_UPRIGHT), size)

    def program(encoded: Any) -> list[Any]:
        images = tf.ensure_shape(tf.map_fn(decode, encoded, fn_output_signature=tf.uint8), [None, size, size, 3])
        found = network(images=tf.identity(images, name=SQUARES))
        return [tf.identity(tf.cast(found[name], tf.float32) + first, name=name) for name, first in _OUTPUTS.items()]

    signature = tf.TensorSpec([None], tf.string, name="encoded_image_string_tensor")
    function = tf.function(program, input_signature=[signature], jit_compile=False).get_concrete_function()
    graph = convert_variables_to_constants_v2(function).graph.as_graph_def()
    part = path.with_name(path.name + ".part")
    part.write_bytes(graph.SerializeToString())
    part.replace(path)
