"""Export what people finished: which files it must hold, what annotations may be in it, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from diffgram_flows.datasets.counting import make_spot_check
from diffgram_flows.datasets.generating import generate_export
from diffgram_flows.datasets.labels import extended_label_map
from diffgram_flows.datasets.provenance import Judged, finished_files, make_shield
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Annotation, Progress, no_progress

Judge = Callable[[int, tuple[Annotation, ...]], Judged]


def all_human(file_id: int, annotations: tuple[Annotation, ...]) -> Judged:
    """Takes every annotation for a person's work: where no machine has ever sent any."""
    return Judged(annotations, len(annotations), 0, 0)


def nothing_more() -> None:
    """The end of an export with which nothing is compared."""


@dataclass(frozen=True)
class FinishedExport:
    """An export of a dataset, ready to be read.

    Attributes:
        export_id: Diffgram's id of the export.
        open: Opens its JSON, which holds signed URLs.
        expected: Ids of the finished files, all of which must be in it; other files are passed over.
        label_names: The labels that annotations may have: label file id to name. ``None`` takes the export's own.
        judge: Says of a file's annotations which are a person's work.
        elsewhere: Finished files that are not in the dataset: removed from it, or of another one.
        files: How many files are in it, finished or not, as the server says; ``None`` where it does not.
        conclude: Called when all files were judged; raises ``IncompleteExport`` where the server holds others.
    """

    export_id: int
    open: Callable[[], IO[bytes]]
    expected: Collection[int]
    label_names: Mapping[int, str] | None = None
    judge: Judge = all_human
    elsewhere: tuple[int, ...] = ()
    files: int | None = None
    conclude: Callable[[], None] = nothing_more


@contextmanager
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
) -> Iterator[FinishedExport]:
    """Export the files of a dataset that people finished.

    The JSON is never in memory as a whole. It holds signed URLs, so it is kept in a nameless file that is gone with
    the process.

    Args:
        client: The server.
        ledger: Knows which files are finished; its tasks should have been refreshed just before.
        directory_id: The dataset.
        folder: A folder on a disk with room for the export.
        schema_id: Whose labels annotations may have; ``None`` accepts every label of the project.
        timeout: Seconds until the export must be ready.
        poll: Seconds between the first two looks; the pauses grow.
        progress: Told the server's percentage.

    Raises:
        NotEnoughData: No file of the dataset is finished.
        LabelMapChanged: A label that brains were trained on is gone from the schema.
        IncompleteExport: It failed, took too long, or holds fewer files than are finished.
        DiffgramError: See :func:`~diffgram_flows.datasets.generating.generate_export`.
    """
    finished = finished_files(ledger)
    expected = finished & set(client.file_ids(directory_id)) if finished else finished
    if not expected:
        raise NotEnoughData(
            "No file of the dataset is finished.", cure="Complete some annotation tasks in Diffgram first."
        )
    known = {label.label_file_id: label.name for label in client.labels(schema_id)} if schema_id is not None else None
    if known is not None:
        extended_label_map(ledger.history.label_map(), known, ())  # what stops the work stops it before it begins
    waiting = {"timeout": timeout, "poll": poll}
    with generate_export(
        client, directory_id=directory_id, folder=folder, expected=len(expected), progress=progress, **waiting
    ) as generated:
        check = make_spot_check(client, generated.export_id, expected, begun=generated.begun)
        shield = make_shield(client, ledger, expected, directory_id=directory_id)

        def judge(file_id: int, annotations: tuple[Annotation, ...]) -> Judged:
            check.look(file_id, annotations)
            return shield.judge(file_id, annotations)

        elsewhere = tuple(sorted(finished - expected))
        yield FinishedExport(
            generated.export_id, generated.open, expected, known, judge, elsewhere, generated.files, check.conclude
        )
