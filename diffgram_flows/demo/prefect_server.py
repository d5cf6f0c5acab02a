"""A Prefect server of the demo's own, so that its runs can be looked at and nobody else's are touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from diffgram_flows.errors import ConfigurationError

_START_SECONDS = 120


class PrefectServer:
    """A Prefect server in a process of its own, with its database in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._log = folder / "server.log"
        self.port = _free_port()
        self._process = self._start()

    @property
    def url(self) -> str:
        """Address of the UI."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def api_url(self) -> str:
        return f"{self.url}/api"

    def wait_until_up(self) -> None:
        """Return when the server answers.

        A kill while Prefect was creating its database leaves one that it cannot use. It holds nothing but the history
        of runs, so it is put aside and a new one begun.

        Raises:
            ConfigurationError: The server does not answer within two minutes, or has ended.
        """
        if self._answers():
            return
        self.stop()
        for path in self._folder.glob("prefect.db*"):
            path.replace(path.with_name(f"unusable-{path.name}"))
        self._process = self._start()
        if not self._answers():
            raise ConfigurationError("The Prefect server did not start.", cure=f"Its log is {self._log}.")

    def stop(self) -> None:
        """End the server."""
        if self._process.stdin:
            self._process.stdin.close()
        self._process.wait(20)

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PREFECT_HOME": str(self._folder),
            "PREFECT_API_URL": self.api_url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        }
        command = [sys.executable, "-m", "diffgram_flows.demo.guard", sys.executable, "-m", "prefect"]
        command += ["server", "start", "--host", "127.0.0.1", "--port", str(self.port)]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )

    def _answers(self) -> bool:
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                if requests.get(f"{self.api_url}/health", timeout=2).ok:
                    return True
            except requests.RequestException:
                time.sleep(0.3)
        return False


@contextmanager
def prefect_server(folder: Path) -> Iterator[PrefectServer]:
    """Start a server; it may still be starting when the block begins. It ends with the block."""
    server = PrefectServer(folder)
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
