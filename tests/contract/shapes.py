"""What two JSON documents have in common when ids, times and texts do not count: field names and types."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]
#: Places to the JSON types that were seen there.
Shape = dict[Path, set[str]]

_TRIMMED = "__trimmed__"
# Keys that are data: ids, and moments in the spellings of the recordings.
_ID = re.compile(r"-?\d+")
_MOMENT = re.compile(r"\d+\.\d+|\d{4}-\d\d-\d\d[T ].*")
# Objects whose keys are names that people chose.
_NAMED = {"name_to_file_id", "permissions_projects", "label_map"}


def shape_of(document: object) -> Shape:
    """Every place in a document with the types found there; all items of a list share one place."""
    shape: Shape = {}
    for path, value in _walk(document, ()):
        shape.setdefault(path, set()).add(_kind(value))
    return shape


def merged(shapes: list[Shape]) -> Shape:
    """All that was seen in any of them."""
    union: Shape = {}
    for shape in shapes:
        for path, kinds in shape.items():
            union.setdefault(path, set()).update(kinds)
    return union


def differences(got: Shape, wanted: Shape, seen: Shape) -> list[str]:
    """What distinguishes a reply from the recorded one, in words.

    Args:
        got: The reply's shape.
        wanted: The recorded reply's shape: every place in it must be there, with a type that was recorded.
        seen: Everything that was recorded for this operation and status: no other place and no other type may be there.
    """
    missing = [f"{_shown(path)} is missing" for path in wanted if path not in got]
    unknown = [f"{_shown(path)} was never recorded" for path in got if path not in seen]
    wrong = [
        f"{_shown(path)} is {'/'.join(sorted(kinds))}, recorded as {'/'.join(sorted(seen[path]))}"
        for path, kinds in got.items()
        if path in seen and not kinds <= seen[path]
    ]
    return missing + unknown + wrong


def _walk(value: object, path: Path) -> Iterator[tuple[Path, object]]:
    yield path, value
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key != _TRIMMED:
                yield from _walk(item, (*path, _key(str(key), path)))
    elif isinstance(value, list):
        for item in value:
            if not (isinstance(item, dict) and _TRIMMED in item):
                yield from _walk(item, (*path, "[]"))


def _key(key: str, path: Path) -> str:
    if path and path[-1] in _NAMED:
        return "<name>"
    if _ID.fullmatch(key):
        return "<id>"
    return "<moment>" if _MOMENT.fullmatch(key) else key


def _kind(value: object) -> str:
    kinds = {type(None): "null", bool: "bool", int: "int", float: "float", str: "text", list: "list", dict: "object"}
    return kinds[type(value)]


def _shown(path: Path) -> str:
    return ".".join(path) or "the reply"


_NOISE = (
    (re.compile(r"Traceback.*", re.DOTALL), "<trace>"),
    (re.compile(r"\d+\.\d+"), "<float>"),
    (re.compile(r"https?://\S+"), "<url>"),
)


def texts_of(document: Any) -> Any:
    """A document with what differs from run to run replaced, so that errors can be compared by their words."""
    if isinstance(document, dict):
        return {_key(str(key), ()): texts_of(item) for key, item in document.items()}
    if isinstance(document, list):
        return [texts_of(item) for item in document]
    if isinstance(document, str):
        for pattern, replacement in _NOISE:
            document = pattern.sub(replacement, document)
    return document
