"""What the sandbox must know before a recorded request is equivalent to the recorded one."""

from __future__ import annotations

from collections.abc import Callable

from contract.recorded import Exchange
from contract.stage import Stage

Preparation = Callable[[Stage], object]
_PREPARATIONS: dict[str, Preparation] = {}
#: Groups whose state changed between their exchanges, so that the moment of each one counts.
_TIMED = {"07", "08", "10", "11", "12", "14"}


def before(*wanted: str) -> Callable[[Preparation], Preparation]:
    """Register what is done before the exchanges with these ids, instead of showing their replies' rows."""

    def registering(preparation: Preparation) -> Preparation:
        _PREPARATIONS.update(dict.fromkeys(wanted, preparation))
        return preparation

    return registering


def prepared() -> frozenset[str]:
    """The ids of the exchanges that have a preparation of their own."""
    _load()
    return frozenset(_PREPARATIONS)


def prepare(exchange: Exchange, stage: Stage) -> None:
    """Bring a stage into the state in which the exchange was recorded.

    By default that is the state which the reply itself shows: right for calls that read.
    """
    _load()
    preparation = _PREPARATIONS.get(exchange.id)
    if exchange.group in _TIMED:
        stage.travel(exchange)
        if preparation is not None:
            preparation(stage)
        return
    if preparation is not None:
        preparation(stage)
    elif exchange.status == 200 and "json" in exchange.response:
        stage.overlay(exchange)


def _load() -> None:
    from contract import prepare_data, prepare_work  # noqa: F401 - they register themselves
