"""More packets on their way than the server's list shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from servers.bench import Bench, Prelabels

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.diffgram.transport import Call
from diffgram_flows.importing import ImportReport, import_new
from diffgram_flows.models import Box
from diffgram_flows.sandbox.process import SandboxProcess


def counted(client: DiffgramClient) -> Counter[str]:
    """How many requests of each kind leave from now on."""
    calls: Counter[str] = Counter()
    send = client._transport.send

    def counting(call: Call) -> Any:
        calls["/".join(call.path.split("/")[-2:])] += 1
        return send(call)

    client._transport.send = counting  # type: ignore[method-assign]
    return calls


def run(bench: Bench, **options: Any) -> ImportReport:
    return import_new(
        bench.client,
        bench.store,
        "",
        bench.ledger,
        directory_id=bench.directory_id,
        **{"poll": 0.05, "timeout": 60, **options},
    )


@pytest.mark.slow
def test_fifteen_hundred_packets_at_once_are_followed_to_their_ends(
    make_bench: Callable[[SandboxProcess], Bench], tmp_path: Path
) -> None:
    with SandboxProcess(tmp_path / "sandbox", rate_limits=False, cpu_gate_every=1000, cpu_gate_pause=3) as sandbox:
        bench = make_bench(sandbox)
        bench.draw(1)
        content = (bench.folder / "image-000.jpg").read_bytes()
        for number in range(1, 1500):
            (bench.folder / f"image-{number:04}.jpg").write_bytes(content)
        for name in ("a.jpg", "b.jpg"):  # the first in the queue, and soon out of the list
            (bench.folder / name).write_text("no image")
        calls = counted(bench.client)
        report = run(bench, window=2000, inspect_headers=False, poll=0.5)
        assert (report.imported, report.failed, report.waiting) == (1500, 2, 0)
        assert len(bench.names()) == 1500
    assert calls.pop("input/packet") == 1502
    assert calls["input/update"] == 0, "nothing was stuck, and the server allows 300 a day"
    assert calls.total() < 150, f"to follow them took {calls}"


@pytest.fixture
def short_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that lists five imports."""
    monkeypatch.setattr("diffgram_flows.importing.listing._LIMIT", 5)


def test_what_no_list_shows_is_found_by_its_name(bench: Bench, short_list: None) -> None:
    bench.draw(40)
    (bench.folder / "image-000.jpg").write_text("no image")
    report = run(bench, inspect_headers=False, stuck_after=1.0, max_attempts=2)
    assert (report.imported, report.waiting) == (39, 0)
    assert [Path(failure.name).name for failure in report.failures] == ["image-000.jpg"]
    assert {row.file_id for row in bench.ledger.objects.rows("imported")} == set(
        bench.client.file_ids(bench.directory_id)
    )


def test_boxes_of_files_that_were_found_by_name_are_not_forgotten(bench: Bench, short_list: None) -> None:
    bench.draw(30)
    run(bench, prelabel=Prelabels((Box(bench.label(), 3, 4, 30, 40, 0.5),)))
    pushes = bench.ledger.pushes.rows()
    assert len(pushes) == 30
    assert {push.state for push in pushes} <= {"confirmed", "intended"}, "reconciling the pushes asks for the rest"
    assert all(push.file_id for push in pushes)
