"""Who may use the service: credentials of the project, as Diffgram knows them, or one that the service was given."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from starlette.requests import Request

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import AuthenticationError, ConfigurationError, DiffgramError, ProjectNotFound
from diffgram_flows.service.refusals import RETRY, Refusal
from diffgram_flows.service.settings import ServiceSettings

_REMEMBERED = 512  # credentials, good and bad ones
_BAD_SECONDS = 15.0  # a credential that was made a moment ago is soon believed
_AT_ONCE = 4  # questions to Diffgram
_SCOPE = "403 Forbidden: (Project Scope) No access."
_FAILED = f"{_SCOPE} [Basic Auth Based] Failed API Permissions."
_NO_KEY = "403 Forbidden: Check client_id client_secret - Missing sending basic auth while using python SDK."


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is let in.

    Attributes:
        client_id, client_secret: What to ask Diffgram with on the caller's behalf; empty if there is nothing.
    """

    client_id: str = ""
    client_secret: str = field(default="", repr=False)


class Doorman:
    """Lets callers in.

    Secrets are compared in constant time and remembered as keyed digests only.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._salt = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[float, bool]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[bool]] = {}
        self._questions = asyncio.Semaphore(_AT_ONCE)
        own = (settings.client_id, settings.client_secret)
        self._pair = self._digest(*own) if all(own) else b""
        self._token = self._digest(settings.token) if settings.token else b""
        self._own = Caller(*own) if all(own) else Caller()

    async def let_in(self, request: Request, project: str | None = None) -> Caller:
        """Let the caller of a request in.

        Args:
            request: With a credential by HTTP basic, or a bearer token.
            project: The project that the path names.

        Raises:
            Refusal: 401 without a credential, 403 with a wrong one or for another project, 503 if Diffgram is away.
        """
        if project is not None and self._settings.project and project != self._settings.project:
            raise _forbidden("This service serves another project.", "403 Forbidden: Can't find project")
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and value:
            if self._token and hmac.compare_digest(self._digest(value.strip()), self._token):
                return self._own
            raise _forbidden("The token is wrong.", _FAILED)
        given = _basic(value) if scheme.lower() == "basic" else None
        if given is None:
            raise Refusal(
                401,
                "Unauthorized",
                "The request has no credential.",
                "Send client id and client secret by HTTP basic, or a bearer token.",
                {"WWW-Authenticate": 'Basic realm="brains"'},
                _NO_KEY,
            )
        if not given.client_secret:
            raise _forbidden(
                "The credential has no secret.", f"{_SCOPE} [Basic Auth Based]  No password. (client_secret)"
            )
        if not await self._is_good(given):
            raise _forbidden("The credential is wrong, or belongs to another project.", _FAILED)
        return given

    async def _is_good(self, given: Caller) -> bool:
        key = self._digest(given.client_id, given.client_secret)
        if self._pair and hmac.compare_digest(key, self._pair):
            return True
        if not (self._settings.diffgram_url and self._settings.project):
            return False
        until, good = self._known.get(key, (0.0, False))
        if until > time.monotonic():
            return good
        task = self._asking.get(key)  # many requests of one caller ask once
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(key, given))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _ask(self, key: bytes, given: Caller) -> bool:
        async with self._questions:
            good = await asyncio.to_thread(self._ask_diffgram, given)
        self._known[key] = (time.monotonic() + (self._settings.key_seconds if good else _BAD_SECONDS), good)
        self._known.move_to_end(key)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return good

    def _ask_diffgram(self, given: Caller) -> bool:
        try:
            with DiffgramClient(
                self._settings.diffgram_url,
                self._settings.project,
                given.client_id,
                given.client_secret,
                timeout=10,
                retries=1,
            ) as client:
                client.schemas()  # the cheapest call that is not open to everybody where the project is public
        except (AuthenticationError, ProjectNotFound, ConfigurationError):
            return False
        except DiffgramError as error:
            raise Refusal(503, type(error).__name__, error.what, "Try again soon.", RETRY) from error
        return True

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._salt, "\0".join(parts).encode(), hashlib.sha256)


def _basic(value: str) -> Caller | None:
    try:
        client_id, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return Caller(client_id, secret) if colon and client_id else None


def _forbidden(what: str, recorded: str) -> Refusal:
    return Refusal(403, "Forbidden", what, "Check client id, client secret and project.", recorded=recorded)
