"""What distinguishes a reply from the recorded one by value: everything but moments, hosts and signatures counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_PATTERNS = (
    (re.compile(r"^17\d{8}\.\d+$"), "<clock>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d[:-]\d\d[:-]\d\d(\.\d+)?"), "<moment>"),
    (re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"), "<date>"),
    (re.compile(r"(-?\d+ days?, )?\d+:\d\d:\d\d(\.\d+)?"), "<duration>"),
    (re.compile(r"https?://[^/\s\"<]+"), "<host>"),
    (re.compile(r"host='[\w.]+'"), "<host>"),
    (re.compile(r"<host>(/storage)?/diffgram-static/"), "<storage>/"),
    (re.compile(r"\?(<presigned-query>|Expires=\d+&Signature=[0-9a-f]+)"), "?<signature>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<hash>"),
    (re.compile(r"(?<=_)[0-9a-z]{20}$"), "<random>"),
    (re.compile(r"Version: \S+"), "Version: <version>"),
)
_EXISTING = re.compile(r"(?<=Existing ID is:)\d+")
# Clocks of the server, its name for itself.
_FREE = {"time_last_attempted", "install_fingerprint"}
_PLACEHOLDER = re.compile(r"<(CLIENT_\w+|tmp-path|image)>")
_TRIMMED = "__trimmed__"
# Whose id, and the recorded one, to the one that is there.
Ids = dict[tuple[str, int], int]


def deviations(got: Any, wanted: Any, *, makes: bool = False) -> list[str]:
    """Every place where two documents differ, in words.

    Args:
        got: The reply.
        wanted: The recorded one; its placeholders stand for any text, its trimmed lists for so many items.
        makes: Whether the call made rows: their ids may be other ones, if the same ones are the same throughout.
    """
    return list(_differing(got, wanted, (), {} if makes else None))


def _differing(got: Any, wanted: Any, path: tuple[str, ...], ids: Ids | None) -> Iterator[str]:
    if isinstance(got, dict) and isinstance(wanted, dict):
        yield from _objects(got, wanted, path, ids)
    elif isinstance(got, list) and isinstance(wanted, list):
        yield from _lists(got, wanted, path, ids)
    elif type(got) is not type(wanted) or not _same(got, wanted, path, ids):
        yield f"{'.'.join(path)} is {got!r}, recorded as {wanted!r}"


def _objects(got: dict[str, Any], wanted: dict[str, Any], path: tuple[str, ...], ids: Ids | None) -> Iterator[str]:
    mine, theirs = _plain_keys(got), _plain_keys(wanted)
    for key in sorted(mine.keys() | theirs.keys()):
        if key not in theirs:
            yield f"{'.'.join((*path, key))} was not recorded"
        elif key not in mine:
            yield f"{'.'.join((*path, key))} is missing"
        else:
            yield from _differing(mine[key], theirs[key], (*path, key), ids)


def _plain_keys(document: dict[str, Any]) -> dict[str, Any]:
    plain_keys = [plain(str(key)) for key in document]  # of several clocks each is compared
    numbered = [key if plain_keys.count(key) == 1 else f"{key}#{at}" for at, key in enumerate(plain_keys)]
    return dict(zip(numbered, document.values(), strict=True))


def _lists(got: list[Any], wanted: list[Any], path: tuple[str, ...], ids: Ids | None) -> Iterator[str]:
    shown, hidden = wanted, 0
    if wanted and isinstance(wanted[-1], dict) and _TRIMMED in wanted[-1]:
        shown, hidden = wanted[:-1], int(re.findall(r"\d+", wanted[-1][_TRIMMED])[0])
    if len(got) != len(shown) + hidden:
        yield f"{'.'.join(path)} has {len(got)} items, recorded with {len(shown) + hidden}"
    for number, (mine, theirs) in enumerate(zip(got, shown, strict=False)):
        yield from _differing(mine, theirs, (*path, str(number)), ids)


def _same(got: Any, wanted: Any, path: tuple[str, ...], ids: Ids | None) -> bool:
    key = path[-1] if path else ""
    if key in _FREE:
        return True
    if isinstance(got, str):
        mine, theirs = plain(got), plain(wanted)
        if ids is not None:
            mine, theirs = _EXISTING.sub("<id>", mine), _EXISTING.sub("<id>", theirs)
        parts = [re.escape(part) for part in _PLACEHOLDER.split(theirs)[::2]]
        return re.fullmatch(".+".join(parts), mine, re.DOTALL) is not None
    if ids is not None and isinstance(got, int) and (key == "id" or key.endswith("_id")):
        owner = ".".join(path[:-1]) if key == "id" else key.removesuffix("_id")
        return ids.setdefault((owner, wanted), got) == got
    return bool(got == wanted)


def plain(text: str) -> str:
    """A text without moments, hosts, signatures and hashes."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
