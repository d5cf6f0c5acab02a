"""Where the calls of the client are registered by the operation that they send."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contract.playback import Play
from contract.recorded import Exchange

from diffgram_flows.diffgram import DiffgramClient

Maker = Callable[[Exchange], Play]
MAKERS: dict[tuple[str, str], Maker] = {}
WALRUS, V1, OLD = "/api/walrus/v1/project/<p>", "/api/v1/project/<p>", "/api/project/<p>"


def only_the_reply(call: Callable[[DiffgramClient, Path], Any] | None = None) -> Play:
    """A reply that can meet any call."""
    return Play(call or (lambda client, _: client.job_stat(1)), as_sent=False)


def makes(method: str, path: str) -> Callable[[Maker], Maker]:
    def register(maker: Maker) -> Maker:
        MAKERS[(method, path)] = maker
        return maker

    return register


def id_of(recorded: Exchange) -> int:
    """The only number in the path."""
    found = re.search(r"/(\d+)(?=/|$)", recorded.path)
    assert found is not None
    return int(found[1])


def body_of(recorded: Exchange) -> Any:
    return recorded.request.get("json", {})
