"""Links to a brain's graph that need no credential, for a few minutes: the official SDK downloads without one."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

from starlette.requests import Request

from diffgram_flows.brains import BrainRecord, freeze
from diffgram_flows.errors import DiffgramFlowsError
from diffgram_flows.service.refusals import Refusal
from diffgram_flows.service.settings import ServiceSettings

_SECONDS = 600
PATH = "/v1/graphs/{graph}"


class Downloads:
    """Frozen graphs of brains, made when they are first asked for and kept until the service ends."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._public_url = settings.public_url.rstrip("/")
        self._key = secrets.token_bytes(32)
        self._folder = Path(tempfile.mkdtemp(prefix="brain-graphs-"))
        self._making = asyncio.Lock()

    async def link(self, request: Request, record: BrainRecord) -> str:
        """A signed link to the frozen graph of a version.

        Raises:
            Refusal: Its method has none.
        """
        name = f"{record.ref}.pb"
        path = self._folder / name
        async with self._making:
            if not path.exists():
                try:
                    await asyncio.to_thread(freeze, record, path)
                except DiffgramFlowsError as error:
                    raise Refusal.of(error) from error
        until = str(int(time.time()) + _SECONDS)
        base = self._public_url or str(request.base_url).rstrip("/")
        query = urlencode({"expires": until, "signature": self._sign(name, until)})
        return f"{base}{PATH.format(graph=name)}?{query}"

    def file(self, name: str, expires: str, signature: str) -> Path:
        """The file that a link leads to.

        Raises:
            Refusal: The link is forged or too old.
        """
        good = hmac.compare_digest(self._sign(name, expires).encode(), signature.encode())
        if not good or not expires.isdecimal() or int(expires) < time.time():
            raise Refusal(403, "Forbidden", "The link is too old, or is none of this service.", "Ask for a new one.")
        return self._folder / name

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _sign(self, name: str, expires: str) -> str:
        return hmac.new(self._key, f"{name}\0{expires}".encode(), hashlib.sha256).hexdigest()
