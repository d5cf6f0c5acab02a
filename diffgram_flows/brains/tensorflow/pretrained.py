"""Backbones of ``keras.applications``, with weights from a file or from the internet."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import keras
from keras import layers

from diffgram_flows.brains.options import IMAGENET, TrainingOptions
from diffgram_flows.brains.tensorflow.grid import STRIDES
from diffgram_flows.errors import ConfigurationError

# These want values from -1 to 1; the others scale for themselves.
_WANT_SCALED = ("MobileNetV2", "ResNet50V2")


def pretrained_backbone(image: Any, options: TrainingOptions) -> dict[int, Any]:
    """Features by stride, of images ``[B, S, S, 3]``, RGB in [0, 255].

    Raises:
        ConfigurationError: The weights are not there, cannot be fetched, or are of another network.
    """
    scaled = options.backbone in _WANT_SCALED
    source = layers.Rescaling(1 / 127.5, -1, name="rescale")(image) if scaled else image
    network = _network(source, options)
    for layer in network.layers:
        mark_pretrained(layer)
    side = options.image_size
    features = {}
    for layer in network.layers:
        shape = getattr(layer.output, "shape", ())
        for stride in STRIDES:
            if len(shape) == 4 and tuple(shape[1:3]) == (side // stride, side // stride):
                features[stride] = layer.output
    return features


def mark_pretrained(layer: Any) -> None:
    """Note that a layer came with a pretrained network."""
    layer.from_elsewhere = True


def backbone_layers(network: Any) -> list[Any]:
    """The layers of a network, and of networks in it, that came with a pretrained backbone."""
    found: list[Any] = []
    for layer in network.layers:
        if getattr(layer, "from_elsewhere", False):
            found.append(layer)
        elif isinstance(layer, keras.Model):
            found += backbone_layers(layer)
    return found


def _network(source: Any, options: TrainingOptions) -> Any:
    make = getattr(keras.applications, options.backbone)
    weights = options.backbone_weights
    if weights == IMAGENET:
        try:
            return make(include_top=False, weights=IMAGENET, input_tensor=source)
        except Exception as error:  # Keras raises a bare one if it cannot fetch the file
            raise ConfigurationError(
                f"The weights of {options.backbone} cannot be fetched ({str(error).splitlines()[0]}).",
                cure="Fetch the file where there is internet, and give its path as backbone_weights.",
            ) from error
    network = make(include_top=False, weights=None, input_tensor=source)
    if weights:
        _load(network, Path(weights), options.backbone)
    return network


def _load(network: Any, path: Path, name: str) -> None:
    if not path.is_file():
        raise ConfigurationError(
            f"There is no file {path} with weights of {name}.", cure="Give the path of a .h5 or .weights.h5 file."
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # what does not fit is an error, and says so
            network.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ConfigurationError(
            f"The file {path} does not hold weights of {name} without its top ({str(error).splitlines()[0][:200]}).",
            cure="Give a file for this very network: keras.applications calls it 'notop'.",
        ) from error
