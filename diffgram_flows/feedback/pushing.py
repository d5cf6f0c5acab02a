"""Predictions onto files that exist: once for each file and brain, and never over a person's work."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice

from diffgram_flows.diffgram import DiffgramClient, MachineMark, Packet, instance_from, maybe_delivered
from diffgram_flows.errors import (
    DiffgramFlowsError,
    InvalidRequest,
    ServerError,
    ServerUnreachable,
    UnexpectedReply,
)
from diffgram_flows.feedback.drawn import drawn, started_files
from diffgram_flows.feedback.superseding import supersede
from diffgram_flows.ledger import Ledger, PushRow
from diffgram_flows.models import BrainRef, Failure, Progress, Seen, no_progress

_BATCH = 200  # files that are looked up in the ledger together, and held in memory
_PRESENT = frozenset({"intended", "sent", "confirmed", "empty"})  # on the file, or about to be
_PATIENCE = 3  # calls that may find no server before the rest is kept back


@dataclass(frozen=True, slots=True)
class FileToLabel:
    """What a brain saw in a file, or what is known of it; no boxes mean that there is nothing.

    Attributes:
        size: Width and height of the image for which they are, if it is to be compared with the file's.
    """

    file_id: int
    file_name: str
    seen: tuple[Seen, ...]
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class PushReport:
    """What became of the predictions.

    Attributes:
        pushed: Files whose boxes were queued by the server.
        empty: Files in which the brain saw nothing.
        skipped: Files on which a person is or was at work; left alone.
        known: Files that this brain's boxes had been pushed to before.
        failed: Files that the server would not take boxes for.
        unsure: Files whose packet may have arrived; reconciling decides.
        superseded: Boxes of older brains that were removed.
        failures: The failed, and the skipped where something must be looked at, with their reasons.
    """

    pushed: int = 0
    empty: int = 0
    skipped: int = 0
    known: int = 0
    failed: int = 0
    unsure: int = 0
    superseded: int = 0
    failures: tuple[Failure, ...] = ()


def push(
    client: DiffgramClient,
    ledger: Ledger,
    files: Iterable[FileToLabel],
    *,
    brain: BrainRef,
    directory_id: int,
    threads: int = 8,
    progress: Progress = no_progress,
) -> PushReport:
    """Append a brain's boxes to files that nobody has touched, and remove what older brains had put there.

    The ledger's tasks tell which files people have started, so refresh them first.

    Args:
        client: The server.
        ledger: What was pushed before, and by which brain.
        files: What the brain saw; read as a stream.
        brain: Which version saw it.
        directory_id: The dataset of the files.
        threads: Files at the same time.
        progress: Told how many files are done; the total is not known.

    Raises:
        DiffgramError: The server cannot be used at all; the next push goes on where this one stopped.
    """
    pusher = _Pusher(client, ledger, brain, directory_id, started_files(ledger))
    with ThreadPoolExecutor(threads) as pool:
        for batch in _batches(files):
            earlier = ledger.pushes.of_files([file.file_name for file in batch])
            for _ in pool.map(pusher.push, batch, [earlier.get(file.file_name, []) for file in batch]):
                progress(pusher.outcomes.total(), 0, f"{pusher.outcomes['sent']} pushed")
            if pusher.stopped.is_set():
                raise pusher.troubles[-1]
    return pusher.report()


def _due_again(own: PushRow, others: Sequence[PushRow]) -> bool:
    """Whether a push is to be made though it was made or meant before.

    It never arrived, or a later brain's boxes have taken the place of its own, or of the nothing that it saw: then this
    brain has become the champion again.
    """
    if own.state == "empty":
        return any(push.state in ("sent", "confirmed") and not push.is_truth for push in others)
    return own.state in ("released", "superseded")


def _batches(files: Iterable[FileToLabel]) -> Iterator[list[FileToLabel]]:
    iterator = iter(files)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


@dataclass(slots=True)
class _Pusher:
    client: DiffgramClient
    ledger: Ledger
    brain: BrainRef
    directory_id: int
    started: set[int]
    superseded: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    troubles: list[DiffgramFlowsError] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def report(self) -> PushReport:
        return PushReport(
            pushed=self.outcomes["sent"],
            empty=self.outcomes["empty"],
            skipped=self.outcomes["skipped"],
            known=self.outcomes["known"],
            failed=self.outcomes["failed"],
            unsure=self.outcomes["intended"],
            superseded=self.superseded,
            failures=tuple(self.failures),
        )

    def push(self, file: FileToLabel, earlier: Sequence[PushRow]) -> None:
        """Deal with one file; what became of it is in the ledger afterwards, and counted."""
        if self.stopped.is_set():
            return
        own = next((row for row in earlier if row.brain == str(self.brain)), None)
        others = [push for push in earlier if push is not own]
        if own is not None and not _due_again(own, others):
            self._count("known")
            return
        # What an earlier attempt has written down is what is sent, whatever the brain says today.
        seen = own.seen if own else file.seen
        row = PushRow(file.file_name, str(self.brain), "intended", seen, file.file_id)
        if own is not None and own.state == "superseded":
            row = replace(row, input_id=own.input_id or 0)
            others.append(own)  # a crash may have left its boxes there
        try:
            state, reason = self._dealt_with(row, file, others)
        except InvalidRequest as error:
            state, reason = self._refused(error)
        except DiffgramFlowsError as error:
            state, reason = self._trouble(error), str(error)
        self._record(row, state, reason)

    def _dealt_with(self, row: PushRow, file: FileToLabel, others: Sequence[PushRow]) -> tuple[str, str]:
        """The state that the row gets, and why."""
        if file.file_id in self.started:
            return "skipped", "A person has started to work on it."
        if not row.is_truth and any(push.is_truth and push.state in _PRESENT for push in others):
            return "skipped", "Its annotations were imported as the truth."
        annotations = self.client.annotations(file.file_id)
        size = (annotations.width, annotations.height)
        if file.size is not None and all(size) and file.size != size:
            return (
                "failed",
                f"The file has {size[0]} x {size[1]} pixels, its annotations are for {file.size[0]} x {file.size[1]}.",
            )
        there = drawn(annotations, others)
        if there.touched:
            return "skipped", "A person has drawn, changed or deleted something."
        if there.ours:
            damage = supersede(self.client, self.ledger, annotations, there.ours, others)
            with self.lock:
                self.superseded += len(there.ours)
            if damage:
                self.failures.append(Failure(row.file_name, damage))
                return "skipped", damage
        if not row.seen:
            return "empty", ""
        self._send(row, file.file_id)
        return "sent", ""

    def _send(self, row: PushRow, file_id: int) -> None:
        """Intent first, then the packet. The mode ``update`` appends; the other one erases people's work."""
        mark = MachineMark(model_ref=self.brain.name, model_run_ref=row.brain)
        instances = [instance_from(seen, machine=mark) for seen in row.seen]
        packet = Packet(self.directory_id, file_id=file_id, mode="update", instances=instances)
        self._write(row, "intended", "")
        self.client.send_packet(packet)

    def _record(self, row: PushRow, state: str, reason: str) -> None:
        self._write(row, state, reason)
        self._count(state)
        if state == "failed":
            self.failures.append(Failure(row.file_name, reason))

    def _count(self, outcome: str) -> None:
        with self.lock:
            self.outcomes[outcome] += 1

    def _write(self, row: PushRow, state: str, reason: str) -> None:
        self.ledger.pushes.intend([row])
        self.ledger.pushes.settle(row, state, reason=reason)

    def _refused(self, error: InvalidRequest) -> tuple[str, str]:
        if error.status not in (0, 400, 500):  # not about this file: a redirect, for example
            return self._trouble(error), str(error)
        return "failed", str(error)

    def _trouble(self, error: DiffgramFlowsError) -> str:
        """A lost connection is an accident; several, or anything else, is a reason to keep the rest back."""
        with self.lock:
            self.troubles.append(error)
            if not isinstance(error, (ServerUnreachable, ServerError)) or len(self.troubles) >= _PATIENCE:
                self.stopped.set()
        return "intended" if maybe_delivered(error) or isinstance(error, UnexpectedReply) else "released"
