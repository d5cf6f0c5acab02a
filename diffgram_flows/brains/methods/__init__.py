"""The ways of learning, by name. A new one is a file that satisfies :class:`Method`, and a line in the registry."""

from __future__ import annotations

from diffgram_flows.brains.methods.classification import Classification
from diffgram_flows.brains.methods.legacy_detection import LegacyDetection
from diffgram_flows.brains.methods.object_detection import ObjectDetection
from diffgram_flows.brains.methods.protocol import Method, Model, Trained
from diffgram_flows.brains.methods.semantic_segmentation import SemanticSegmentation
from diffgram_flows.errors import ConfigurationError

METHODS: dict[str, Method] = {
    method.name: method for method in (ObjectDetection(), Classification(), SemanticSegmentation(), LegacyDetection())
}


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in METHODS:
        raise ConfigurationError(
            f"There is no training method {name!r}.", cure=f"Choose one of {', '.join(sorted(METHODS))}."
        )
    return METHODS[name]


__all__ = ["METHODS", "Method", "Model", "ObjectDetection", "Trained", "find_method"]
