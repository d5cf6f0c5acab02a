"""Troubles on demand: requests that go wrong, workers that die or pause, bytes that come slowly.

Everything is drawn from the seed of the settings. The n-th request to an endpoint meets the same fate each time the
server starts, whatever requests to other endpoints come in between; numbers in a path do not make another endpoint.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffgram_flows.sandbox.media import BUCKET
from diffgram_flows.sandbox.ratelimit import Verdict, limit_of, too_many
from diffgram_flows.sandbox.replies import BAD_GATEWAY, JsonReply
from diffgram_flows.sandbox.settings import SandboxSettings

API = "/api/"
IMAGES, EXPORTS = f"/storage/{BUCKET}/", f"/storage/{BUCKET}/export/"
SERVER_ERROR = (
    "500 Internal Server Error: The server encountered an internal error and was unable to complete your request. "
    "Either the server is overloaded or there is an error in the application."
)


class FaultPlan:
    """Draws the fate of each request."""

    def __init__(self, settings: SandboxSettings) -> None:
        self._rate = settings.fault_rate
        self._kinds = settings.faults
        self._seed = settings.seed
        self._seen: Counter[str] = Counter()

    def next(self, method: str, path: str) -> str | None:
        """The kind of fault that the next request to an endpoint meets, None if it is let through."""
        endpoint = f"{method} {re.sub('[0-9]+', '#', path)}"
        self._seen[endpoint] += 1
        chance = _chance(self._seed, endpoint, self._seen[endpoint])
        return chance.choice(self._kinds) if chance.random() < self._rate else None


def dies(settings: SandboxSettings, input_id: int, attempt: int) -> bool:
    """Whether the worker that takes an attempt at an import dies of it."""
    return _chance(settings.seed, "worker", input_id, attempt).random() < settings.worker_death_rate


@dataclass(frozen=True, slots=True)
class CpuGate:
    """Holds the import workers back for a while, again and again.

    Attributes:
        every: Seconds from the beginning of one pause to that of the next.
        pause: Seconds of a pause.
        opened: The moment of the first pause, on the monotonic clock.
    """

    every: float
    pause: float
    opened: float

    @classmethod
    def of(cls, settings: SandboxSettings) -> CpuGate:
        """The gate that the settings ask for; its first pause begins now."""
        return cls(settings.cpu_gate_every, settings.cpu_gate_pause, time.monotonic())

    def closed_for(self) -> float:
        """Seconds that the workers have to wait from now on; 0 while they may work."""
        if not self.pause:
            return 0.0
        return max(0.0, self.pause - (time.monotonic() - self.opened) % self.every)


class FaultMiddleware:
    """Lets requests to the API go wrong as planned.

    Args:
        app: What is behind.
        plan: Draws the fates.
        delay: Seconds that a delayed request waits.
    """

    def __init__(self, app: ASGIApp, plan: FaultPlan, delay: float) -> None:
        self._app = app
        self._plan = plan
        self._delay = delay
        self._replies: dict[str, Callable[[str], Response]] = {
            "server_error": lambda path: JsonReply({"error": SERVER_ERROR}, 500),
            "bad_gateway": lambda path: Response(BAD_GATEWAY, 502, {"Content-Type": "text/html"}),
            "rate_limit": _limited,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at_risk = scope["type"] == "http" and scope["path"].startswith(API)
        kind = self._plan.next(scope["method"], scope["path"]) if at_risk else None
        if kind == "lost_reply":
            await self._lose(scope, receive)
        elif kind == "reset":
            await _cut(scope, receive, reset=True)
        elif kind in self._replies:
            await drain(receive)
            await self._replies[kind](scope["path"])(scope, receive, send)
        else:
            if kind == "delay":
                await asyncio.sleep(self._delay)
            await self._app(scope, receive, send)

    async def _lose(self, scope: Scope, receive: Receive) -> None:
        """Carry the request out, and tell nobody."""
        try:
            await self._app(scope, receive, _nowhere)
        finally:
            await _cut(scope, receive, reset=False)


class SlowImagesMiddleware:
    """Makes clients wait for the bytes of an image, after the head of the reply."""

    def __init__(self, app: ASGIApp, delay: float) -> None:
        self._app = app
        self._delay = delay

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        waited = scope["type"] != "http" or not scope["path"].startswith(IMAGES) or scope["path"].startswith(EXPORTS)

        async def sending(message: Message) -> None:
            nonlocal waited
            if not waited and message["type"] == "http.response.body":
                waited = True
                await asyncio.sleep(self._delay)
            await send(message)

        await self._app(scope, receive, sending)


async def drain(receive: Receive) -> None:
    """Take the whole body: a client that still sends would not see the reply."""
    more = True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)


async def _cut(scope: Scope, receive: Receive, *, reset: bool) -> None:
    transport: asyncio.Transport = scope["state"]["transport"]
    if reset:  # without it the connection would end as if the server had nothing more to say
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    message: Message = {"type": ""}
    while message["type"] != "http.disconnect":  # uvicorn would add a 500 while it believes in the connection
        message = await receive()


async def _nowhere(_: Message) -> None:
    """Take a message for the client, and forget it."""


def _limited(path: str) -> Response:
    # As near the end of a window: the real ones of a day would stop a client for hours.
    limit, seconds = limit_of(path)
    return too_many(Verdict(limit, seconds, 0, time.time() + 1, exceeded=True))


def _chance(*what: object) -> random.Random:
    return random.Random(" ".join(map(str, what)))  # noqa: S311 - troubles, not secrets
