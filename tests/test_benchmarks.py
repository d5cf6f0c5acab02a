"""Every benchmark runs, and writes the figures that its docstring promises."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FIGURES = {
    "client.py": {"packet_throughput_ratio"},
    "datasets.py": {"snapshot_rss_mb", "boxes_per_second", "parse_ratio", "coco_ratio"},
    "importing.py": {
        *("paced_rate_share", "http_429", "unpaced_throughput_ratio", "resync_ratio", "ledger_rows_per_second"),
        *("plan_memory_mb", "events_microseconds", "prefect_overhead_ratio"),
    },
    "listing.py": {"s3_cpu_ratio", "parallel_speedup"},
    "train.py": {"step_ratio"},
    "predict.py": {"pipeline_vs_naive", "pipeline_vs_bound", "rss_growth_mb"},
    "service.py": {"errors", "versions", "per_second", "p50_ms", "p99_ms", "rss_growth_mb", "swap_ratio"},
}


# Starts a Prefect server and six sandboxes; asks a service for a while; puts two training graphs together.
SLOW = {"importing.py", "service.py", "train.py"}


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in FIGURES])
def test_a_benchmark_writes_its_figures(name: str, tmp_path: Path) -> None:
    out = tmp_path / "figures.json"
    command = [sys.executable, str(ROOT / "benchmarks" / name), "--quick", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    figures = json.loads(out.read_text())
    assert figures.keys() >= FIGURES[name]
    assert all(math.isfinite(figures[figure]) and figures[figure] >= 0 for figure in FIGURES[name])
    assert "ratio" in done.stdout


def test_no_benchmark_is_forgotten() -> None:
    runnable = {path.name for path in (ROOT / "benchmarks").glob("*.py") if '"--quick"' in path.read_text()}
    assert runnable == FIGURES.keys()
