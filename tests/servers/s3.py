"""A real S3 server that really verifies signatures: OpenStack Swift, from its package, on this machine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config

from diffgram_flows.storage import folder_s3

PROGRAM = Path(__file__).with_name("swift_process.py")
REGION = "eu-test-1"
START_SECONDS = 60


OWNER = ("test:tester", "testing")
GUEST = ("test:guest", "guesting")


class S3Server:
    """Where it listens, its owner, a guest who may do nothing (each: access key, secret), and the owner's client."""

    region = REGION
    owner = OWNER
    guest = GUEST

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        access_key, secret = OWNER
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def reached_by(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the environment say how the owner reaches it, and nobody wait for other writers, as there are none."""
        access_key, secret = self.owner
        for name, value in {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(folder_s3, "SETTLE_SECONDS", 0.02)


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """Swift in a process of its own, with its data in ``folder``, which must not exist yet."""
    users = [[*user.split(":"), secret, group] for (user, secret), group in ((OWNER, ".admin"), (GUEST, ".nothing"))]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(PROGRAM), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the pipes to Swift are missing")
    try:
        process.stdin.write(json.dumps({"region": REGION, "users": users}) + "\n")
        process.stdin.flush()
        server = S3Server(f"http://127.0.0.1:{int(process.stdout.readline())}")
        _wait_for(server)
        yield server
        server.client.close()
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(timeout=30)


def _wait_for(server: S3Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    while requests.get(f"{server.endpoint}/healthcheck", timeout=START_SECONDS).status_code != 200:
        if time.monotonic() > deadline:
            raise TimeoutError("Swift does not become healthy")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One Swift for all tests of a run."""
    with running_s3(tmp_path_factory.mktemp("s3") / "swift") as server:
        yield server
