"""Fixed windows for each client address and endpoint (contract section 3 and ``15_throughput``)."""

from __future__ import annotations

import math
import re
import threading
import time
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from diffgram_flows.sandbox.replies import JsonReply

SECOND, MINUTE, HOUR, DAY = 1, 60, 3600, 86_400
UNITS = {SECOND: "second", MINUTE: "minute", HOUR: "hour", DAY: "day"}
PROJECT = "/api(/walrus)?(/v1)?/project/[^/]+"


@dataclass(frozen=True, slots=True)
class Rule:
    """The limits of one endpoint: pairs of calls and seconds."""

    path: re.Pattern[str]
    windows: tuple[tuple[int, int], ...]


def _rule(path: str, *windows: tuple[int, int]) -> Rule:
    return Rule(re.compile(path), windows)


RULES = (
    _rule(f"{PROJECT}/input/packet", (20, SECOND)),
    _rule(f"{PROJECT}/upload/large", (4, SECOND)),
    _rule(f"{PROJECT}/input/update", (300, DAY)),
    _rule("/api/v1/job/[^/]+/builder/info", (300, DAY)),
    _rule("/api/v1/task", (1, SECOND), (50, MINUTE), (500, DAY)),
    _rule(f"{PROJECT}/attribute/group/new", (10, DAY)),
    _rule(f"{PROJECT}/job/dir/attach", (20, DAY)),
    _rule("/api/v1/job/cancel", (10, DAY)),
    _rule(f"{PROJECT}/export/to_file", (1000, MINUTE)),
    _rule(f"{PROJECT}/directory/update", (100, DAY)),
    _rule(f"{PROJECT}/actions/workflow/[^/]+/action", (20, DAY)),
    _rule(f"{PROJECT}/actions/[0-9]+", (20, DAY)),
    _rule("/api/project/new", (25, DAY)),
    _rule("/api/user/login", (40, HOUR), (120, DAY)),
    _rule("/api/.*", (10_000, SECOND)),
)


@dataclass(slots=True)
class _Window:
    ends: float = 0.0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """One call against one window."""

    limit: int
    seconds: int
    remaining: int
    reset: float
    exceeded: bool

    def headers(self) -> dict[str, str]:
        """The four headers that every limited reply carries, a good one too."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
            "Retry-After": str(max(1, math.ceil(self.reset - time.time()))),
        }


@dataclass(slots=True)
class RateLimiter:
    """Counts calls in memory: like the recorded ones, the counters die with the process."""

    _windows: dict[tuple[str, int, int], _Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, client: str, path: str) -> Verdict | None:
        """Count a call; the verdict is that of the window which is nearest to its limit."""
        for number, rule in enumerate(RULES):
            if rule.path.fullmatch(path):
                with self._lock:
                    verdicts = [self._count_one((client, number, seconds), limit) for limit, seconds in rule.windows]
                return min(verdicts, key=lambda verdict: (not verdict.exceeded, verdict.remaining))
        return None

    def _count_one(self, key: tuple[str, int, int], limit: int) -> Verdict:
        now = time.time()
        window = self._windows.setdefault(key, _Window())
        if now >= window.ends:
            window.ends, window.calls = now + key[2], 0
        window.calls += 1
        return Verdict(limit, key[2], max(0, limit - window.calls), window.ends, window.calls > limit)


def limit_of(path: str) -> tuple[int, int]:
    """The shortest window of an endpoint, as calls and seconds."""
    return next((rule for rule in RULES if rule.path.fullmatch(path)), RULES[-1]).windows[0]


def too_many(verdict: Verdict) -> JsonReply:
    """The recorded 429."""
    text = f"429 Too Many Requests: {verdict.limit} per 1 {UNITS[verdict.seconds]}"
    return JsonReply({"error": text}, 429, headers=verdict.headers())


class RateLimitMiddleware:
    """Answers 429 to what is too much, before anything else looks at the request."""

    def __init__(self, app: ASGIApp, limiter: RateLimiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = (scope.get("client") or ("", 0))[0]
        verdict = self._limiter.count(client, scope["path"]) if scope["type"] == "http" else None
        if verdict is None:
            await self._app(scope, receive, send)
        elif verdict.exceeded:
            await too_many(verdict)(scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send, verdict))


def _with_headers(send: Send, verdict: Verdict) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(verdict.headers())
        await send(message)

    return sending
