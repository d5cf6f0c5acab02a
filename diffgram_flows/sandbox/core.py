"""The parts of one running sandbox, and how handlers reach them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request

from diffgram_flows.sandbox.clerk import Clerk
from diffgram_flows.sandbox.courier import Courier
from diffgram_flows.sandbox.database import Database
from diffgram_flows.sandbox.media import Links, MediaStore
from diffgram_flows.sandbox.replies import refused
from diffgram_flows.sandbox.settings import SandboxSettings
from diffgram_flows.sandbox.worker import ImportWorkers


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Database, object store and background threads of one data folder."""

    settings: SandboxSettings
    database: Database
    media: MediaStore
    workers: ImportWorkers
    clerk: Clerk
    courier: Courier

    @classmethod
    def open(cls, folder: Path, settings: SandboxSettings) -> Sandbox:
        """Open a data folder, making what is missing in it. No thread runs yet."""
        folder.mkdir(parents=True, exist_ok=True)
        database = Database(folder / "sandbox.sqlite")
        with database.write() as cx:
            cx.execute("INSERT OR IGNORE INTO meta VALUES ('link_key', ?)", (secrets.token_hex(32),))
            key = cx.execute("SELECT value FROM meta WHERE key = 'link_key'").fetchone()["value"]
        media = MediaStore(folder / "media", key)
        clerk = Clerk(database, media, settings)
        workers = ImportWorkers(database, media, settings, clerk.wake)
        return cls(settings, database, media, workers, clerk, Courier(database))

    def start(self) -> None:
        """Start the background threads."""
        self.workers.start()
        self.clerk.start()
        self.courier.start()

    def stop(self) -> None:
        """Stop the background threads and close the database."""
        self.workers.stop()
        self.clerk.stop()
        self.courier.stop()
        self.database.close()

    def links(self, request: Request) -> Links:
        """Signed links as the caller of this request can reach them."""
        return Links(self.media, str(request.base_url).rstrip("/"), self.settings.url_lifetime)


async def get_sandbox(request: Request) -> Sandbox:
    """The sandbox that serves this request."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


async def json_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object, whatever content type it claims (contract, ``wrong_content_type``).

    Raises:
        ReplyError: It is no JSON, or no object.
    """
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        raise refused({"input": "Expecting json in request"}) from None
    if not isinstance(body, dict):
        raise refused({"input": "Expecting dict"})
    return body


Server = Annotated[Sandbox, Depends(get_sandbox)]
Body = Annotated[dict[str, Any], Depends(json_object)]
