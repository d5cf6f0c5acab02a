"""Figures of the tests with faults are shown at the end of the run, so that they can be quoted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict

import pytest
from servers.bench import bench, folder, ledger, make_bench, sandbox, store
from servers.settled import Figures

__all__ = ["bench", "folder", "ledger", "make_bench", "sandbox", "store"]

_lines: list[str] = []


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Notes what was found at the end of a test, and anything else that was counted."""
    begun = time.monotonic()

    def note(figures: Figures, **more: object) -> None:
        facts = {**more, **asdict(figures), "seconds": round(time.monotonic() - begun, 1)}
        _lines.append(f"{request.node.name}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _lines:
        terminalreporter.section("faults")
        for line in _lines:
            terminalreporter.write_line(line)
