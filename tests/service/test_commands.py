"""``diffgram-flows brain serve``."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from servers.brain_service import wait_for
from service.conftest import registry_of

from diffgram_flows.brains import BrainRecord
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.service import ServiceSettings


def test_a_service_is_started_and_stopped(learned: BrainRecord, picture: bytes, tmp_path: Path) -> None:
    registry_of(learned, tmp_path / "brains")
    command = [sys.executable, "-m", "diffgram_flows.cli", "brain", "serve", "--workdir", str(tmp_path), "--port", "0"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DIFFGRAM")}
    environment = {**kept, "DIFFGRAM_BRAIN_SERVICE_TOKEN": "secret of the service"}
    with subprocess.Popen(
        [*command, "--brain", "detector"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found
        wait_for(found.group(), serving="detector@1")
        headers = {"Authorization": "Bearer secret of the service"}
        reply = requests.post(f"{found.group()}/v1/brains/detector/predict", data=picture, headers=headers, timeout=30)
        assert reply.status_code == 200
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Stopped." in out
    assert "secret of the service" not in out + errors


def test_a_service_that_would_let_nobody_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Nothing says who may use the service"):
        ServiceSettings(workdir=tmp_path, client_id="only half")
    with pytest.raises(ConfigurationError, match="limit of the service"):
        ServiceSettings(workdir=tmp_path, token="t", queue_size=0)
    assert "a secret" not in repr(ServiceSettings(workdir=tmp_path, token="a secret", client_secret="a secret"))
