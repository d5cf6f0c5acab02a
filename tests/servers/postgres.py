"""A PostgreSQL server of the tests' own, and a new database in it for every test that asks.

PostgreSQL refuses to run as root. Where the tests do (containers, CI), it runs as the system's user ``postgres`` or
``nobody``. Without its binaries the tests are skipped, but not in CI.
"""

from __future__ import annotations

import glob
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 30.0  # seconds
_numbers = itertools.count(1)


class PostgresServer:
    """One server on a free port of 127.0.0.1, with its files in a folder that goes with it.

    Args:
        binaries: The folder of ``initdb`` and ``postgres``.
    """

    def __init__(self, binaries: Path) -> None:
        self.port = free_port()
        self._binaries = binaries
        self._as = unprivileged()
        self._folder = Path(tempfile.mkdtemp(prefix="ledger-postgres-"))
        if self._as:
            shutil.chown(self._folder, self._as["user"], self._as["group"])
        self._child: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the cluster. Its language is American English, whose order of letters is not that of their bytes."""
        options = ["--username=ledger", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        icu = ["--locale-provider=icu", "--icu-locale=en-US"]
        command = [str(self._binaries / "initdb"), "--pgdata", str(self._data), *options, *icu]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=_PATIENCE * 4, **self._as)

    def start(self) -> None:
        """Start and wait until it answers."""
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "max_connections": 60,
            "shared_buffers": "128MB",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        watched = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []  # it dies with the tests
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                [*watched, str(self._binaries / "postgres"), "-D", str(self._data), *options],
                stdout=log,
                stderr=log,
                cwd="/",
                **self._as,
            )
        ends_at = time.monotonic() + _PATIENCE
        while not self._answers():
            if time.monotonic() > ends_at or self._child.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {self._log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: open connections are cut, as by an administrator's restart."""
        if self._child is not None:
            self._child.send_signal(how)
            self._child.wait(_PATIENCE)
            self._child = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)  # nothing has to be on the disk
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://ledger:no-secret@127.0.0.1:{self.port}/{database}"

    def new_place(self) -> str:
        """The URL of an empty place for a ledger: a schema, which costs none of the 7 MB of a database."""
        name = f"ledger_{next(_numbers)}"
        self._run(f"CREATE SCHEMA {name}")
        return f"{self.url('postgres')}?options=-csearch_path%3D{name}"

    def new_database(self, options: str) -> str:
        """Make an empty database with these options and give its URL."""
        name = f"ledger_{next(_numbers)}"
        self._run(f"CREATE DATABASE {name} {options}")
        return self.url(name)

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _log(self) -> Path:
        return self._folder / "server.log"

    def _answers(self) -> bool:
        import psycopg

        try:
            self._run("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, statement: str) -> None:
        import psycopg

        place = f"host=127.0.0.1 port={self.port} user=ledger dbname=postgres connect_timeout=5"
        with psycopg.connect(place, autocommit=True) as connection:
            connection.execute(statement.encode())


def find_binaries() -> Path | None:
    """The folder of the newest PostgreSQL server on this machine."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += [Path(found) for found in glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin")]
    fit = [folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()]
    return max(
        fit, default=None, key=lambda folder: [int(part) for part in folder.parent.name.split("-") if part.isdigit()]
    )


def unprivileged() -> dict[str, Any]:
    """How a child process gives up root; empty for those who are not root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    user = known.get("postgres") or known["nobody"]
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start_or_skip() -> PostgresServer:
    """A running server; the test is skipped where there is no PostgreSQL, but fails in CI."""
    binaries = find_binaries()
    if binaries is None:
        missing = "no PostgreSQL server is installed here (initdb and postgres)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    server = PostgresServer(binaries)
    try:
        server.create()
        server.start()
    except BaseException:
        server.remove()
        raise
    return server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server that all tests of a session share: less than a second to start."""
    server = start_or_skip()
    yield server
    server.remove()
