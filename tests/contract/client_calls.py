"""For every recorded operation that the client offers: the call that sends such a request."""

from __future__ import annotations

from contract import plays_imports, plays_setup, plays_work
from contract.playback import Play, operation
from contract.plays import MAKERS, V1, WALRUS, only_the_reply
from contract.recorded import Exchange

__all__ = ["play_of", "plays_imports", "plays_setup", "plays_work"]


def play_of(recorded: Exchange) -> Play | None:
    """The call for an exchange, ``None`` where the client offers no such operation."""
    maker = MAKERS.get(operation(recorded))
    return maker(recorded) if maker else None


_ANY_CALL = (
    *(
        ("POST", f"/api/walrus{path}")
        for path in (
            "/project/<p>/machine_learning/training/run",
            "/v1/project/<p>/brain/status",
            "/project/<p>/brain/local_info",
            "/v1/project/<p>/inference/from_url",
            "/v1/project/<p>/inference/from_local",
            "/project/<p>/inference/add",
        )
    ),
    ("POST", f"{V1}/nope"),
    ("GET", f"{V1}/nope"),
    ("GET", f"{WALRUS}/nope"),
    ("DELETE", f"{WALRUS}/input/packet"),
    ("GET", f"{WALRUS}/input/view/<id>"),
    ("GET", "/api/v1/job/<id>/builder/info"),
)
for _place in _ANY_CALL:  # the client never asks there; their replies could still meet any of its calls
    MAKERS[_place] = lambda recorded: only_the_reply()
