"""Who says when a call may leave. The ledger has an implementation that all threads and processes share."""

from __future__ import annotations

from typing import Protocol


class Pacer(Protocol):
    """Holds calls back so that the server's quotas are kept instead of discovered."""

    def wait(self, endpoint: str) -> None:
        """Block until a call to ``endpoint`` (such as ``input/packet``) may leave.

        Raises:
            BudgetExhausted: A daily quota is used up.
        """

    def penalise(self, endpoint: str, seconds: float) -> None:
        """Told of a 429 that came in spite of all waiting: nobody should call ``endpoint`` for so many seconds."""


class Unpaced(Pacer):
    """The pacer of servers without rate limits: never waits."""

    def wait(self, endpoint: str) -> None:
        return None

    def penalise(self, endpoint: str, seconds: float) -> None:
        return None
