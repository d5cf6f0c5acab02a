"""Annotation formats of other tools: a format is one module of two pure functions, and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from diffgram_flows.datasets.formats import coco
from diffgram_flows.datasets.formats.base import ForeignAnnotations, ForeignImage
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import LabelMap, Sample

__all__ = ["FORMATS", "ForeignAnnotations", "ForeignImage", "Format", "find_format"]


@dataclass(frozen=True, slots=True)
class Format:
    """A pair of pure functions.

    Attributes:
        write: Samples and their label map to a JSON object.
        read: A JSON object to images with boxes.
    """

    write: Callable[[Iterable[Sample], LabelMap], dict[str, Any]]
    read: Callable[[Mapping[str, Any]], ForeignAnnotations]


FORMATS: dict[str, Format] = {
    "coco": Format(coco.to_coco, coco.from_coco),
}


def find_format(name: str) -> Format:
    """The format of this name.

    Raises:
        ConfigurationError: There is none.
    """
    if name not in FORMATS:
        raise ConfigurationError(
            f"There is no annotation format {name!r}.", cure=f"Choose one of: {', '.join(sorted(FORMATS))}."
        )
    return FORMATS[name]
