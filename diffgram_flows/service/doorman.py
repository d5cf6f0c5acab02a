"""Who may use the service: credentials of the project, as Diffgram knows them, or one that the service was given."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

from starlette.requests import Request

from diffgram_flows.service.permissions import Answers, Caller, Client
from diffgram_flows.service.refusals import Refusal
from diffgram_flows.service.settings import ServiceSettings

_SCOPE = "403 Forbidden: (Project Scope) No access."
_FAILED = f"{_SCOPE} [Basic Auth Based] Failed API Permissions."
_NO_KEY = "403 Forbidden: Check client_id client_secret - Missing sending basic auth while using python SDK."


class Doorman:
    """Lets callers in.

    Secrets are compared in constant time and remembered as keyed digests only.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._salt = secrets.token_bytes(32)
        # The schemas are the cheapest call that is not open to everybody where the project is public.
        self._looks, self._edits = Answers(Client.schemas, settings), Answers(Client.check_editor, settings)
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

    async def let_train(self, caller: Caller) -> None:
        """Let somebody who was let in order a training, which then happens with the same credential.

        Raises:
            Refusal: 403 for a credential that is neither Editor nor admin, 503 if Diffgram is away.
        """
        if not await self._edits.get(self._digest(caller.client_id, caller.client_secret), caller):
            raise Refusal(
                403,
                "Forbidden",
                "Only a credential with the level Editor or admin of the project may order a training.",
                "Come with such a credential, or ask somebody who has one.",
            )

    async def _is_good(self, given: Caller) -> bool:
        key = self._digest(given.client_id, given.client_secret)
        if self._pair and hmac.compare_digest(key, self._pair):
            return True
        if not (self._settings.diffgram_url and self._settings.project):
            return False
        return await self._looks.get(key, given)

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
