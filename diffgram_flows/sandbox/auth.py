"""Who calls: an API credential by HTTP basic, or a person by a session cookie (contract section 1)."""

from __future__ import annotations

import base64
import binascii
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from diffgram_flows.sandbox.core import get_sandbox
from diffgram_flows.sandbox.replies import ReplyError, fault
from diffgram_flows.sandbox.store import accounts
from diffgram_flows.sandbox.store.accounts import Credential

COOKIE = "session"
VIEW = ("allow_if_project_is_public", "admin", "annotator", "Editor", "Viewer")
READ = ("admin", "Editor", "Viewer", "annotator")
WRITE = ("admin", "Editor")
SCOPE = "403 Forbidden: (Project Scope) No access."


@dataclass(frozen=True, slots=True)
class Caller:
    """An authorised caller.

    Attributes:
        project: The row of the project that was asked for.
        member_id: The caller as a member of it.
        user_id: The person, None for an API credential.
    """

    project: sqlite3.Row
    member_id: int
    user_id: int | None

    @property
    def project_id(self) -> int:
        return int(self.project["id"])


def authorize(cx: sqlite3.Connection, request: Request, name: object, roles: tuple[str, ...]) -> Caller:
    """Let a caller into a project, or not.

    Raises:
        ReplyError: 401 or 403 with one of the recorded texts.
    """
    if not name:
        raise fault(403, f"{SCOPE} [ First Sanity Checks ] project_string_id None, null, etc.")
    given = _basic(request)
    user = None if given else _user(cx, request)
    if given is None and user is None:
        raise _nobody(request)
    if given is not None and not given.client_secret:
        raise fault(403, f"{SCOPE} [Basic Auth Based]  No password. (client_secret)")
    project = accounts.project(cx, name)
    if project is None:
        raise fault(403, "403 Forbidden: Can't find project")
    if given is not None:
        member_id = accounts.credential_member(cx, project["id"], given)
        kind = "[Basic Auth Based] Failed API Permissions."
    else:
        member_id = user["member_id"] if user is not None else None
        kind = "[Human User Based] Failed Project Permissions."
    level = None if member_id is None else accounts.level_of(cx, project["id"], member_id)
    if member_id is None or level not in roles:
        raise fault(403, f"{SCOPE} {kind} Allowed roles are only: {list(roles)}")
    return Caller(project, member_id, None if user is None else user["id"])


def person(cx: sqlite3.Connection, request: Request) -> sqlite3.Row:
    """The person of a browser session: an API credential is nobody here.

    Raises:
        ReplyError: 401, nobody is logged in.
    """
    user = _user(cx, request)
    if user is None:
        raise fault(401, "401 Unauthorized: Please login [No user_id].")
    return user


def allow(roles: tuple[str, ...]) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that lets callers with one of these roles into the project named in the path."""

    async def dependency(request: Request) -> Caller:
        sandbox = await get_sandbox(request)
        with sandbox.database.read() as cx:
            return authorize(cx, request, request.path_params["project"], roles)

    return dependency


Viewer = Annotated[Caller, Depends(allow(VIEW))]
Reader = Annotated[Caller, Depends(allow(READ))]
Writer = Annotated[Caller, Depends(allow(WRITE))]


def _basic(request: Request) -> Credential | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Credential(client_id, secret)


def _user(cx: sqlite3.Connection, request: Request) -> sqlite3.Row | None:
    token = request.cookies.get(COOKIE)
    return None if token is None else accounts.session_user(cx, token)


def _nobody(request: Request) -> ReplyError:
    # The recorded server looks at the User-Agent; requests calls itself "python-requests".
    if request.headers.get("user-agent", "").startswith("python"):
        text = "403 Forbidden: Check client_id client_secret - Missing sending basic auth while using python SDK."
        return fault(403, text)
    return fault(401, "401 Unauthorized: (Project Scope) No access. [Human User Based]  Failed LoggedIn ")
