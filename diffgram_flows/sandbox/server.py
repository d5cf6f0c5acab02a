"""The server process: one data folder, one port, until it is told to stop or its parent is gone."""

from __future__ import annotations

import argparse
import asyncio
import errno
import fcntl
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.app import create_app
from diffgram_flows.sandbox.bootstrap import Keys, bootstrap
from diffgram_flows.sandbox.core import Sandbox
from diffgram_flows.sandbox.settings import SandboxSettings

HOST = "127.0.0.1"
LAST_RESORT = 15.0


class ReachableTransport(HttpToolsProtocol):
    """Tells the application its transport, so that it can answer with what is not HTTP."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport in the state that every request of this connection gets."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def write_keys(keys: Keys) -> None:
    """Tell a parent process: one line of JSON on standard output."""
    sys.stdout.buffer.write(orjson.dumps(asdict(keys), option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


class _AnnouncingServer(uvicorn.Server):
    """Tells the keys once requests are accepted."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._announce()


def main(arguments: list[str] | None = None) -> None:
    """Run a server.

    Raises:
        ConfigurationError: Another server uses the folder, or the wanted port is taken.
    """
    parser = argparse.ArgumentParser("python -m diffgram_flows.sandbox", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the sandbox's state")
    parser.add_argument("--port", type=int, default=0, help="0: the one of the last time, or any free one")
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when standard input is closed")
    SandboxSettings.add_arguments(parser)
    parsed = parser.parse_args(arguments)
    serve(parsed.data, SandboxSettings.from_arguments(parsed), parsed.port, parsed.exit_with_parent)


def serve(
    folder: Path,
    settings: SandboxSettings,
    port: int = 0,
    exit_with_parent: bool = False,
    *,
    announce: Callable[[Keys], None] = write_keys,
) -> None:
    """Serve a data folder until SIGINT, SIGTERM or, if so wished, the end of standard input.

    Args:
        folder: The state; made if it is missing.
        settings: How the server behaves.
        port: 0 for that of the last time or any free one.
        exit_with_parent: Stop when standard input is closed.
        announce: Told the keys once requests are accepted.

    Raises:
        ConfigurationError: The folder is not writable or used by another server, or the port cannot be listened on.
        KeyboardInterrupt: It was stopped by SIGINT; everything is closed by then.
    """
    with _alone(folder), _listening(folder, port) as listener:
        sandbox = Sandbox.open(folder, settings)
        keys = replace(bootstrap(sandbox.database, folder), url=f"http://{HOST}:{listener.getsockname()[1]}")
        keys.write(folder)
        config = uvicorn.Config(
            create_app(sandbox),
            http=ReachableTransport,
            ws="none",
            lifespan="on",
            access_log=False,  # signed links must not reach a log
            server_header=False,
            log_level="warning",
            timeout_keep_alive=75,  # that of the proxy in front of the recorded server
            timeout_graceful_shutdown=5,
        )
        server = _AnnouncingServer(config, lambda: announce(keys))
        if exit_with_parent:
            threading.Thread(target=_watch_parent, args=(server,), daemon=True).start()
        server.run(sockets=[listener])


def _watch_parent(server: uvicorn.Server) -> None:
    # Not sys.stdin: its lock would be held at interpreter exit by this blocked thread.
    while os.read(0, 4096):
        pass
    server.should_exit = True
    threading.Event().wait(LAST_RESORT)
    os._exit(1)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("a")
    except OSError as error:
        raise ConfigurationError(
            f"The sandbox cannot write to its data folder {folder}: {error.strerror}.", cure="Choose another folder."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"Another sandbox runs on {folder}.", cure="Stop it, or choose another data folder."
            ) from None
        yield


@contextmanager
def _listening(folder: Path, port: int) -> Iterator[socket.socket]:
    # asyncio turns Nagle's delay off only for sockets that say they are TCP; with it every reply takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wanted = port or _last_port(folder)
        try:
            listener.bind((HOST, wanted))
        except (OSError, OverflowError) as error:
            if port or getattr(error, "errno", None) != errno.EADDRINUSE:
                reason = getattr(error, "strerror", None) or "ports are numbers up to 65535"
                raise ConfigurationError(
                    f"The sandbox cannot listen on port {wanted}: {reason}.", cure="Choose another port, or 0."
                ) from error
            listener.bind((HOST, 0))
        yield listener


def _last_port(folder: Path) -> int:
    keys = Keys.read(folder)
    return (urlsplit(keys.url).port or 0) if keys else 0
