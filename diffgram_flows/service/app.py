"""The web application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffgram_flows import __version__
from diffgram_flows.brains import Registry
from diffgram_flows.service import sdk, v1
from diffgram_flows.service.desk import Gone
from diffgram_flows.service.limits import BodyLimit
from diffgram_flows.service.metrics import Metrics
from diffgram_flows.service.parts import Parts
from diffgram_flows.service.reference import describe
from diffgram_flows.service.refusals import Refusal
from diffgram_flows.service.settings import ServiceSettings

_HUNG_UP = 499  # nobody reads it


def create_app(registry: Registry, settings: ServiceSettings) -> FastAPI:
    """The application that serves the brains of a registry; it loads them while it lives."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts = Parts.of(registry, settings)
        app.state.parts = parts
        watching = asyncio.create_task(parts.champions.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            await parts.champions.close()
            await asyncio.to_thread(parts.trainings.close)
            parts.downloads.close()

    app = FastAPI(
        title="Brains of diffgram_flows",
        version=__version__,
        summary="Ask trained brains about images.",
        redirect_slashes=False,
        docs_url=None,  # FastAPI's own pages load scripts from the internet
        redoc_url=None,
        lifespan=lifespan,
    )
    for router in (v1.open_router, v1.router, sdk.router):
        app.include_router(router)
    describe(app)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    for gone in (Gone, ClientDisconnect):
        app.add_exception_handler(gone, _gone)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(BodyLimit, limit=settings.max_upload, seconds=settings.request_timeout)
    app.add_middleware(Counting)
    return app


class Counting:
    """Counts requests and their time by route: what callers write into a path is in no label."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            metrics: Metrics = scope["app"].state.parts.metrics
            route = getattr(scope.get("route"), "path", "none")
            metrics.requests.labels(route, str(status)).inc()
            metrics.seconds.labels(route).observe(time.perf_counter() - began)


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        status, body = error.body(request.url.path)
        return JSONResponse(body, status, error.headers)
    if not isinstance(error, HTTPException):
        return await _broken(request, error)
    status, body = Refusal(error.status_code, "HttpError", str(error.detail)).body(request.url.path)
    return JSONResponse(body, error.status_code, error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    problems: list[Any] = list(error.errors()) if isinstance(error, RequestValidationError) else []
    what = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems[:5])
    return await _refused(request, Refusal(422, "BadRequest", f"The request is wrong: {what}."))


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=_HUNG_UP)


async def _broken(request: Request, error: Exception) -> Response:
    """Raised inside the service; uvicorn logs the trace."""
    refusal = Refusal(500, "Broken", f"The service broke with a {type(error).__name__}.", "Look into its log.")
    status, body = refusal.body(request.url.path)
    return JSONResponse(body, status)
