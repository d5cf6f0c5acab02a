"""How much of a request is read: counted while it arrives, whatever it says about itself."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffgram_flows.service.refusals import too_large

_WITH_IMAGES = ("/predict", "/inference/from_local")
_SMALL = 2**16  # bytes of any other request


class BodyLimit:
    """Refuses a body that says it is too large at once, and one that does not say so when it has become too large.

    What is left of it on the way is thrown away by the server, so nothing of it stays in memory.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

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
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise too_large(limit)
            return message

        await self._app(scope, counted, send)
