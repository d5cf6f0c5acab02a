"""The recorded shapes of replies, good and bad (contract section 2)."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

FORBIDDEN = (
    "403 Forbidden: You don't have the permission to access the requested resource. "
    "It is either read-protected or not readable by the server."
)
NOT_FOUND = (
    "404 Not Found: The requested URL was not found on the server. "
    "If you entered the URL manually please check your spelling and try again."
)
METHOD_NOT_ALLOWED = "405 Method Not Allowed: The method is not allowed for the requested URL."
BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
)


class ReplyError(Exception):
    """Not a failure of the sandbox: it unwinds a handler to the reply that the recorded server gives."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class JsonReply(Response):
    """JSON with sorted keys, as the recorded server writes it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)


class BrokenStatusLine(Response):
    """What a database error makes of a reply: ``HTTP/1.0 0 gkpj`` and a closed connection, no HTTP at all."""

    def __init__(self, code: str) -> None:
        super().__init__()
        self._line = f"HTTP/1.0 0 {code}\r\n".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport: asyncio.Transport = scope["state"]["transport"]
        transport.write(self._line)
        transport.close()
        message: Message = {"type": ""}
        while message["type"] != "http.disconnect":  # uvicorn would add a 500 while it believes in the connection
            message = await receive()


def log(error: Any = None, info: Any = None, *, success: bool = True) -> dict[str, Any]:
    """The ``log`` that most replies carry."""
    return {"error": {} if error is None else error, "info": {} if info is None else info, "success": success}


def good(**content: Any) -> JsonReply:
    """200 with the content and a good log."""
    return JsonReply({**content, "log": log()})


def refused(error: dict[str, Any] | str, info: Any = None) -> ReplyError:
    """Checked input: 400 with ``log.error``."""
    return ReplyError(JsonReply({"log": log(error, info, success=False)}, 400))


def fault(status: int, text: str) -> ReplyError:
    """Raised inside the server: ``{"error": text}``."""
    return ReplyError(JsonReply({"error": text}, status))


def bare(text: str) -> ReplyError:
    """400 with a bare JSON string."""
    return ReplyError(JsonReply(text, 400))


def plain(text: str) -> ReplyError:
    """400 with plain text that calls itself HTML."""
    return ReplyError(Response(text, 400, media_type="text/html"))


def broken(code: str = "gkpj") -> ReplyError:
    """The broken status line."""
    return ReplyError(BrokenStatusLine(code))


def existing_id(value: object) -> int:
    """A number that the recorded server hands to its database unchecked.

    Raises:
        ReplyError: It is not a number: the broken status line.
    """
    try:
        return int(str(value))
    except ValueError:
        raise broken("9h9h") from None


def one_of(value: object, valid: list[str]) -> None:
    """Check a word against the words that the server knows.

    Raises:
        ReplyError: It is another one.
    """
    if value not in valid:
        raise refused({"valid_values_list": f"{value} not in {valid}"})
