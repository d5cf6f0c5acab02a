"""Presets of keras-hub: networks with weights, from a folder or from the internet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_hub

from diffgram_flows.brains.options import IMAGENET
from diffgram_flows.brains.tensorflow.pretrained import mark_pretrained
from diffgram_flows.brains.tensorflow.quiet import without_numpy_copy_warning
from diffgram_flows.errors import ConfigurationError

_IMAGENET_PRESET = "resnet_50_imagenet"
_TO_ONE = (1 / 127.5, -1.0)
_FINEST = 3
_CONVERTER = "image_converter.json"


def load_pyramid(preset: str, coarsest: int, *, load_weights: bool = True) -> Any:
    """A ``RetinaNetBackbone``: the preset's own, or a new pyramid on top of the preset's network.

    Args:
        preset: A folder, or a name that keras-hub knows; ``imagenet`` is a ResNet-50.
        coarsest: Last level of a new pyramid.
        load_weights: Whether the weights are needed, or the layers only.

    Raises:
        ConfigurationError: It cannot be loaded or fetched, or its network has no levels to make a pyramid of.
    """
    network = _load(keras_hub.models.Backbone.from_preset, preset, load_weights=load_weights)
    for layer in network.layers:
        mark_pretrained(layer)
    if isinstance(network, keras_hub.models.RetinaNetBackbone):
        return network
    if f"P{_FINEST}" not in getattr(network, "pyramid_outputs", {}):
        raise ConfigurationError(
            f"The preset {preset} is a {type(network).__name__}, which has no levels to make a pyramid of.",
            cure="Choose a preset of a RetinaNet, a ResNet or another network of images.",
        )
    return keras_hub.models.RetinaNetBackbone(network, _FINEST, coarsest, use_p5=False, name="pyramid")


def scaling_of(preset: str) -> tuple[Any, Any]:
    """The factor and the summand, one for all or one a channel, that turn values from 0 to 255 into what it wants.

    From -1 to 1 where there is no preset, or a folder that says nothing of it.

    Raises:
        ConfigurationError: The preset cannot be loaded.
    """
    folder = Path(preset)
    if not preset or (folder.is_dir() and not (folder / _CONVERTER).exists()):
        return _TO_ONE
    converter = _load(keras_hub.layers.ImageConverter.from_preset, preset)
    return (1.0 if converter.scale is None else converter.scale), (converter.offset or 0.0)


def _load(load: Callable[..., Any], preset: str, **how: Any) -> Any:
    name = _IMAGENET_PRESET if preset == IMAGENET else preset
    try:
        with without_numpy_copy_warning():
            return load(name, **how)
    except Exception as error:  # of keras-hub, of Kaggle's and of Hugging Face's client
        raise ConfigurationError(
            f"The preset {name} of keras-hub cannot be loaded ({_reason(error)}).",
            cure="Give a folder that save_to_preset has written, or a name that keras-hub can fetch from the internet.",
        ) from error


def _reason(error: Exception) -> str:
    """The error's first line; of one that announces a list, the sentences before, or else the list's first line too."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    first = lines[0]
    if first.endswith(":"):
        first = first.rpartition(". ")[0] or " ".join(lines[:2]).rstrip(":")
    return first[:200].rstrip(". ")
