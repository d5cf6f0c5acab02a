"""Amazon's V4 signature in a query, checked from the request that arrived; Google takes it for its HMAC keys.

Written from Amazon's description of the algorithm, independently of what signs.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from servers.goog4 import LONGEST_SECONDS, Refusal, SignedRequest

ALGORITHM = "AWS4-HMAC-SHA256"


def refusal(request: SignedRequest, secrets: Mapping[str, str], now: datetime) -> Refusal | None:
    """Why the request is refused at ``now``, or nothing if it is good. ``secrets`` is access key to secret."""
    query = request.query()
    access_key, _, scope = query.get("X-Amz-Credential", "").partition("/")
    stamp, expires = query.get("X-Amz-Date", ""), query.get("X-Amz-Expires", "")
    if (
        query.get("X-Amz-Algorithm") != ALGORITHM
        or query.get("X-Amz-SignedHeaders") != "host"
        or not re.fullmatch(r"\d{8}T\d{6}Z", stamp)
        or not re.fullmatch(rf"{stamp[:8]}/[a-z0-9-]+/s3/aws4_request", scope)
        or not re.fullmatch(r"\d{1,6}", expires)
        or not 0 < int(expires) <= LONGEST_SECONDS
    ):
        return Refusal(400, "InvalidArgument")
    if access_key not in secrets or not _verifies(request, secrets[access_key], scope, stamp, query["X-Amz-Signature"]):
        return Refusal(403, "SignatureDoesNotMatch")
    signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return Refusal(400, "ExpiredToken") if now > signed_at + timedelta(seconds=int(expires)) else None


def _verifies(request: SignedRequest, secret: str, scope: str, stamp: str, signature: str) -> bool:
    path, _, query = request.target.partition("?")
    pairs = sorted(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature="))
    host = next(value for name, value in request.headers.items() if name.lower() == "host")
    lines = [request.method, path, "&".join(pairs), f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"]
    text = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256("\n".join(lines).encode()).hexdigest()])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(hmac.new(key, text.encode(), hashlib.sha256).hexdigest(), signature)
