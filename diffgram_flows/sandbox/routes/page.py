"""The web page for people. It reads the recorded API like any client; only its files and the log-out are our own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from diffgram_flows.sandbox.auth import COOKIE
from diffgram_flows.sandbox.core import Server
from diffgram_flows.sandbox.replies import JsonReply
from diffgram_flows.sandbox.store import accounts

router = APIRouter()
FOLDER: Final = Path(__file__).parent.parent / "page"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NAMES = frozenset(path.name for path in FOLDER.iterdir() if path.suffix in TYPES)
# No script, style, image or call from anywhere else, nothing inline, and no form that a browser sends by itself.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@router.api_route("/", methods=["GET", "HEAD"])
def index() -> Response:
    """The page."""
    return _file("index.html")


@router.api_route("/page/{name}", methods=["GET", "HEAD"])
def part(name: str) -> Response:
    """A style sheet, script or picture of the page."""
    if name not in NAMES:
        return JsonReply({"error": "The page has no such part."}, 404)
    return _file(name)


@router.post("/sandbox/logout")
def logout(request: Request, server: Server) -> Response:
    """End the session of the cookie; how the recorded server does that was not recorded."""
    with server.database.write() as cx:
        accounts.end_session(cx, request.cookies.get(COOKIE, ""))
    reply = JsonReply({"success": True})
    reply.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return reply


def _file(name: str) -> Response:
    path = FOLDER / name
    return FileResponse(path, media_type=TYPES[path.suffix], headers=HEADERS)
