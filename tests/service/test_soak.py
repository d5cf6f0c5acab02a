"""The service under 32 clients for five minutes, with a new champion in the middle."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "service.py"
GROWTH_MB = 40  # of 900; what the allocator keeps here and there


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_holds_32_clients_for_five_minutes(tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARK), "--clients", "32", "--seconds", "300", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures["errors"] == 0, done.stderr
    assert figures["versions"] == 2
    assert figures["rss_growth_mb"] < GROWTH_MB
