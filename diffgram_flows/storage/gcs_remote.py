"""Signatures that Google makes in our name, where we have no key. Imports Google's libraries inside the function only.

Google's own library does the same, but takes a 429 for a refusal; its quota is per project and minute, so a wait helps.
"""

from __future__ import annotations

import base64
import random
import time
from typing import Any

from diffgram_flows.errors import SigningError, StorageUnavailable

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds, more or less, between one attempt and the next: together longer than the minute of the quota."""

TIMEOUT = (10, 60)
"""Seconds to connect, and to wait for a byte."""

_BUSY = frozenset({429, 500, 502, 503, 504})


def remote_signer(credentials: Any, email: str) -> Any:
    """Credentials that sign by asking Google's IAM, one HTTPS call a signature.

    Args:
        credentials: Whose token the calls carry.
        email: Of the service account that signs.
    """
    from google.auth.credentials import Signing
    from google.auth.transport.requests import AuthorizedSession

    class RemoteSigner(Signing):  # type: ignore[misc]
        signer_email = email
        signer = None

        def __init__(self) -> None:
            self._session = AuthorizedSession(credentials)

        def sign_bytes(self, message: bytes) -> bytes:
            domain = getattr(credentials, "universe_domain", "googleapis.com")
            url = f"https://iamcredentials.{domain}/v1/projects/-/serviceAccounts/{email}:signBlob"
            reply = self._call(url, {"payload": base64.b64encode(message).decode()})
            if reply.status_code in _BUSY:
                raise StorageUnavailable(
                    f"Google does not sign for {email} now ({reply.status_code}).",
                    cure="Try again later, or sign with a key file or an HMAC key (gcs_hmac).",
                )
            if reply.status_code != 200:
                raise SigningError(
                    f"Google does not let {email} sign ({reply.status_code}).",
                    cure="Grant it iam.serviceAccounts.signBlob on itself (roles/iam.serviceAccountTokenCreator), "
                    "or use a key file.",
                )
            return base64.b64decode(reply.json()["signedBlob"])

        def close(self) -> None:
            self._session.close()

        def _call(self, url: str, content: dict[str, str]) -> Any:
            for wait in WAITS:
                reply = self._session.post(url, json=content, timeout=TIMEOUT)
                if reply.status_code not in _BUSY:
                    return reply
                time.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - so that threads do not come back together
            return self._session.post(url, json=content, timeout=TIMEOUT)

    return RemoteSigner()
