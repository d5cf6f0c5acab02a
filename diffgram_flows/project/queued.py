"""Imports that were sent: a 200 only meant "queued" (contract section 5), so they are followed by their names."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from diffgram_flows.diffgram import ImportRow
from diffgram_flows.diffgram.shapes import Shape
from diffgram_flows.errors import ImportFailed
from diffgram_flows.models import Failure, Progress, no_progress
from diffgram_flows.project.context import Context
from diffgram_flows.project.file import File

_POLL, _SLOWEST = 0.25, 4.0  # seconds between two looks, at first and at most
_CLOCKS = 2.0  # seconds that our clock may be ahead of the server's
_GRACE = 15.0  # seconds after which an older import of the same name is taken for ours: the clocks differ by more


@dataclass(frozen=True, slots=True)
class QueuedImport:
    """An import on its way.

    Attributes:
        name: The name of the file.
        directory_id: The dataset that it goes to.
        file_id: The file, where instances are added to one that exists.
        sent_at: When, in seconds since the epoch; 0 where somebody else sent it.
        after: Id of the newest import of this name that was over when this one was sent.
        adopts: Whether a file that has this name already is as good: the name was made of the same source, and no
            instances came along.
    """

    context: Context = field(repr=False)
    name: str
    directory_id: int
    file_id: int | None = None
    sent_at: float = 0.0
    after: int = 0
    adopts: bool = False
    instances: Sequence[Shape] = field(default=(), repr=False)

    def wait(self, timeout: float = 600.0) -> File:
        """Wait until the server has done it.

        Args:
            timeout: Seconds. Under load an import waits for minutes; it goes on when the time is over.

        Raises:
            ImportFailed: The server gave it up, with its reason, or the time is over.
        """
        report = follow([self], timeout=timeout)
        if report.files:
            return report.files[0]
        if report.failures:
            raise ImportFailed(f"The import of {self.name!r} failed: {report.failures[0].reason}", cure="")
        raise ImportFailed(
            f"The import of {self.name!r} was not done after {timeout:g} s.",
            cure="Wait again; if it stays so, look at project.input.list(), and retry it there.",
        )


@dataclass(frozen=True, slots=True)
class ImportsReport:
    """What became of imports.

    Attributes:
        files: Those that are there, in the order of the imports.
        failures: Those that the server gave up, with its reasons.
        waiting: Names of those that were still on their way.
    """

    files: tuple[File, ...]
    failures: tuple[Failure, ...]
    waiting: tuple[str, ...]


def follow(queued: Iterable[QueuedImport], *, timeout: float, progress: Progress = no_progress) -> ImportsReport:
    """Look at the list of imports in growing pauses until all are done or the time is over.

    Args:
        queued: Imports of one project.
        timeout: Seconds.
        progress: Told how many are done.

    Raises:
        DiffgramError: The server does not answer.
    """
    left = dict(enumerate(queued))
    total = len(left)
    files: dict[int, File] = {}
    failures: dict[int, Failure] = {}
    ends_at = time.monotonic() + timeout
    pause = _POLL
    while left:
        last_look = time.monotonic() >= ends_at
        rows = next(iter(left.values())).context.client.imports()
        for number, one in list(left.items()):
            outcome = _outcome(one, rows, thorough=last_look)
            if outcome is None:
                continue
            del left[number]
            if isinstance(outcome, File):
                files[number] = outcome
            else:
                failures[number] = outcome
        progress(total - len(left), total, f"{len(left)} on their way")
        if not left or last_look:
            break
        time.sleep(max(0.0, min(pause, ends_at - time.monotonic())))
        pause = min(pause * 1.5, _SLOWEST)
    return ImportsReport(
        tuple(files[number] for number in sorted(files)),
        tuple(failures[number] for number in sorted(failures)),
        tuple(one.name for one in left.values()),
    )


def _outcome(one: QueuedImport, rows: Sequence[ImportRow], *, thorough: bool) -> File | Failure | None:
    """The file, why there is none, or ``None`` while it is not known."""
    row = _newest(one, rows)
    if row is None:
        # The list ends after 1,000 rows: what is not in it may be done long since.
        return _file_of_name(one) if thorough and one.file_id is None else None
    if not row.finished:
        return None
    one.context.settled[one.directory_id, one.name] = row.id
    if row.succeeded and row.file_id is not None:
        return File(one.context, row.file_id, one.name, one.directory_id)
    existing = row.existing_file_id
    if existing is not None and one.adopts:
        return File(one.context, existing, one.name, one.directory_id)
    return Failure(one.name, _reason(one, row, existing))


def _reason(one: QueuedImport, row: ImportRow, existing: int | None) -> str:
    if existing is not None:
        return (
            f"The dataset {one.directory_id} has a file of this name already (id {existing}). Choose another "
            f"file_name, or add instances with project.file.update({existing}, instances)."
        )
    if row.file_id is not None and one.file_id is None:
        return (
            f"{row.reason} The file is there all the same (id {row.file_id}), perhaps with some of its instances. "
            f"Look at project.file.get_by_id({row.file_id}).annotations(), and add what is missing."
        )
    return row.reason


def _newest(one: QueuedImport, rows: Sequence[ImportRow]) -> ImportRow | None:
    """The import that is ours: of its name, and not older than what was sent, as far as the clocks can tell."""
    same = [row for row in rows if row.id > one.after and not row.archived and _is_of(one, row)]
    row = max(same, key=lambda row: row.id, default=None)
    if row is None or (one.adopts and row.succeeded):
        return row
    older = row.created_time is not None and row.created_time.timestamp() < one.sent_at - _CLOCKS
    return None if older and time.time() - one.sent_at < _GRACE else row


def _is_of(one: QueuedImport, row: ImportRow) -> bool:
    if one.file_id is not None:
        return row.file_id == one.file_id and row.mode == "update" and row.instances == list(one.instances)
    return not row.mode and row.original_filename == one.name and row.directory_id in (None, one.directory_id)


def _file_of_name(one: QueuedImport) -> File | None:
    found = one.context.client.files(one.directory_id, search=one.name)
    return next((File(one.context, row.id, row.name, one.directory_id) for row in found if row.name == one.name), None)
