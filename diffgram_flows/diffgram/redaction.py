"""Signed URLs are secrets: what is cut out of every text before anybody can read it."""

from __future__ import annotations

import logging
import re
from typing import Any, TypeVar

_HIDDEN = "<hidden>"
_T = TypeVar("_T")

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # "https://host/key?X-Amz-...", and the path alone, as urllib3 words it: "with url: /key?X-Amz-..."
    (re.compile(r"""\?[^\s'"<>]*=[^\s'"<>]*"""), f"?{_HIDDEN}"),
    # A parameter that lost its "?", or was percent-encoded into another URL.
    (
        re.compile(
            r"""(?i)\b(X-(?:Amz|Goog)-[a-z-]+|Signature|AWSAccessKeyId|GoogleAccessId|sig)(?:=|%3D)[^\s&'"<>]+"""
        ),
        rf"\1={_HIDDEN}",
    ),
    # What S3 and GCS send back when they refuse a signature; the server copies it into its status text, cut anywhere.
    (
        re.compile(
            r"(?is)<(StringToSign(?:Bytes)?|CanonicalRequest(?:Bytes)?|SignatureProvided|AWSAccessKeyId)>.*?(?:</\1>|$)"
        ),
        rf"<\1>{_HIDDEN}</\1>",
    ),
)


def without_secrets(text: str) -> str:
    """``text`` with the query strings and signatures of URLs replaced by ``<hidden>``."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def cleaned(value: _T) -> _T:
    """A JSON value with :func:`without_secrets` applied to every string in it."""
    result: Any = value
    if isinstance(value, str):
        result = without_secrets(value)
    elif isinstance(value, list):
        result = [cleaned(item) for item in value]
    elif isinstance(value, dict):
        result = {key: cleaned(item) for key, item in value.items()}
    return result  # type: ignore[no-any-return]


class _HideQueries(logging.Filter):
    """Rewrites the records of one logger instead of dropping them."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(without_secrets(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


_hide_queries = _HideQueries()


def hide_queries_in_logs() -> None:
    """Keep signed URLs out of urllib3's debug log, which prints the path of every request. Safe to call again."""
    logging.getLogger("urllib3.connectionpool").addFilter(_hide_queries)
