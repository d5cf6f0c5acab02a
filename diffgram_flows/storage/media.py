"""What a key's suffix says about its content."""

from __future__ import annotations

import mimetypes
from posixpath import splitext

TYPES = mimetypes.MimeTypes().types_map[True] | {
    ".avif": "image/avif",
    ".heic": "image/heic",
    ".webp": "image/webp",
}
"""Suffix in lower case to media type; Python's own table, without what the machine's files say."""


def media_type(key: str) -> str:
    """``image/jpeg`` and the like for pictures, films and sounds, else nothing."""
    found = TYPES.get(splitext(key)[1].lower(), "")
    return found if found.startswith(("image/", "video/", "audio/")) else ""
