"""How much of a request is read, and for how long: counted while it arrives, whatever it says about itself."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffgram_flows.service.refusals import too_large, too_slow

_WITH_IMAGES = ("/predict", "/inference/from_local")
_SMALL = 2**16  # bytes of any other request


class BodyLimit:
    """Refuses a body that says it is too large at once, and one that does not say so when it has become too large.

    So it does with one that is still on the way when the time is over, on every path and whoever sends it. What is left
    of it is thrown away by the server, so nothing of it stays in memory.

    Args:
        app: What gets the requests.
        limit: Bytes of a body.
        seconds: From the end of the headers to the end of the body.
    """

    def __init__(self, app: ASGIApp, limit: int, seconds: float) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit if scope["path"].endswith(_WITH_IMAGES) else min(self._limit, _SMALL)
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            status, body = too_large(limit).body(scope["path"])
            await JSONResponse(body, status)(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, limit, self._seconds), send)


def _bounded(receive: Receive, limit: int, seconds: float) -> Receive:
    """The same messages; a body that is too large or too slow raises a ``Refusal`` instead."""
    read, arriving = 0, True
    ends_at = time.monotonic() + seconds

    async def bounded() -> Message:
        nonlocal read, arriving
        try:
            # After the body, what is waited for is that the caller hangs up.
            async with asyncio.timeout(ends_at - time.monotonic() if arriving else None):
                message = await receive()
        except TimeoutError as error:
            raise too_slow("The upload", seconds) from error
        arriving = message.get("more_body", False)
        read += len(message.get("body", b""))
        if read > limit:
            raise too_large(limit)
        return message

    return bounded
