"""Why a request gets no answer, in the words of who asks: the official SDK reads other replies than ``/v1``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException

from diffgram_flows.diffgram import without_secrets
from diffgram_flows.errors import (
    AuthenticationError,
    BrainNotFound,
    BrainTampered,
    Busy,
    ConfigurationError,
    DiffgramError,
    DiffgramFlowsError,
    ImageRejected,
    InvalidRequest,
    LedgerError,
    NoChampion,
    ProjectNotFound,
    StorageError,
)

SDK_PATHS = "/api/walrus/"
RETRY = {"Retry-After": "1"}
_STATUS: tuple[tuple[type[DiffgramFlowsError], int], ...] = (  # the first that fits
    (ImageRejected, 422),
    (BrainNotFound, 404),
    (NoChampion, 503),
    (BrainTampered, 503),
    (Busy, 409),
    (LedgerError, 503),
    (ConfigurationError, 400),
    (InvalidRequest, 400),
    (AuthenticationError, 403),
    (ProjectNotFound, 403),
    (DiffgramError, 502),
    (StorageError, 503),  # the bucket with the brains
)


class Refusal(HTTPException):
    """A request that is refused.

    Args:
        status: Of HTTP.
        kind: One word for programs.
        what: What is wrong.
        cure: What the caller can do.
        headers: Of the reply.
        recorded: The text that Diffgram itself would answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        what: str,
        cure: str = "",
        headers: Mapping[str, str] | None = None,
        recorded: str = "",
    ) -> None:
        self.kind, self.what, self.cure, self.recorded = kind, without_secrets(what), cure, recorded
        super().__init__(status, self.what, dict(headers or {}))

    @classmethod
    def of(cls, error: DiffgramFlowsError) -> Refusal:
        """The refusal that an error of this package means."""
        status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
        headers = RETRY if status in (502, 503) else None
        return cls(status, type(error).__name__, error.what, error.cure, headers)

    def body(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and JSON for who called a path."""
        if not path.startswith(SDK_PATHS):
            return self.status_code, {"error": {"kind": self.kind, "what": self.what, "cure": self.cure}}
        text = f"{self.what} {self.cure}".strip()
        if self.status_code in (401, 403):
            return self.status_code, {"error": self.recorded or f"403 Forbidden: {text}"}
        # The SDK shows people what is in a 400, and of other replies the number only.
        status = 400 if self.status_code in (404, 409, 413, 415, 422, 429) else self.status_code
        return status, {"log": {"error": {self.kind: text}, "info": {}, "success": False}}


def busy(what: str) -> Refusal:
    """Too much at once."""
    return Refusal(503, "Overloaded", what, "Try again in a second.", RETRY)


def too_slow(what: str, seconds: float) -> Refusal:
    """Out of time."""
    return Refusal(504, "TimeOut", f"{what} took more than {seconds:g} s.", "Try again, or send less at a time.", RETRY)


def too_large(limit: int) -> Refusal:
    """More bytes than are taken."""
    return Refusal(
        413, "TooLarge", f"The request has more than {limit:,} bytes.", "Send a smaller image, or raise the limit."
    )
