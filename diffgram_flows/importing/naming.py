"""The name under which Diffgram knows an object: unique, and the only handle on an import (contract section 5)."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from diffgram_flows.models import StoredObject

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
"""What is imported: still images that the server and TensorFlow both decode. Compared in lower case."""

_MAX_BYTES = 200  # of UTF-8; with 300 characters an import hangs on the server for ever (contract section 5)
_HASH_CHARACTERS = 10


def file_name(obj: StoredObject) -> str:
    """``<stem>-<10 hex characters>.<suffix>``, at most 200 bytes of UTF-8.

    The hash covers URI and version: the same object always gets the same name, which makes it an idempotency key, and
    a changed object gets a new one. Blanks and letters of any alphabet stay, the suffix becomes lower case.
    """
    path = PurePosixPath(obj.key)
    suffix = path.suffix.lower()
    identity = f"{obj.uri}\n{obj.version}".encode(errors="surrogatepass")
    ending = f"-{hashlib.sha256(identity).hexdigest()[:_HASH_CHARACTERS]}{suffix}"
    stem = "".join(character if character.isprintable() else "_" for character in path.stem)
    room = _MAX_BYTES - len(ending.encode())
    return stem.encode()[:room].decode(errors="ignore") + ending
