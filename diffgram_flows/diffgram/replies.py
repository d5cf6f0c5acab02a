"""What an HTTP reply means: the error shapes of contract sections 1 and 2 as our exceptions."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from diffgram_flows.diffgram.redaction import without_secrets
from diffgram_flows.diffgram.troubles import Trouble
from diffgram_flows.errors import (
    AuthenticationError,
    DiffgramError,
    InvalidRequest,
    ProjectNotFound,
    RateLimited,
    ServerError,
    SessionRequired,
    UnexpectedReply,
)

_MAX_TEXT = 300  # characters of a server's text in a message
# What the server says when it looked up an id that does not exist and used the result unseen.
_UNKNOWN_ID = re.compile(r"object has no attribute|object is not subscriptable|schema Required")
# A GET of an unknown address: the server looks for its web page (contract section 2).
_NO_PAGE = {"error": "index.html"}


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The parsed body.

        Raises:
            ValueError: It is not JSON.
        """
        return json.loads(self.content)

    @property
    def body(self) -> Any:
        """The parsed body, or its text where it is not JSON; for errors, which come as either."""
        try:
            return self.json()
        except ValueError:
            return self.content.decode(errors="replace")

    @property
    def retry_after(self) -> float | None:
        """Seconds; ``None`` without a usable header. Good replies carry it, too: look at it only with 429."""
        text = self.headers.get("Retry-After", "").strip()
        try:
            seconds = float(text)
        except ValueError:
            return _seconds_until(text)
        return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(http_date: str) -> float | None:
    try:
        moment = parsedate_to_datetime(http_date)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def fields_of(body: object) -> dict[str, str]:
    """The reasons in an error reply of any shape (contract section 2), field name to text, without secrets.

    Plain texts come under the name ``error``. A refused upload adds what its ``input`` row says.
    """
    found: dict[str, Any] = {}
    if not isinstance(body, dict):
        return {"error": _text(body)} if body else {}
    log = body.get("log")
    for error in (log.get("error") if isinstance(log, dict) else None, body.get("error"), body.get("message")):
        found |= error if isinstance(error, dict) else {"error": error} if error else {}
    row = body.get("input")
    if isinstance(row, dict):
        found["status_text"] = row.get("status_text")
        update_log = row.get("update_log")
        error = update_log.get("error") if isinstance(update_log, dict) else None
        found |= error if isinstance(error, dict) else {}
    return {str(name): _text(value) for name, value in found.items() if value not in (None, "", {}, [])}


def _text(value: object) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{key}: {item}" for key, item in value.items())
    text = " ".join(without_secrets(str(value)).split())
    return text if len(text) <= _MAX_TEXT else f"{text[:_MAX_TEXT]}..."


def _said(fields: Mapping[str, str]) -> str:
    """The reasons as the end of a sentence."""
    own_words = {"error", "status_text"}
    told = {name: text for name, text in fields.items() if name != "existing_file_id"}  # the status text says it, too
    named = (text if name in own_words else f"{name}: {text}" for name, text in told.items())
    text = "; ".join(dict.fromkeys(named)).rstrip(". ")
    return f": {text}." if text else "."


def refusal(reply: Reply, about: str, unseen: str) -> Trouble | None:
    """What a reply that is no success means, ``None`` for a good one.

    Args:
        reply: Any reply.
        about: The object of the call, as errors name it: "the packet for 'a.jpg' (dataset 2)".
        unseen: What the server may have used unchecked: "the ids in the call exist".
    """
    if 200 <= reply.status < 300:
        return None
    if 300 <= reply.status < 400:
        return Trouble(_redirected(reply, about), "permanent")
    fields = fields_of(reply.body)
    if reply.status == 429:
        return _too_many(reply, about, fields)
    if reply.status >= 500:
        return _server_failed(reply, about, unseen, fields)
    make = {401: _not_logged_in, 403: _forbidden, 404: _unknown_path, 405: _unknown_path}.get(reply.status, _invalid)
    return Trouble(make(reply.status, about, fields), "permanent")


def _invalid(status: int, about: str, fields: dict[str, str]) -> DiffgramError:
    return InvalidRequest(
        f"The server refused {about}{_said(fields)}",
        cure="Correct what it names, and send it again.",
        status=status,
        fields=fields,
    )


def _not_logged_in(status: int, about: str, fields: dict[str, str]) -> DiffgramError:
    if "Please login" in _said(fields):
        return SessionRequired(
            f"The server gives {about} to a browser login only{_said(fields)}",
            cure="Do this in the web page of Diffgram; an API credential cannot.",
            status=status,
            fields=fields,
        )
    return AuthenticationError(
        f"The server did not accept the credential for {about}{_said(fields)}",
        cure="Set the client id and the client secret of an API credential of this project.",
        status=status,
        fields=fields,
    )


def _forbidden(status: int, about: str, fields: dict[str, str]) -> DiffgramError:
    said = _said(fields)
    if "Can't find project" in said:
        return ProjectNotFound(
            f"The project does not exist; the call was for {about}{said}",
            cure="Use the project's string id, as it stands in the address of its web page.",
            status=status,
            fields=fields,
        )
    if "No job" in said:
        return _invalid(status, about, fields)
    return AuthenticationError(
        f"The server forbids {about}{said}",
        cure="Check the client id, the client secret, that the credential's role (admin, Editor, Viewer) allows this, "
        "and that the ids belong to this project.",
        status=status,
        fields=fields,
    )


def _unknown_path(status: int, about: str, fields: dict[str, str]) -> DiffgramError:
    return UnexpectedReply(
        f"The server does not know the address for {about} ({status}){_said(fields)}",
        cure="Check the server's URL, without any path behind it, and its version.",
        status=status,
        fields=fields,
    )


def _too_many(reply: Reply, about: str, fields: dict[str, str]) -> Trouble:
    wait = reply.retry_after
    if wait is not None:
        fields = fields | {"retry_after": f"{wait:.0f}"}
    error = RateLimited(
        f"The server takes no more calls for {about} now{_said(fields)}",
        cure="Send less at the same time, and try again later.",
        status=reply.status,
        fields=fields,
    )
    return Trouble(error, "limited", wait or 0.0)


def _server_failed(reply: Reply, about: str, unseen: str, fields: dict[str, str]) -> Trouble:
    if fields == _NO_PAGE:
        return Trouble(_unknown_path(reply.status, about, fields), "permanent")
    if _UNKNOWN_ID.search(" ".join(fields.values())):
        what = f"The server tripped over {about}{_said(fields)}"
        cure = f"Check that {unseen}; trying again cannot help."
        return Trouble(InvalidRequest(what, cure=cure, status=reply.status, fields=fields), "permanent")
    if not isinstance(reply.body, dict):  # a proxy's page, not the server's words
        fields = {}
    error = ServerError(
        f"The server failed on {about} with {reply.status}{_said(fields)}",
        cure="Try again; if it stays, look into the server's log, and check the ids in the call.",
        status=reply.status,
        fields=fields,
    )
    return Trouble(error, "uncertain")


def _redirected(reply: Reply, about: str) -> DiffgramError:
    secure = reply.headers.get("Location", "").startswith("https:")
    return InvalidRequest(
        f"The server wants {about} at another address ({reply.status}); a redirect is not followed, "
        "because it would turn the call into another one.",
        cure="Use a server URL that begins with https://." if secure else "Use the server's final URL.",
        status=reply.status,
    )
