"""The sandbox's object store: image bytes as they came, exports, and signed links to both."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

BUCKET = "diffgram-static"


class MediaStore:
    """Files below one folder and the key that signs their links."""

    def __init__(self, root: Path, key: str) -> None:
        self._root = root
        self._key = key.encode()
        #: Blobs that somebody asked for since the server started: lists of tasks show links to these only (recorded).
        self.signed: set[str] = set()
        (root / "incoming").mkdir(parents=True, exist_ok=True)
        (root / "export").mkdir(parents=True, exist_ok=True)

    def receive(self, data: bytes) -> Path:
        """Write bytes to a place of no name yet; :meth:`adopt` names them inside a transaction."""
        path = self._root / "incoming" / secrets.token_hex(16)
        path.write_bytes(data)
        return path

    def adopt(self, received: Path, blob: str) -> None:
        """Give received bytes their name. Replaces what a rolled back transaction may have left there."""
        target = self.path(blob)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(received, target)

    def keep_chunk(self, folder: str, index: int, data: bytes) -> None:
        """Write one chunk of what comes in several; the same chunk again replaces it."""
        target = self._root / "chunks" / folder / f"{index:06d}"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(self.receive(data), target)

    def forget_chunks(self, folder: str) -> None:
        """Delete the chunks of a folder, if there are any."""
        shutil.rmtree(self._root / "chunks" / folder, ignore_errors=True)

    def chunk_sizes(self, folder: str) -> list[int]:
        """The sizes of the chunks that came, in order."""
        return [path.stat().st_size for path in sorted((self._root / "chunks" / folder).iterdir())]

    def joined(self, folder: str) -> Path:
        """Put the chunks of a folder together, which is gone then. The result has no name yet, see :meth:`receive`."""
        path = self.receive(b"")
        chunks = self._root / "chunks" / folder
        with path.open("wb") as whole:
            for each in sorted(chunks.iterdir()):
                with each.open("rb") as chunk:
                    shutil.copyfileobj(chunk, whole)
        self.forget_chunks(folder)
        return path

    def path(self, blob: str) -> Path:
        """Where the bytes of a blob lie."""
        return self._root / blob

    def export_path(self, export_id: int) -> Path:
        """Where the JSON of an export lies."""
        return self._root / "export" / f"{export_id}.json"

    def link(self, base_url: str, blob: str, expires: float) -> str:
        """A URL for a blob that works until ``expires``, without any other credential."""
        signature = self._signature(blob, int(expires))
        return f"{base_url}/storage/{BUCKET}/{quote(blob)}?Expires={int(expires)}&Signature={signature}"

    def is_valid(self, blob: str, expires: str, signature: str) -> bool:
        """Whether a link's query is ours and not yet expired."""
        if not expires.isdigit() or not hmac.compare_digest(self._signature(blob, int(expires)), signature):
            return False
        return time.time() < int(expires)

    def _signature(self, blob: str, expires: int) -> str:
        return hmac.new(self._key, f"{expires}\n{blob}".encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Links:
    """Signs links as one caller sees the server: its base URL, and how long links live."""

    media: MediaStore
    base_url: str
    lifetime: float

    def sign(self, blob: str) -> tuple[str, float]:
        """A link and the moment at which it expires."""
        expires = time.time() + self.lifetime
        self.media.signed.add(blob)
        return self.media.link(self.base_url, blob, expires), expires
