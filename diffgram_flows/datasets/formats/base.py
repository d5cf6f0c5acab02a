"""What a format's reader gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from diffgram_flows.models import Box


@dataclass(frozen=True, slots=True)
class ForeignImage:
    """One image as another tool describes it.

    Attributes:
        id: The other tool's id.
        width, height: Pixels.
        boxes: In pixels inside the image; their label ids are the other tool's.
    """

    id: int
    file_name: str
    width: int
    height: int
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class ForeignAnnotations:
    """All that a file of another tool holds.

    Attributes:
        images: In order of id.
        labels: Label id to name.
        clipped: How many boxes were cut at the edge of their image.
        dropped: How many boxes had nothing inside their image.
    """

    images: tuple[ForeignImage, ...]
    labels: Mapping[int, str]
    clipped: int = 0
    dropped: int = 0
