"""A sandbox server as a child process that dies with its parent."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.sandbox.bootstrap import Keys
from diffgram_flows.sandbox.settings import SandboxSettings

START_PATIENCE = 60.0
STOP_PATIENCE = 20.0


class SandboxProcess:
    """One sandbox server on one data folder.

    State, credentials and (if it is still free) port stay the same from one start to the next. The child watches
    its standard input and stops when this process is gone, however it ended.

    Args:
        data: The folder of the sandbox's state; made if it is missing.
        port: The port to listen on, 0 for that of the last time or any free one.
        settings: Fields of :class:`SandboxSettings`.
    """

    def __init__(self, data: Path, *, port: int = 0, **settings: Any) -> None:
        self.data = data
        self.settings = SandboxSettings(**settings)
        self._port = port
        self._child: subprocess.Popen[bytes] | None = None
        self._keys = Keys()

    @property
    def url(self) -> str:
        """The base URL, without a trailing slash; empty before the first start."""
        return self._keys.url

    @property
    def project(self) -> str:
        """The name of the project."""
        return self._keys.project

    @property
    def client_id(self) -> str:
        """The user name of the admin API credential."""
        return self._keys.client_id

    @property
    def client_secret(self) -> str:
        """The password of the admin API credential."""
        return self._keys.client_secret

    @property
    def email(self) -> str:
        """The login of the one person in the project."""
        return self._keys.email

    @property
    def password(self) -> str:
        """The person's password."""
        return self._keys.password

    def start(self) -> Self:
        """Start the server and wait until it accepts requests.

        Raises:
            ConfigurationError: It does not start; the last lines of its log are in the message.
        """
        if self._child is not None:
            return self
        self.data.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "diffgram_flows.sandbox", "--data", str(self.data), "--port", str(self._port)]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [*command, "--exit-with-parent", *self.settings.arguments()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        if not self._said_hello(self._child):
            self.kill()
            raise ConfigurationError(
                f"The sandbox on {self.data} did not start: {self._last_words()}", cure=f"Read {self._log}."
            )
        self._keys = Keys.read(self.data) or Keys()
        return self

    def stop(self) -> None:
        """Stop the server; imports that it works on are finished first. Does nothing if it does not run."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._gone()

    def kill(self) -> None:
        """End the server at once with SIGKILL, as a crash would."""
        if self._child is not None:
            self._child.kill()
            self._gone()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"SandboxProcess({str(self.data)!r}, url={self.url!r})"

    @property
    def _log(self) -> Path:
        return self.data / "server.log"

    def _said_hello(self, child: subprocess.Popen[bytes]) -> bool:
        # The child writes one line when it is ready; a thread, because reading a pipe has no time limit of its own.
        lines: list[bytes] = []
        reader = threading.Thread(target=_read_line, args=(child.stdout, lines), daemon=True)
        reader.start()
        reader.join(START_PATIENCE)
        return bool(lines and lines[0])

    def _gone(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.wait(STOP_PATIENCE)
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return lines[-1] if lines else "it said nothing."


def _read_line(pipe: IO[bytes] | None, lines: list[bytes]) -> None:
    if pipe is not None:
        lines.append(pipe.readline())
