"""RetinaNet of keras-hub: larger and slower than our own detector, for presets with pretrained weights.

Layers, anchors and the matching of anchors with objects are keras-hub's. The way from the outputs to boxes, which its
export leaves out, is part of the saved program here: predicting needs TensorFlow only.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_hub
from keras import layers

from diffgram_flows.brains.options import OWN_BACKBONE, TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.anchors import PER_CELL, Anchors, RetinaNetObjective, detect, make_generator
from diffgram_flows.brains.tensorflow.detector import boxes_lesson
from diffgram_flows.brains.tensorflow.lesson import Lesson
from diffgram_flows.brains.tensorflow.presets import load_pyramid, scaling_of
from diffgram_flows.brains.tensorflow.warm_start import ClassLayer
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Snapshot

SMALL: dict[str, Any] = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 64, 96, 128],
    "stackwise_num_blocks": [1, 1, 1, 1],
    "stackwise_num_strides": [1, 2, 2, 2],
    "block_type": "basic_block",
}
# Levels of the pyramid, in powers of 2: cells of 8 to 32 pixels, in images of 384 pixels and more to 128.
_FINEST, _COARSEST, _COARSEST_OF_LARGE, _LARGE = 3, 5, 7, 384
# Convolutions before each output: of a small network, and of one that begins from a preset.
_SHALLOW, _DEEP = 1, 4
# As in the paper (Lin et al. 2017, section 4.1): heads begin close to zero, and say "nothing here" with 99 %.
# keras-hub 0.32 draws from a distribution five times wider, and gives the bias to the boxes instead of the classes.
_DEVIATION, _NOTHING_LOGIT = 0.01, -4.6


def lesson(snapshot: Snapshot, options: TrainingOptions, parent: BrainRecord | None) -> Lesson:
    """How a RetinaNet of the snapshot's labels is trained.

    Raises:
        ConfigurationError: The preset cannot be loaded, or is of a network without a pyramid.
    """
    if options.backbone != OWN_BACKBONE:
        raise ConfigurationError(
            f"RetinaNet does not use the backbone {options.backbone} of keras.applications.",
            cure="Leave backbone out, and give the name or the folder of a preset of keras-hub as backbone_weights.",
        )
    levels = _pyramid(options, load_weights=False)
    anchors = Anchors(levels.min_level, levels.max_level, options.image_size)
    return boxes_lesson(
        snapshot.label_map,
        options.image_size,
        layers=lambda: build_retinanet(len(snapshot.label_map.labels), options),
        objective=RetinaNetObjective(anchors),
        answer=lambda outputs: detect(anchors, outputs),
        class_layer=ClassLayer("classification_head/logits_layer", copies=PER_CELL),
    )


def build_retinanet(class_count: int, options: TrainingOptions) -> Any:
    """A new network: its heads with random weights, and its backbone too where there is no preset.

    Returns:
        A ``keras.Model`` from images ``[B, S, S, 3]``, RGB in [0, 255], to a dictionary of ``cls_logits``
        ``[B, N, class_count]`` and ``bbox_regression`` ``[B, N, 4]``, both by anchor: see :class:`Anchors`.
    """
    pyramid = _pyramid(options)
    network = keras_hub.models.RetinaNetObjectDetector(
        backbone=pyramid,
        num_classes=class_count,
        bounding_box_format="xyxy",
        anchor_generator=make_generator(pyramid.min_level, pyramid.max_level),
        pre_logits_num_conv_layers=_DEEP if options.backbone_weights else _SHALLOW,
        name="retinanet",
    )
    _begin_near_zero(network.box_head, 0.0)
    _begin_near_zero(network.classification_head, _NOTHING_LOGIT)
    image = layers.Input((options.image_size, options.image_size, 3), name="image")
    scale, offset = scaling_of(options.backbone_weights)
    return keras.Model(image, network(layers.Rescaling(scale, offset, name="rescale")(image)), name="detector")


def _pyramid(options: TrainingOptions, *, load_weights: bool = True) -> Any:
    """A backbone with a pyramid of features: that of the preset, or a small one with random weights."""
    coarsest = _COARSEST_OF_LARGE if options.image_size >= _LARGE else _COARSEST
    if options.backbone_weights:
        return load_pyramid(options.backbone_weights, coarsest, load_weights=load_weights)
    encoder = keras_hub.models.ResNetBackbone(**SMALL, name="encoder")
    return keras_hub.models.RetinaNetBackbone(encoder, _FINEST, coarsest, use_p5=False, name="pyramid")


def _begin_near_zero(head: Any, bias: float) -> None:
    for layer in (*head.conv_layers, head.prediction_layer):
        layer.kernel.assign(keras.random.normal(layer.kernel.shape, stddev=_DEVIATION))
    head.prediction_layer.bias.assign(keras.ops.full(head.prediction_layer.bias.shape, bias))
