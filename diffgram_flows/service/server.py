"""The server process: one port, until it is told to stop."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import uvicorn

from diffgram_flows.brains import Registry
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.service.app import create_app
from diffgram_flows.service.settings import ServiceSettings

_ANSWERING = 5  # seconds from the end of a request's time to the end of its answer, when the service is told to stop
_CONNECTIONS = 1000


class Server(uvicorn.Server):
    """One that tells when requests are accepted, and keeps no connection on which none comes.

    uvicorn itself waits for ever for the first request of a connection, and for the rest of its headers, so whoever
    opens a thousand connections and says nothing would keep everybody else out.

    Args:
        registry: The brains.
        settings: How the service behaves.
        announce: Called once, when requests are accepted.
    """

    def __init__(self, registry: Registry, settings: ServiceSettings, announce: Callable[[], None]) -> None:
        config = uvicorn.Config(
            create_app(registry, settings),
            lifespan="on",
            http="httptools" if find_spec("httptools") else "h11",
            ws="none",
            access_log=False,  # signed links must not reach a log
            server_header=False,
            log_level="warning",
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=math.ceil(settings.idle_timeout),
            timeout_graceful_shutdown=math.ceil(settings.request_timeout) + _ANSWERING,
        )
        super().__init__(config)
        self._announce = announce
        self._patience = settings.idle_timeout
        self._idle: dict[Any, tuple[Any, float]] = {}  # connection to its last request, and since when it has been seen

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        self._close_idle()
        return await super().on_tick(counter)

    def _close_idle(self) -> None:
        now = time.monotonic()
        idle: dict[Any, tuple[Any, float]] = {}
        connections: set[Any] = self.server_state.connections
        for connection in connections:
            request = connection.cycle  # of HTTP/1.1 with h11 or httptools, the only ones that are asked for
            if request is not None and not request.response_complete:
                continue
            last, since = self._idle.get(connection, (request, now))
            idle[connection] = (request, since if last is request else now)
            if now - idle[connection][1] > self._patience:
                connection.transport.close()
        self._idle = idle


def serve(registry: Registry, settings: ServiceSettings, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests that are being answered then get their answer.

    Args:
        registry: The brains.
        settings: How the service behaves.
        host: Address to listen on.
        port: 0 for any free one.
        announce: Told the URL once requests are accepted.

    Raises:
        ConfigurationError: The port cannot be listened on.
        KeyboardInterrupt: It was stopped by SIGINT; everything is closed by then.
    """
    with listening(host, port) as listener:
        at, number = listener.getsockname()[:2]
        url = f"http://{f'[{at}]' if ':' in at else at}:{number}"
        Server(registry, settings, lambda: announce(url)).run(sockets=[listener])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        ConfigurationError: There is no such address, or it is in use.
    """
    if not 0 <= port <= 65_535:
        raise ConfigurationError(f"{port} is no port.", cure="Give a --port from 1 to 65535, or 0 for any free one.")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(
            f"The service cannot listen on {host!r}, which is no address of this machine ({error}).",
            cure="Give a --host like 127.0.0.1, or 0.0.0.0 for all addresses of this machine.",
        ) from error
    try:
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ConfigurationError(
            f"The service cannot listen on {host}, port {port}: {error.strerror}.",
            cure="Choose another --port, 0 for any free one, or an address of this machine as --host.",
        ) from error
