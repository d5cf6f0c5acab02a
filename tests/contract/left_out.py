"""What of the recordings is knowingly not replayed, and why. What is neither replayed nor listed here fails a test."""

from __future__ import annotations

#: Recorded requests that the sandbox is not held to.
SANDBOX: dict[str, str] = {}

#: Recorded operations that the client is not held to.
CLIENT: dict[str, str] = {}
