"""An Azure Blob Storage that verifies: azurite, a program of npm, if this machine has it.

It is found on the ``PATH`` or named in ``AZURITE`` (``npm install azurite`` gives ``node_modules/.bin/azurite-blob``).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, which is printed in its manual."""

GUEST_KEY = "QUFB"
START_SECONDS = 30


@dataclass(frozen=True)
class AzureServer:
    """Where it listens, and a client that puts things in."""

    endpoint: str
    client: Any
    account: str = ACCOUNT
    key: str = KEY
    guest_key: str = GUEST_KEY


def azurite() -> str | None:
    """The program, if it is here."""
    return os.environ.get("AZURITE") or shutil.which("azurite-blob")


@contextmanager
def running_azurite(program: str, folder: Path) -> Iterator[AzureServer]:
    """Azurite with its data in ``folder``."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = int(probe.getsockname()[1])
    command = [
        program,
        "--blobPort",
        str(port),
        "--location",
        str(folder),
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        with BlobServiceClient(endpoint, credential={"account_name": ACCOUNT, "account_key": KEY}) as client:
            yield AzureServer(endpoint, client)
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise TimeoutError("azurite does not listen")


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """One azurite for all tests of a run."""
    program = azurite()
    if program is None:
        pytest.skip("azurite is not here: npm install azurite, and name its azurite-blob in AZURITE")
    with running_azurite(program, tmp_path_factory.mktemp("azurite")) as server:
        yield server
