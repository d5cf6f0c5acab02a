"""The claims that a worker holds: kept alive while any of their objects is on its way, and ended then."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass

from diffgram_flows.errors import LedgerError
from diffgram_flows.ledger import Claim, Heartbeat, Ledger


@dataclass(slots=True)
class _Held:
    """A claim, with how many of its objects have not ended yet."""

    heartbeat: Heartbeat
    stack: ExitStack
    open: int


class Holdings:
    """The claims of one worker.

    Args:
        ledger: Where they are.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._held: dict[int, _Held] = {}

    def hold(self, claim: Claim) -> Heartbeat:
        """Keep a claim until all its objects have ended."""
        stack = ExitStack()
        heartbeat = stack.enter_context(self._ledger.claims.kept(claim))
        self._held[claim.id] = _Held(heartbeat, stack, len(claim.rows))
        return heartbeat

    def ended(self, claim: int | None, number: int = 1) -> None:
        """So many objects of a claim have ended."""
        held = self._held.get(claim) if claim is not None else None
        if claim is None or held is None:
            return
        held.open -= number
        if held.open <= 0:
            self.drop(claim)

    def drop(self, claim: int) -> None:
        """End a claim; what is still on its way in it may be taken over."""
        if held := self._held.pop(claim, None):
            with suppress(LedgerError):  # it ends by itself
                held.stack.close()

    def drop_all(self) -> None:
        for claim in list(self._held):
            self.drop(claim)
