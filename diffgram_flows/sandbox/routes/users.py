"""Registration and login of people (recording ``01_auth``)."""

from __future__ import annotations

import sqlite3
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from diffgram_flows.sandbox.auth import COOKIE, person
from diffgram_flows.sandbox.core import Body, Server
from diffgram_flows.sandbox.replies import JsonReply, log, refused
from diffgram_flows.sandbox.store import accounts

router = APIRouter()


@router.post("/api/v1/user/new")
def user_new(body: Body, server: Server) -> Response:
    """Register; the reply sets the session cookie."""
    email, password = str(body.get("email") or ""), str(body.get("password") or "")
    if not email or not password or password != body.get("password_check"):
        raise refused({"password": "Email and two equal passwords are needed."})
    with server.database.write() as cx:
        try:
            user_id = accounts.new_user(cx, email, password)
        except sqlite3.IntegrityError:
            raise refused({"email": "Existing email."}) from None
        user = _user_reply(cx, user_id) | {"username": user_id}  # a number here, a text everywhere else
        token = accounts.new_session(cx, user_id)
    return _with_session(JsonReply({"log": log(), "project_string_id": None, "user": user}), token)


@router.post("/api/user/login")
def login(body: Body, server: Server) -> Response:
    """Log in by password; the reply sets the session cookie."""
    with server.database.read() as cx:
        user = accounts.check_password(cx, str(body.get("email")), str(body.get("password")))
    if user is None:
        raise refused({"login": "Invalid email or password."})
    with server.database.write() as cx:
        token = accounts.new_session(cx, user["id"])
        reply = {
            "access_token_data": None,
            "install_fingerprint": "sandbox",
            "log": {"error": {}, "success": True},
            "user": _user_reply(cx, user["id"]),
            "user_data_oidc": None,
        }
    return _with_session(JsonReply(reply), token)


@router.post("/api/v1/user/builder/enable")
def builder_enable(request: Request, body: Body, server: Server) -> Response:
    """Tell the server who one is."""
    with server.database.write() as cx:
        user = person(cx, request)
        cx.execute(
            "UPDATE user SET builder = 1, first_name = ?, last_name = ? WHERE id = ?",
            (body.get("first_name"), body.get("last_name"), user["id"]),
        )
        return JsonReply({"log": {"error": {}, "success": True}, "user": _user_reply(cx, user["id"])})


def _user_reply(cx: sqlite3.Connection, user_id: int) -> dict[str, Any]:
    return accounts.user_reply(cx, cx.execute("SELECT * FROM user WHERE id = ?", (user_id,)).fetchone())


def _with_session(reply: Response, token: str) -> Response:
    reply.set_cookie(COOKIE, token, httponly=True, samesite="lax")
    return reply
