"""The server process: one port, until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from diffgram_flows.brains import Registry
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.service.app import create_app
from diffgram_flows.service.settings import ServiceSettings

_GRACE = 20  # seconds for requests that are being answered when it is told to stop
_CONNECTIONS = 1000


class _AnnouncingServer(uvicorn.Server):
    """Tells its address once requests are accepted."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[str], None], url: str) -> None:
        super().__init__(config)
        self._announce = announce
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce(self._url)


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
    with _listening(host, port) as listener:
        at, number = listener.getsockname()[:2]
        url = f"http://{f'[{at}]' if ':' in at else at}:{number}"
        config = uvicorn.Config(
            create_app(registry, settings),
            lifespan="on",
            ws="none",
            access_log=False,  # signed links must not reach a log
            server_header=False,
            log_level="warning",
            limit_concurrency=_CONNECTIONS,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_GRACE,
        )
        _AnnouncingServer(config, announce, url).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise ConfigurationError(
            f"The service cannot listen on {host}:{port}: {error.strerror}.", cure="Choose another port, or 0."
        ) from error
    return listener
