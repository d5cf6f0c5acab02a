"""The ways of learning, by name. A new one is a file that satisfies :class:`Method`, and a line in the registry."""

from __future__ import annotations

from diffgram_flows.brains.methods.classification import Classification
from diffgram_flows.brains.methods.legacy_detection import LegacyDetection
from diffgram_flows.brains.methods.object_detection import ObjectDetection
from diffgram_flows.brains.methods.protocol import Method, Model, Trained
from diffgram_flows.brains.methods.retinanet import RetinaNet
from diffgram_flows.brains.methods.semantic_segmentation import SemanticSegmentation
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import BrainRef

METHODS: dict[str, Method] = {
    method.name: method
    for method in (ObjectDetection(), RetinaNet(), Classification(), SemanticSegmentation(), LegacyDetection())
}


def find_method(name: str) -> Method:
    """The method of that name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in METHODS:
        trainable = ", ".join(sorted(METHODS.keys() - {LegacyDetection.name}))
        raise ConfigurationError(f"There is no training method {name!r}.", cure=f"Choose one of {trainable}.")
    return METHODS[name]


def check_same_kind(method: str, champion: BrainRef, learned: str) -> None:
    """Refuse a brain that finds something else than the champion of its name.

    Args:
        method: By which it learns.
        champion: The version in use.
        learned: By which method that has learned.

    Raises:
        ConfigurationError: They cannot be compared.
    """
    mine, theirs = find_method(method), find_method(learned)
    if mine.finds != theirs.finds:
        raise ConfigurationError(
            f"{champion.name} finds {theirs.finds}: its champion {champion} learned {theirs.name}, and a brain that "
            f"learned {mine.name} finds {mine.finds}.",
            cure="Give the new brain another name.",
        )


__all__ = ["METHODS", "Method", "Model", "ObjectDetection", "Trained", "check_same_kind", "find_method"]
