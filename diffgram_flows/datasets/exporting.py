"""Export what people finished: start it, wait, download, read, check.

Only files that the ledger knows as finished are kept. An export does not say who drew a box (contract section 11), so
the predictions that we sent look like human work in it; on a finished file a person has looked at every box, on any
other file nobody has. This is the provenance shield of the training data.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from diffgram_flows.datasets.completeness import ExportRecord, check_complete
from diffgram_flows.datasets.parsing import read_export
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import IncompleteExport, NotEnoughData
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Progress, no_progress

_LONGEST_PAUSE = 10.0  # seconds between two looks at a long export


@dataclass(frozen=True, slots=True)
class FinishedExport:
    """A complete export, reduced to the finished files of the dataset.

    Attributes:
        export_id: Diffgram's id of the export.
        records: The files in order of id.
        label_names: The labels that exist: label file id to name.
        elsewhere: Finished files that are not in the dataset: removed from it, or of another one.
    """

    export_id: int
    records: tuple[ExportRecord, ...]
    label_names: Mapping[int, str]
    elsewhere: tuple[int, ...] = ()


def export_finished(
    client: DiffgramClient,
    ledger: Ledger,
    *,
    directory_id: int,
    folder: Path,
    schema_id: int | None = None,
    timeout: float = 600,
    poll: float = 0.5,
    progress: Progress = no_progress,
) -> FinishedExport:
    """Export the files of a dataset that people finished.

    The JSON is never in memory as a whole. It holds signed URLs, so it is kept in a nameless file that is gone with
    the process.

    Args:
        client: The server.
        ledger: Knows which files are finished; its tasks should have been refreshed just before.
        directory_id: The dataset.
        folder: A folder on a disk with room for the export.
        schema_id: Whose labels boxes may have; ``None`` accepts every label of the project.
        timeout: Seconds until the export must be ready.
        poll: Seconds between the first two looks; the pauses grow.
        progress: Told the server's percentage.

    Raises:
        NotEnoughData: No file of the dataset is finished.
        IncompleteExport: It failed, took too long, or lacks something; see :func:`check_complete`.
        LabelMapChanged: A box has a label that is not in the schema.
    """
    finished = ledger.work.finished_files()
    expected = finished & set(client.file_ids(directory_id)) if finished else finished
    if not expected:
        raise NotEnoughData(
            "No file of the dataset is finished.", cure="Complete some annotation tasks in Diffgram first."
        )
    known = {label.label_file_id: label.name for label in client.labels(schema_id)} if schema_id is not None else None
    export_id = client.start_export(directory_id=directory_id).id
    _wait(client, export_id, timeout, poll, progress)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file, client.fetch_export(export_id) as stream:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        records, label_map = read_export(cast(IO[bytes], file), expected)
    known = label_map if known is None else known
    check_complete(expected, records, label_map, known)
    return FinishedExport(export_id, records, known, tuple(sorted(finished - expected)))


def _wait(client: DiffgramClient, export_id: int, timeout: float, poll: float, progress: Progress) -> None:
    """Look at the export in growing pauses until it is complete."""
    ends_at = time.monotonic() + timeout
    pause = poll
    while True:
        export = client.export_status(export_id)
        progress(int(export.percent), 100, f"export {export_id}: {export.status}")
        if export.finished:
            return
        if export.status == "failed":
            raise IncompleteExport(
                f"The export {export_id} failed on the server: {export.status_text or 'no reason given'}.",
                cure="Start it again; if it fails again, the reason is in the log of the server's walrus service.",
            )
        if time.monotonic() + pause > ends_at:
            raise IncompleteExport(
                f"The export {export_id} was not ready after {timeout:g} s (status {export.status}, "
                f"{export.percent:g} %).",
                cure="Allow more time, or check that the server's walrus workers run.",
            )
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)
