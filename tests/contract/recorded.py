"""The recorded exchanges with a real server, which are what the client and the sandbox are held to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recordings"


@dataclass(frozen=True)
class Exchange:
    """One recorded call.

    Attributes:
        id: Group and name: ``03/plain_url``.
        group: The two digits of its file.
        request: ``method``, ``path``, ``auth`` and what was sent: ``json``, ``form``, ``files``, ``multipart``,
            ``params``, ``headers`` or ``body``. Empty for a recording that is no single call.
        response: ``status`` (0: the reply was not HTTP), ``json`` or ``text``, ``headers``.
        later: What the import row said minutes later, where it was looked at.
        extra: Everything else in the recording, such as a timeline.
        elapsed: Seconds until the reply.
    """

    id: str
    group: str
    request: dict[str, Any]
    response: dict[str, Any]
    later: dict[str, Any] | None
    extra: dict[str, Any]
    elapsed: float = 0.0

    @property
    def name(self) -> str:
        return self.id.partition("/")[2]

    @property
    def method(self) -> str:
        return str(self.request.get("method", ""))

    @property
    def path(self) -> str:
        return str(self.request.get("path", ""))

    @property
    def status(self) -> int:
        return int(self.response.get("status", 0))


@cache
def exchanges() -> tuple[Exchange, ...]:
    """All of them, in the order of recording."""
    return tuple(_read())


@cache
def calls() -> tuple[Exchange, ...]:
    """Every recorded request in the order of recording, also those that the SDK sent (``14/job.new#1``)."""
    return tuple(call for each in exchanges() for call in (each, *_inner(each)) if call.method)


def exchange(wanted: str) -> Exchange:
    """The one with this id."""
    return next(each for each in (*exchanges(), *calls()) if each.id == wanted)


def _inner(outer: Exchange) -> Iterator[Exchange]:
    for number, raw in enumerate(outer.extra.get("exchanges", ()), 1):
        yield Exchange(f"{outer.id}#{number}", outer.group, _sent(raw["request"]), raw["response"], None, {}, 0.5)


def _sent(request: dict[str, Any]) -> dict[str, Any]:
    """A request of the SDK in the spelling of the others."""
    kept = {key: value for key, value in request.items() if key != "json"}
    sent = request.get("json")
    if isinstance(sent, str):  # "<multipart/binary ...>": the parts as they were recorded in 05/from_local
        return {**kept, "auth": "basic", "multipart": {"file": "sdk_local.jpg", "json": {"directory_id": 2}}}
    return {**kept, "auth": "basic"} | ({} if sent is None else {"json": sent})


def _read() -> Iterator[Exchange]:
    for path in sorted(FOLDER.glob("[0-9][0-9]_*.json")):
        for raw in json.loads(path.read_text()):
            group, known = path.name[:2], ("name", "note", "request", "response", "later_outcome", "elapsed_s")
            extra = {key: value for key, value in raw.items() if key not in known}
            request, response = raw.get("request") or {}, raw.get("response") or {}
            id_, elapsed = f"{group}/{raw['name']}", raw.get("elapsed_s", 0.0)
            yield Exchange(id_, group, request, response, raw.get("later_outcome"), extra, elapsed)
