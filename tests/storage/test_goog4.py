"""The verifier that the Google tests rely on, measured against Google's own vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from servers.goog4 import Refusal, SignedRequest, refusal

DATA = Path(__file__).with_name("data") / "gcs-v4-signatures"
CASES: list[dict[str, Any]] = json.loads((DATA / "signing_v4.json").read_text())["signingV4Tests"]
ACCOUNT = "test-iam-credentials@dummy-project-id.iam.gserviceaccount.com"
WITH_PORT = {
    "Simple GET with non-default hostname",
    "Simple GET with endpoint on client",
    "Endpoint on client with scheme",
    "Endpoint on client takes precedence over emulator",
}
"""Google's signature covers the host without the port here, while a client sends it: refused, rightly."""

GOOD = [case for case in CASES if case["description"] not in WITH_PORT]
FORGED = Refusal(403, "SignatureDoesNotMatch")


@pytest.fixture(scope="module")
def keys() -> dict[str, RSAPublicKey]:
    key = load_pem_public_key((DATA / "public_key.pem").read_bytes())
    assert isinstance(key, RSAPublicKey)
    return {ACCOUNT: key}


def request_of(case: dict[str, Any]) -> SignedRequest:
    parts = urlsplit(case["expectedUrl"])
    return SignedRequest(
        case["method"], f"{parts.path}?{parts.query}", {"host": parts.netloc, **case.get("headers", {})}
    )


def time_of(case: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(case["timestamp"]).astimezone(UTC)


def name_of(case: dict[str, Any]) -> str:
    return str(case["description"])


def test_the_vectors_are_all_there() -> None:
    assert (len(CASES), len(GOOD)) == (29, 25)


@pytest.mark.parametrize("case", GOOD, ids=name_of)
def test_accepts_what_google_signs(case: dict[str, Any], keys: dict[str, RSAPublicKey]) -> None:
    assert refusal(request_of(case), keys, time_of(case)) is None


@pytest.mark.parametrize("case", [case for case in CASES if case not in GOOD], ids=name_of)
def test_a_port_must_be_signed_if_it_is_sent(case: dict[str, Any], keys: dict[str, RSAPublicKey]) -> None:
    request = request_of(case)
    assert refusal(request, keys, time_of(case)) == FORGED
    portless = replace(request, headers=dict(request.headers) | {"host": request.headers["host"].partition(":")[0]})
    assert refusal(portless, keys, time_of(case)) is None


@pytest.mark.parametrize("case", GOOD, ids=name_of)
def test_refuses_every_change(case: dict[str, Any], keys: dict[str, RSAPublicKey]) -> None:
    request, now = request_of(case), time_of(case)
    longer = request.target.replace(f"X-Goog-Expires={case['expiration']}", f"X-Goog-Expires={case['expiration'] + 1}")
    changes = {
        "method": replace(request, method="DELETE"),
        "path": replace(request, target=request.target.replace("?", "x?", 1)),
        "expiry": replace(request, target=longer),
        "host": replace(request, headers=dict(request.headers) | {"host": "evil.example"}),
        "signature": replace(request, target=request.target[:-1] + ("0" if request.target[-1] != "0" else "1")),
        "parameter": replace(request, target=request.target.replace("X-Goog-Date", "extra=1&X-Goog-Date")),
    }
    assert {name: refusal(changed, keys, now) for name, changed in changes.items()} == dict.fromkeys(changes, FORGED)


@pytest.mark.parametrize("case", GOOD, ids=name_of)
def test_refuses_what_has_expired(case: dict[str, Any], keys: dict[str, RSAPublicKey]) -> None:
    end = time_of(case) + timedelta(seconds=case["expiration"])
    assert refusal(request_of(case), keys, end) is None
    assert refusal(request_of(case), keys, end + timedelta(seconds=1)) == Refusal(400, "ExpiredToken")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("X-Goog-Signature=", "x=", "MissingSecurityHeader"),
        ("X-Goog-Expires=10", "X-Goog-Expires=604801", "InvalidArgument"),
        ("X-Goog-Expires=10", "X-Goog-Expires=-1", "InvalidArgument"),
        ("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256", "InvalidArgument"),
        ("SignedHeaders=host", "SignedHeaders=", "InvalidArgument"),
        ("20190201T090000Z", "20190202T090000Z", "InvalidArgument"),
        ("auto%2Fstorage", "auto%2Fcompute", "InvalidArgument"),
    ],
)
def test_refuses_what_is_malformed(old: str, new: str, code: str, keys: dict[str, RSAPublicKey]) -> None:
    request = request_of(CASES[0])
    assert old in request.target
    changed = replace(request, target=request.target.replace(old, new))
    assert refusal(changed, keys, time_of(CASES[0])) == Refusal(400, code)


def test_refuses_an_account_that_it_does_not_know() -> None:
    assert refusal(request_of(CASES[0]), {}, time_of(CASES[0])) == FORGED
