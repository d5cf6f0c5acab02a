"""JSON of annotation files: written fast, and read with errors that name the place."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from diffgram_flows.datasets.formats.base import read_bytes
from diffgram_flows.errors import DatasetError


def json_bytes(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    try:
        return orjson.dumps(value)
    except TypeError:  # half a surrogate pair, which JSON can only hold escaped, or a huge number
        return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class JsonReader:
    """Takes values out of JSON of a known form.

    Attributes:
        what: What it should be: ``COCO object detection``.
    """

    what: str

    def load(self, path: Path) -> Any:
        """The JSON of a file.

        Raises:
            DatasetError: It cannot be read, or is no JSON; the message names the line.
        """
        return self.parse(read_bytes(path), str(path))

    def parse(self, content: bytes, place: str) -> Any:
        """The JSON of these bytes. Raises as :meth:`load`."""
        try:
            return orjson.loads(content.removeprefix(BOM_UTF8))
        except orjson.JSONDecodeError as error:
            raise DatasetError(
                f"{place} is no JSON: {error.msg} (line {error.lineno}, column {error.colno}).",
                cure="Correct the file, or export it from its tool again.",
            ) from error

    def objects(self, parent: Any, key: str, place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The entries of a list, each with the words that name it in an error.

        Raises:
            DatasetError: It is no list of objects.
        """
        entries = parent.get(key) if isinstance(parent, Mapping) else None
        where = f"{place}.{key}" if place else key
        if not isinstance(entries, list):
            raise self.malformed(where, "is missing or not a list")
        for index, entry in enumerate(entries):
            if not isinstance(entry, Mapping):
                raise self.malformed(f"{where}[{index}]", "is not an object")
            yield f"{where}[{index}]", entry

    def integer(self, entry: Mapping[str, Any], key: str, place: str) -> int:
        """A whole number; some tools write 640.0. Raises :class:`DatasetError` if it is none."""
        value = entry.get(key)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.malformed(f"{place}.{key}", "is missing or not a whole number")
        return value

    def text(self, entry: Mapping[str, Any], key: str, place: str) -> str:
        """A text. Raises :class:`DatasetError` if it is none."""
        value = entry.get(key)
        if not isinstance(value, str):
            raise self.malformed(f"{place}.{key}", "is missing or not a text")
        return value

    def size(self, entry: Mapping[str, Any], place: str) -> tuple[int, int]:
        """Width and height of an image in pixels. Raises :class:`DatasetError` if there is nothing of it."""
        width, height = self.integer(entry, "width", place), self.integer(entry, "height", place)
        if width <= 0 or height <= 0:
            raise self.malformed(place, f"has a size of {width} x {height} pixels")
        return width, height

    def attributes(self, entry: Mapping[str, Any], place: str) -> tuple[tuple[int, str], ...]:
        """Attributes by the id of their group; those of other tools, which have names, are overlooked.

        Raises:
            DatasetError: They are no object.
        """
        found = entry.get("attributes") or {}
        if not isinstance(found, Mapping):
            raise self.malformed(f"{place}.attributes", "is not an object")
        return tuple(
            sorted((int(g), v) for g, v in found.items() if g.isascii() and g.isdecimal() and isinstance(v, str))
        )

    def malformed(self, key: str, what: str) -> DatasetError:
        """The error for something that is not as it should be."""
        return DatasetError(
            f"This is not {self.what}: {key!r} {what}.", cure="Correct the file, or export it from its tool again."
        )
