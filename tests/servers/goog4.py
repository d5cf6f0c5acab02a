"""Google's V4 signature, checked the way the service does it: from the request that arrived, with the public key alone.

Written from Google's description of the algorithm, independently of the library that signs. It is itself tested against
Google's published vectors (tests/storage/test_goog4.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

ALGORITHM = "GOOG4-RSA-SHA256"
LONGEST_SECONDS = 604800


@dataclass(frozen=True)
class Refusal:
    """The HTTP status and the code of Google's error."""

    status: int
    code: str


@dataclass(frozen=True)
class SignedRequest:
    """A request as it arrived.

    Attributes:
        method: ``GET``, ``HEAD``, ...
        target: Path and query, undecoded.
        headers: All of them.
    """

    method: str
    target: str
    headers: Mapping[str, str]

    def query(self) -> dict[str, str]:
        """The decoded query parameters."""
        pairs = (pair.partition("=") for pair in self.target.partition("?")[2].split("&"))
        return {unquote(name): unquote(value) for name, _, value in pairs}

    def canonical(self, signed_headers: str) -> str:
        """The text whose hash is signed."""
        path, _, query = self.target.partition("?")
        pairs = sorted(pair for pair in query.split("&") if not pair.startswith("X-Goog-Signature="))
        mine = {name.lower(): re.sub(r"\s+", " ", value).strip() for name, value in self.headers.items()}
        lines = [f"{name}:{mine.get(name, '')}" for name in signed_headers.split(";")]
        payload = mine["x-goog-content-sha256"] if "x-goog-content-sha256" in signed_headers else "UNSIGNED-PAYLOAD"
        return "\n".join([self.method, path, "&".join(pairs), *lines, "", signed_headers, payload])


def refusal(request: SignedRequest, keys: Mapping[str, RSAPublicKey], now: datetime) -> Refusal | None:
    """Why the request is refused at ``now``, or nothing if it is good. ``keys`` is service account to public key."""
    query = request.query()
    if "X-Goog-Signature" not in query:
        return Refusal(400, "MissingSecurityHeader")
    email, _, scope = query.get("X-Goog-Credential", "").partition("/")
    stamp, signed_headers = query.get("X-Goog-Date", ""), query.get("X-Goog-SignedHeaders", "")
    if not _well_formed(query, scope, stamp, signed_headers):
        return Refusal(400, "InvalidArgument")
    digest = hashlib.sha256(request.canonical(signed_headers).encode()).hexdigest()
    text = "\n".join([ALGORITHM, stamp, scope, digest])
    if email not in keys or not _verifies(keys[email], query["X-Goog-Signature"], text):
        return Refusal(403, "SignatureDoesNotMatch")
    signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if now > signed_at + timedelta(seconds=int(query["X-Goog-Expires"])):
        return Refusal(400, "ExpiredToken")
    return None


def _well_formed(query: Mapping[str, str], scope: str, stamp: str, signed_headers: str) -> bool:
    expires = query.get("X-Goog-Expires", "")
    return (
        query.get("X-Goog-Algorithm") == ALGORITHM
        and re.fullmatch(r"\d{8}T\d{6}Z", stamp) is not None
        and scope == f"{stamp[:8]}/auto/storage/goog4_request"
        and "host" in signed_headers.split(";")
        and expires.isdigit()
        and 0 < int(expires) <= LONGEST_SECONDS
    )


def _verifies(key: RSAPublicKey, signature: str, text: str) -> bool:
    try:
        key.verify(bytes.fromhex(signature), text.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
