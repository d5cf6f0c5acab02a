"""Every kind of bad export that the sandbox can make: its own error, no snapshot, and the next export works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers.studio import Studio, box

from diffgram_flows.errors import DiffgramFlowsError, IncompleteExport, LabelMapChanged, ServerError, UnexpectedReply
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.sandbox.export_faults import KINDS

FILES = 4


@dataclass(frozen=True)
class Bad:
    """What a fault ends in."""

    error: type[DiffgramFlowsError]
    message: str
    cure: str


BAD = {
    "missing_file": Bad(IncompleteExport, r"lacks 1 of 4 finished files: image-00.* \(id \d+\)\.", "Start it again"),
    "truncated": Bad(IncompleteExport, "JSON ends or breaks after [1-3] of 4 finished files", "Start it again"),
    "empty": Bad(IncompleteExport, r"complete but empty, .* 4 finished files must be in it", "Start it again"),
    "unknown_label": Bad(LabelMapChanged, r"image-00.* has a box of label 'unknown' \(id \d+\)", "put the label back"),
    "file_count": Bad(IncompleteExport, "holds 4 files, and the server says that it has 5", "Start it again"),
    "lost_instance": Bad(
        IncompleteExport,
        r"in 1 of 4 files .*: image-00.* has 1 annotations instead of 2: 1 are missing, 0 are others",
        "when nobody works on finished files",
    ),
    "slow": Bad(IncompleteExport, r"not ready after 0\.6 s \(status init, 0 %\)", "Allow more time"),
    "status_500": Bad(ServerError, r"failed on the export \d+ with 500", "Try again"),
    "link_500": Bad(ServerError, r"failed on the link of export \d+ with 500", "Try again"),
    "download_500": Bad(ServerError, r"store failed on the download of export \d+ with 500", "Try again"),
    "expired_link": Bad(UnexpectedReply, r"store refused the download of export \d+ with 403", "4 links in a row"),
}


@pytest.fixture
def studio(make_studio: Callable[[SandboxProcess], Studio], tmp_path: Path) -> Iterator[Studio]:
    """One where every second export is bad, in the order of :data:`BAD`."""
    faults = ",".join(f"{fault},none" for fault in BAD)
    with SandboxProcess(tmp_path / "sandbox", rate_limits=False, task_delay=0.05, export_fault=faults) as sandbox:
        yield make_studio(sandbox)


def test_every_kind_of_bad_export_ends_in_its_own_error_and_loses_nothing(studio: Studio) -> None:
    assert {"none", *BAD} == set(KINDS)
    studio.bench.draw(FILES)
    everything = [box("car"), box("person", 34, 4, 60, 40)]
    studio.finish({f"image-{number:03}.jpg": everything for number in range(FILES)})
    ledger, snapshots = studio.bench.ledger, set[str]()
    said = []
    for fault, bad in BAD.items():
        with pytest.raises(bad.error, match=bad.message) as caught:
            studio.snapshot(timeout=0.6)
        assert bad.cure in caught.value.cure, fault
        said.append(str(caught.value))
        assert {row.snapshot_id for row in ledger.history.snapshots()} == snapshots, fault
        assert {path.name for path in studio.snapshots.glob("*")} == snapshots, fault
        snapshot, report = studio.snapshot()
        snapshots.add(snapshot.id)
        assert (report.images, report.boxes, report.human) == (FILES, 2 * FILES, 2 * FILES), fault
        assert report.new == (len(said) == 1), fault  # the same content each time: the bad ones left nothing behind
    assert len(set(said)) == len(BAD)
    assert "ignature=" not in "".join(said)
    assert not [path for path in studio.workdir.rglob("*") if path.is_file() and b"ignature=" in path.read_bytes()]
