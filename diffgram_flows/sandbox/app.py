"""The web application: routers, the replies to unknown paths, and the limits in front of all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape

from fastapi import FastAPI, Request
from starlette.datastructures import URL, Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from diffgram_flows.sandbox.core import Sandbox
from diffgram_flows.sandbox.faults import FaultMiddleware, FaultPlan, SlowImagesMiddleware, drain
from diffgram_flows.sandbox.ratelimit import RateLimiter, RateLimitMiddleware
from diffgram_flows.sandbox.replies import BAD_GATEWAY, METHOD_NOT_ALLOWED, NOT_FOUND, JsonReply, ReplyError
from diffgram_flows.sandbox.routes import ROUTERS
from diffgram_flows.sandbox.settings import SandboxSettings

WALRUS = "/api/walrus/"
BODY_LIMIT, WALRUS_BODY_LIMIT = 50 * 1024 * 1024, 250 * 1024 * 1024


def create_app(sandbox: Sandbox) -> FastAPI:
    """The application that serves a sandbox; the sandbox's threads live as long as the application does."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sandbox.start()
        yield
        sandbox.stop()

    app = FastAPI(
        title="Diffgram sandbox",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(ReplyError, _reply)
    app.add_exception_handler(HTTPException, _unknown)
    app.add_exception_handler(Exception, _crashed)
    app.add_middleware(BodyLimitMiddleware)
    if sandbox.settings.rate_limits:
        app.add_middleware(RateLimitMiddleware, limiter=RateLimiter())
    if sandbox.settings.require_https:
        app.add_middleware(HttpsMiddleware)
    _add_troubles(app, sandbox.settings)
    return app


def _add_troubles(app: FastAPI, settings: SandboxSettings) -> None:
    if settings.download_delay:
        app.add_middleware(SlowImagesMiddleware, delay=settings.download_delay)
    if settings.fault_rate:
        app.add_middleware(FaultMiddleware, plan=FaultPlan(settings), delay=settings.fault_delay)


class HttpsMiddleware:
    """Sends who comes by plain http elsewhere, whatever the request (recorded as ``plain_http_redirect``)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or Headers(scope=scope).get("x-forwarded-proto") == "https":
            await self._app(scope, receive, send)
            return
        target = str(URL(scope=scope).replace(scheme="https"))
        await drain(receive)
        page = f"""<!doctype html>
<html lang=en>
<title>Redirecting...</title>
<h1>Redirecting...</h1>
<p>You should be redirected automatically to the target URL: <a href="{escape(target)}">{escape(target)}</a>. If not, \
click the link.
"""
        await Response(page, 302, {"Location": target}, media_type="text/html")(scope, receive, send)


class BodyLimitMiddleware:
    """Bodies beyond the limit end in the 502 of the proxy in front (recorded as ``oversize_default``)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _announced(scope) <= _limit(scope["path"]):
            await self._app(scope, receive, send)
            return
        await drain(receive)
        await Response(BAD_GATEWAY, 502, {"Content-Type": "text/html"})(scope, receive, send)


def _announced(scope: Scope) -> int:
    return next((int(value) for name, value in scope["headers"] if name == b"content-length" and value.isdigit()), 0)


def _limit(path: str) -> int:
    return WALRUS_BODY_LIMIT if path.startswith(WALRUS) else BODY_LIMIT


async def _reply(request: Request, error: Exception) -> Response:
    return error.response if isinstance(error, ReplyError) else await _crashed(request, error)


async def _unknown(request: Request, error: Exception) -> Response:
    """Unknown paths and methods (contract section 2, point 7)."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    if request.url.path.startswith(WALRUS):
        return JsonReply({"error": METHOD_NOT_ALLOWED if status == 405 else NOT_FOUND}, status)
    if request.method in ("GET", "HEAD"):
        return JsonReply({"error": "index.html"}, 500)
    return Response("Not found.", 405, media_type="application/json")


async def _crashed(request: Request, error: Exception) -> Response:
    """Raised inside the server: its text is the reply, as on the recorded server. Uvicorn logs the trace."""
    return JsonReply({"error": str(error)}, 500)
