from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    opened = Stage(tmp_path_factory.mktemp("contract"))
    yield opened
    opened.close()
