"""The ways of learning, by name. A new one is a file that satisfies :class:`Method`, and a line in the registry."""

from __future__ import annotations

from diffgram_flows.brains.methods.classification import Classification
from diffgram_flows.brains.methods.legacy_detection import LegacyDetection
from diffgram_flows.brains.methods.object_detection import ObjectDetection
from diffgram_flows.brains.methods.protocol import Method, Model, Trained
from diffgram_flows.brains.methods.retinanet import RetinaNet
from diffgram_flows.brains.methods.semantic_segmentation import SemanticSegmentation
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.errors import ConfigurationError

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


def check_same_kind(name: str, method: str, champion: BrainRecord | None) -> None:
    """Refuse a brain that finds something else than the champion of its name.

    Raises:
        ConfigurationError: They cannot be compared.
    """
    if champion is None:
        return
    mine, theirs = find_method(method), find_method(champion.manifest.method)
    if mine.finds != theirs.finds:
        raise ConfigurationError(
            f"{name} finds {theirs.finds}: its champion {champion.ref} learned {theirs.name}, and a brain that learned "
            f"{mine.name} finds {mine.finds}.",
            cure="Give the new brain another name.",
        )


__all__ = ["METHODS", "Method", "Model", "ObjectDetection", "Trained", "check_same_kind", "find_method"]
