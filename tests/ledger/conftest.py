from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.postgres import PostgresServer, postgres

from diffgram_flows.ledger import Ledger, open_ledger

__all__ = ["postgres"]

TARGET = "http://diffgram/project/1"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_place()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = open_ledger(url, TARGET)
    yield opened
    opened.close()
