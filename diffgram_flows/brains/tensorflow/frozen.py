"""A brain as the earlier SDK of Diffgram wants it: one frozen graph that takes encoded images."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.loading import scan_program
from diffgram_flows.brains.tensorflow.pixels import decode_upright
from diffgram_flows.brains.tensorflow.saving import PROGRAM_FOLDER

_UPRIGHT = 1  # what EXIF says is not known inside a graph, as in the earlier SDK
_OUTPUTS = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")  # in order of the alphabet


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
    constant = convert_variables_to_constants_v2(module.signatures["serving_default"])
    network = constant.graph.as_graph_def()
    size = record.manifest.options.image_size
    with tf.Graph().as_default() as graph:
        encoded = tf.compat.v1.placeholder(tf.string, [None], name="encoded_image_string_tensor")
        images = tf.map_fn(
            lambda content: decode_upright(content, tf.constant(_UPRIGHT), size), encoded, fn_output_signature=tf.uint8
        )
        found = tf.import_graph_def(
            network,
            input_map={constant.inputs[0].name: tf.ensure_shape(images, [None, size, size, 3])},
            return_elements=[output.name for output in constant.outputs],
            name="network",
        )
        for name, values in zip(_OUTPUTS, found, strict=True):
            first = 1 if name == "detection_classes" else 0
            tf.identity(tf.cast(values, tf.float32) + first, name=name)
        part = path.with_name(path.name + ".part")
        part.write_bytes(graph.as_graph_def().SerializeToString())
    part.replace(path)
