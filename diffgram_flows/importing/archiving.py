"""Files that leave the dataset, because their objects have changed or gone and the policy says so.

They are taken out of the dataset by ``file/transfer`` REMOVE, as recorded (contract section 12): it has no daily quota
and wants no import id, and the file with its annotations stays in the project, so nothing that people did vanishes. A
file on which somebody has worked is only touched if the policy says that, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from diffgram_flows.diffgram import DiffgramClient, Instance
from diffgram_flows.importing.policy import Policy
from diffgram_flows.ledger import Ledger, ObjectRow, PushRow
from diffgram_flows.models import place

KEPT = "Its file stays: a person has worked on it."
_UNTOUCHED_TASKS = frozenset({"available", "deferred"})
_BATCH = 500  # files in one call
_THREADS = 8


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """How many files left the dataset, and how many stay because a person has worked on them."""

    archived: int = 0
    kept: int = 0


def archive(client: DiffgramClient, ledger: Ledger, bucket: str, *, directory_id: int, policy: Policy) -> ArchiveReport:
    """Take files out of the dataset whose objects are superseded or gone, as far as the policy wants it.

    One worker at a time. What a crash left half done is done again first: to remove a file twice does no harm.

    Raises:
        DiffgramError: The server does not answer.
    """
    _remove(client, ledger, ledger.objects.rows("archiving"), directory_id)
    states = [state for state, wanted in _wanted(policy) if wanted]
    rows = [row for row in (ledger.objects.stream(*states) if states else ()) if _concerned(row, bucket, policy)]
    kept = set() if policy.archive_human_work else _worked_on(client, ledger, rows)
    ledger.objects.note([row.id for row in rows if row.id in kept], KEPT)
    leaving = [row for row in rows if row.id not in kept]
    for start in range(0, len(leaving), _BATCH):
        part = leaving[start : start + _BATCH]
        ledger.objects.archiving([row.id for row in part])
        _remove(client, ledger, part, directory_id)
    return ArchiveReport(len(leaving), len(kept))


def _wanted(policy: Policy) -> Iterable[tuple[str, bool]]:
    return ("superseded", policy.old_file == "archive"), ("gone", policy.deleted == "archive")


def _concerned(row: ObjectRow, bucket: str, policy: Policy) -> bool:
    known = row.reason == KEPT and not policy.archive_human_work  # looked at before
    return row.object.bucket == bucket and row.file_id is not None and not known


def _remove(client: DiffgramClient, ledger: Ledger, rows: Sequence[ObjectRow], directory_id: int) -> None:
    file_ids = [row.file_id for row in rows if row.file_id is not None]
    if file_ids:
        client.remove_files(file_ids, directory_id)
    ledger.objects.archived([row.id for row in rows])


def _worked_on(client: DiffgramClient, ledger: Ledger, rows: Sequence[ObjectRow]) -> set[int]:
    """Ids of rows whose file a person has touched: by a task that was begun, or by what is drawn on it."""
    begun = {task.file_id for task in ledger.work.tasks() if task.status not in _UNTOUCHED_TASKS} if rows else set()
    pushes = ledger.pushes.of_files([row.file_name for row in rows]) if rows else {}

    def touched(row: ObjectRow) -> bool:
        if row.file_id is None or row.file_id in begun:
            return row.file_id in begun
        instances = client.annotations(row.file_id).instances
        return not _only_ours(instances, pushes.get(row.file_name, []))

    with ThreadPoolExecutor(_THREADS) as pool:
        return {row.id for row, by_person in zip(rows, pool.map(touched, rows), strict=True) if by_person}


def _only_ours(instances: Sequence[Instance], pushes: Sequence[PushRow]) -> bool:
    """Whether everything on a file is a machine's box where we have put one, and none of ours was taken away."""
    ours = {place(seen) for push in pushes for seen in push.seen}
    expected = {place(seen) for push in pushes if push.state == "confirmed" for seen in push.seen}
    alive = [instance for instance in instances if not instance.soft_delete]
    known = [instance.annotation for instance in alive if instance.machine_made]
    here = {place(annotation) for annotation in known if annotation}
    return all(instance.machine_made and instance.annotation for instance in alive) and expected <= here <= ours
