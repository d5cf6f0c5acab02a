"""An import through a server whose requests go wrong, and whose workers die."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from servers.bench import Bench

from diffgram_flows.errors import DiffgramError
from diffgram_flows.importing import import_new
from diffgram_flows.sandbox.process import SandboxProcess

OBJECTS = 15
TROUBLES: dict[str, Any] = {"fault_rate": 0.2, "fault_delay": 0.05, "worker_death_rate": 0.2, "seed": 5}


def test_each_object_is_imported_exactly_once_whatever_happens(
    make_bench: Callable[[SandboxProcess], Bench], tmp_path: Path
) -> None:
    data = tmp_path / "sandbox"
    with SandboxProcess(data, rate_limits=False) as calm:  # the dataset is made in peace
        bench = make_bench(calm)
    bench.draw(OBJECTS)
    with SandboxProcess(data, rate_limits=False, **TROUBLES) as sandbox:
        assert sandbox.url == calm.url
        runs = 0
        while bench.states() != {"imported": OBJECTS}:
            runs += 1
            assert runs < 30, bench.states()
            try:
                import_new(
                    bench.client,
                    bench.store,
                    "",
                    bench.ledger,
                    directory_id=bench.directory_id,
                    poll=0.05,
                    timeout=30,
                    stuck_after=1.0,
                    max_attempts=10,
                )
            except DiffgramError:
                continue  # what the caller of an import does when the server cannot be used: later once more
    with SandboxProcess(data, rate_limits=False):
        rows = bench.ledger.objects.rows("imported")
        assert bench.names() == sorted(row.file_name for row in rows)
        assert {row.file_id for row in rows} == set(bench.client.file_ids(bench.directory_id))
        assert len(rows) == OBJECTS
