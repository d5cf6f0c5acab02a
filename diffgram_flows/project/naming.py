"""The name of an import: unique, and the only way to find it again (contract section 5)."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qsl, unquote, urlsplit

from diffgram_flows.errors import InvalidRequest
from diffgram_flows.importing import file_name
from diffgram_flows.models import StoredObject

# What signing adds to a URL, by the parameter that gives it away; the rest of a query may say which image is meant.
_SIGNED_WITH = {
    "awsaccesskeyid": {"awsaccesskeyid", "signature", "expires"},
    "googleaccessid": {"googleaccessid", "signature", "expires"},
    "key-pair-id": {"key-pair-id", "policy", "signature", "expires"},
    "signature": {"signature", "expires"},
    "sig": {"sig", "se", "sp", "sv", "sr", "st", "spr", "skoid", "sktid", "skt", "ske", "sks", "skv", "sip"},
}
_SIGNING_PREFIXES = ("x-amz-", "x-goog-")


def name_of_url(url: str) -> str:
    """The name of what lies behind a URL: the same again when the same place is signed again.

    Raises:
        InvalidRequest: Its path has no extension, by which the server knows the type of a file.
    """
    parts = urlsplit(url)
    key = unquote(parts.path).lstrip("/")
    if not PurePosixPath(key).suffix:
        raise InvalidRequest(
            f"The URL of {PurePosixPath(key).name!r} on {parts.hostname} has no extension in its path.",
            cure="Give a file_name that ends in .jpg, .png and so on.",
        )
    query = _without_signature(parse_qsl(parts.query, keep_blank_values=True))
    return file_name(StoredObject(f"{parts.scheme}://{parts.netloc}", key, 0, repr(query) if query else ""))


def name_of_blob(bucket: str, path: str) -> str:
    """The name of a blob in a bucket that the server reads itself."""
    return file_name(StoredObject(bucket, path, 0, ""))


def name_of_local(path: Path, content_digest: str) -> str:
    """The name of a file on this machine: the same again for the same name and bytes."""
    return file_name(StoredObject("local", path.name, 0, content_digest))


def name_of_text(text: str) -> str:
    """The name of a text."""
    return f"text-{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"


def _without_signature(query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    names = {name.lower() for name, _ in query}
    signing = {name for mark, added in _SIGNED_WITH.items() if mark in names for name in added}
    return [
        (name, value)
        for name, value in query
        if name.lower() not in signing and not name.lower().startswith(_SIGNING_PREFIXES)
    ]
