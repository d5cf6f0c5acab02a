"""The layers: a small residual backbone, a top-down pyramid, and one head shared by all strides.

Purely functional and without layers of our own, so that a saved network reloads with Keras' ``safe_mode``.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from diffgram_flows.brains.options import OWN_BACKBONE, TrainingOptions
from diffgram_flows.brains.tensorflow.grid import STRIDES
from diffgram_flows.brains.tensorflow.pretrained import pretrained_backbone
from diffgram_flows.errors import ConfigurationError

CLASS_LAYER = "class_logits"
# The head starts out saying "nothing here" with a probability of 99 %.
_NOTHING_LOGIT = -4.6


def build_network(class_count: int, options: TrainingOptions) -> Any:
    """A new network with random weights.

    Returns:
        A ``keras.Model`` from images ``[B, S, S, 3]``, RGB in [0, 255], to a dictionary of ``classes``
        ``[B, N, class_count]`` (logits) and ``distances`` ``[B, N, 4]`` (left, top, right, bottom, each 0 or more,
        in strides), where N counts the points of the grid.
    """
    image = layers.Input((options.image_size, options.image_size, 3), name="image")
    levels = pyramid(backbone(image, options), options.head)
    classes, distances = _heads(levels, class_count, options.head)
    return keras.Model(image, {"classes": classes, "distances": distances}, name="detector")


def backbone(image: Any, options: TrainingOptions) -> dict[int, Any]:
    """Features by stride, of images ``[B, S, S, 3]``, RGB in [0, 255].

    Raises:
        ConfigurationError: The weights of a pretrained backbone are not there, or there are none of this backbone.
    """
    if options.backbone != OWN_BACKBONE:
        return pretrained_backbone(image, options)
    if options.backbone_weights:
        raise ConfigurationError(
            f"The backbone {OWN_BACKBONE} learns from scratch and cannot use the weights {options.backbone_weights}.",
            cure="Name the network of keras.applications that they are of as backbone, such as MobileNetV2.",
        )
    width = options.width
    x = layers.Rescaling(1 / 127.5, -1, name="rescale")(image)
    # One wide step instead of two small ones: the full resolution is where a CPU loses its time.
    x = convolution(x, width * 2, 6, "stem", stride=4)
    features = {}
    for stride, channels in zip(STRIDES, (width * 3, width * 4, width * 6), strict=True):
        x = features[stride] = _residual(x, channels, f"stage_{stride}")
    return features


def pyramid(features: dict[int, Any], channels: int) -> list[Any]:
    """Features of equal depth, finest first, each told by the coarser ones what is around."""
    levels: list[Any] = []
    for stride in reversed(STRIDES):
        lateral = convolution(features[stride], channels, 1, f"lateral_{stride}")
        if levels:
            coarser = layers.UpSampling2D(name=f"upsample_{stride}")(levels[-1])
            lateral = layers.Add(name=f"merge_{stride}")([lateral, coarser])
        levels.append(lateral)
    return levels[::-1]


def _heads(levels: list[Any], class_count: int, channels: int) -> tuple[Any, Any]:
    """The two outputs; the convolutions are shared by the levels, the normalisations are not."""
    trunk = [
        layers.SeparableConv2D(channels, 3, padding="same", use_bias=False, name=f"head_{depth}") for depth in (1, 2)
    ]
    classify = layers.Conv2D(
        class_count,
        3,
        padding="same",
        bias_initializer=keras.initializers.Constant(_NOTHING_LOGIT),
        name=CLASS_LAYER,
    )
    measure = layers.Conv2D(
        4,
        3,
        padding="same",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        bias_initializer=keras.initializers.Constant(2.0),
        name="side_distances",
    )
    classes, distances = [], []
    for stride, x in zip(STRIDES, levels, strict=True):
        for depth, layer in enumerate(trunk, start=1):
            x = layers.BatchNormalization(momentum=0.9, name=f"head_{depth}_norm_{stride}")(layer(x))
            x = layers.Activation("relu", name=f"head_{depth}_relu_{stride}")(x)
        classes.append(layers.Reshape((-1, class_count), name=f"classes_{stride}")(classify(x)))
        distances.append(layers.Reshape((-1, 4), name=f"distances_{stride}")(measure(x)))
    joined = layers.Concatenate(axis=1, name="distances_raw")(distances)
    return layers.Concatenate(axis=1, name="classes")(classes), layers.Activation("softplus", name="distances")(joined)


def convolution(x: Any, channels: int, kernel: int, name: str, *, stride: int = 1, relu: bool = True) -> Any:
    """A convolution, normalised, with names that a warm start finds again."""
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if relu else x


def _residual(x: Any, channels: int, name: str) -> Any:
    """A residual block that halves the resolution."""
    y = convolution(x, channels, 3, f"{name}_1", stride=2)
    y = convolution(y, channels, 3, f"{name}_2", relu=False)
    shortcut = convolution(x, channels, 1, f"{name}_shortcut", stride=2, relu=False)
    return layers.Activation("relu", name=f"{name}_relu")(layers.Add(name=f"{name}_add")([y, shortcut]))
