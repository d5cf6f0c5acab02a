"""What is really in the images: ground truth that the annotator draws from."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from diffgram_flows.errors import ConfigurationError

# The importer calls "cat.jpg" in Diffgram "cat-0123456789.jpg": unique, and reversible.
IMPORT_SUFFIX = re.compile(r"-[0-9a-f]{10}(?=(\.[^.]*)?$)")


@dataclass(frozen=True, slots=True)
class TrueBox:
    """One object, in pixels; ``x_min < x_max`` and ``y_min < y_max``."""

    label: str
    x_min: int
    y_min: int
    x_max: int
    y_max: int


@dataclass(frozen=True, slots=True)
class TrueShape:
    """Something else that is true of an image.

    Attributes:
        kind: ``polygon``, ``line``, ``point``, or ``tag``, which is about the whole image.
        points: (x, y) in pixels; none for a tag.
        attributes: Attribute group id to what is to be chosen or written there, as Diffgram takes it.
    """

    label: str
    kind: str
    points: tuple[tuple[int, int], ...] = ()
    attributes: tuple[tuple[int, Any], ...] = ()


TrueThing: TypeAlias = TrueBox | TrueShape
Truth = Callable[[str], Sequence[TrueThing] | None]
"""The objects in the image of this file name, ``None`` for an image that the truth does not know."""


def plain_name(name: str) -> str:
    """The base name of a file without the suffix of ten hexadecimal digits that the importer adds."""
    return IMPORT_SUFFIX.sub("", PurePosixPath(name).name)


class CocoTruth:
    """Ground truth in COCO's JSON: images, annotations with ``bbox`` as x, y, width, height, and categories.

    A lookup, ``truth("cat-0123456789.jpg")``, is by base name without the importer's suffix.

    Attributes:
        dropped: How many boxes lay outside their image or were empty.
        clipped: How many reached out of their image and were cut.
    """

    def __init__(self, document: dict[str, Any], source: str = "the ground truth") -> None:
        self.dropped = self.clipped = 0
        self._labels: list[str] = []
        self._boxes: dict[str, list[TrueBox]] = {}
        try:
            self._read(document)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            what = f"the key {error}" if isinstance(error, KeyError) else str(error)
            raise ConfigurationError(
                f"{source} is not COCO ground truth: {what} is missing or wrong.",
                cure="It needs images (id, file_name, width, height), annotations (image_id, category_id, bbox) "
                "and categories (id, name).",
            ) from error

    @classmethod
    def load(cls, path: Path) -> CocoTruth:
        """Read a file.

        Raises:
            ConfigurationError: It is missing, no JSON, or not of COCO's form.
        """
        try:
            document = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"The ground truth {path} cannot be read: {error}.", cure="Give the path of a COCO JSON file."
            ) from error
        return cls(document, str(path))

    def __call__(self, name: str) -> list[TrueBox] | None:
        return self._boxes.get(plain_name(name))

    def __len__(self) -> int:
        return len(self._boxes)

    @property
    def labels(self) -> list[str]:
        """The names of the categories."""
        return self._labels

    def _read(self, document: dict[str, Any]) -> None:
        names = {each["id"]: str(each["name"]) for each in document["categories"]}
        self._labels = list(dict.fromkeys(names.values()))
        images = {each["id"]: each for each in document["images"]}
        by_image: dict[Any, list[TrueBox]] = {image_id: [] for image_id in images}
        for each in document["annotations"]:
            image = images[each["image_id"]]
            box = _clipped(names[each["category_id"]], each["bbox"], int(image["width"]), int(image["height"]))
            if box is None:
                self.dropped += 1
            else:
                by_image[each["image_id"]].append(box)
                self.clipped += _reaches_out(each["bbox"], int(image["width"]), int(image["height"]))
        self._boxes = {plain_name(str(images[image_id]["file_name"])): boxes for image_id, boxes in by_image.items()}


def _clipped(label: str, bbox: list[float], width: int, height: int) -> TrueBox | None:
    x, y, w, h = (float(value) for value in bbox)
    if not all(math.isfinite(value) for value in (x, y, w, h)) or w <= 0 or h <= 0:
        return None
    x_min, y_min = max(0, round(x)), max(0, round(y))
    x_max, y_max = min(width, round(x + w)), min(height, round(y + h))
    return TrueBox(label, x_min, y_min, x_max, y_max) if x_min < x_max and y_min < y_max else None


def _reaches_out(bbox: list[float], width: int, height: int) -> bool:
    x, y, w, h = (float(value) for value in bbox)
    return min(round(x), round(y)) < 0 or round(x + w) > width or round(y + h) > height
