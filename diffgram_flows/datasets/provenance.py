"""The provenance shield: of what an export holds, what a person drew, changed or confirmed.

An export does not say who drew a box (contract section 11). What we pushed is in the ledger; when a task was finished
is in its tasks; the list of a file's annotations tells what a machine made, and when. A machine's box counts as
*confirmed* if it was on the file when a person finished it: that person has seen it and left it. Whatever came later,
by a packet that arrived late or twice, by a newer brain, by a run that was repeated after a crash, has been seen by
nobody, and is *excluded*. In doubt, too: evidence is needed to let a machine's box in, not to keep it out.

Asking for the annotations of each file would be one call a file. Files to which nothing was pushed need none, and of
the others those need none that did not change after they were finished, as the list of files says (1,000 a call). If
the server knows of models that the ledger does not know, anything may have been pushed to any file.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeAlias

from diffgram_flows.datasets.instances import read_instances
from diffgram_flows.diffgram import DiffgramClient, FileAnnotations, Instance
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Annotation, Seen
from diffgram_flows.models import place as place_of

_SAME_MOMENT = 0.01  # seconds after its end in which a task changes its file (recorded: 0.003); longer: it is asked for
_AT_ONCE = 900.0  # seconds between a push and the end of the task in which a page may have been open since before
_A_PAGE = 1000  # files in one call of the list
_THREADS = 8
_THERE = ("confirmed", "empty")  # states of imported truth that is on its file for sure

_Place: TypeAlias = int


@dataclass(frozen=True, slots=True)
class Judged:
    """What of a file's annotations is a person's work.

    Attributes:
        annotations: What may be trained on, in the given order.
        human: How many of them a person drew or changed, or were imported as the truth.
        confirmed: How many of them a machine drew, and a person has left as they are in a file that was finished.
        excluded: How many were taken out, because nobody has confirmed them.
    """

    annotations: tuple[Annotation, ...]
    human: int
    confirmed: int
    excluded: int


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What is known of a file that was asked for: where something is a person's, and where confirmed."""

    human: frozenset[_Place]
    confirmed: frozenset[_Place]


@dataclass(frozen=True, slots=True)
class Shield:
    """Judges files, one after the other. Made by :func:`make_shield`."""

    _pushed: Mapping[int, array[int]] = field(default_factory=dict, repr=False)
    _verdicts: Mapping[int, _Verdict] = field(default_factory=dict, repr=False)

    def judge(self, file_id: int, annotations: tuple[Annotation, ...]) -> Judged:
        """Which annotations of a finished file may be trained on.

        Args:
            file_id: The file.
            annotations: As the export has them, not yet cut to the image.
        """
        verdict = self._verdicts.get(file_id)
        if verdict is None:  # nothing has changed since a person finished it
            pushed = self._pushed.get(file_id)
            there = frozenset(pushed) if pushed else ()
            confirmed = sum(_place(annotation) in there for annotation in annotations) if there else 0
            return Judged(annotations, len(annotations) - confirmed, confirmed, 0)
        places = [_place(annotation) for annotation in annotations]
        human = sum(place in verdict.human for place in places)
        confirmed = sum(place in verdict.confirmed for place in places)
        kept = tuple(
            annotation
            for annotation, place in zip(annotations, places, strict=True)
            if place in verdict.human or place in verdict.confirmed
        )
        return Judged(kept, human, confirmed, len(annotations) - len(kept))


def finished_files(ledger: Ledger) -> set[int]:
    """Ids of the files that may be trained on: people finished them, or their annotations were imported as the truth.

    Finished is a file of which every task is complete, which in a job with reviews means: after the review.
    """
    return ledger.work.finished_files() | ledger.pushes.ground_truth_files()


def make_shield(
    client: DiffgramClient, ledger: Ledger, expected: Collection[int], *, directory_id: int | None = None
) -> Shield:
    """Find out what of the machine's boxes people have confirmed.

    Call it when the export is ready: what comes onto a file between the two looks is then noticed, not missed.

    Args:
        client: The server.
        ledger: What was pushed, and when tasks were finished; its tasks should have been refreshed before the export.
        expected: Ids of the files that will be judged; a set.
        directory_id: Their dataset, whose list tells which files have changed since they were finished. Without it
            every file is asked for to which something was pushed.

    Raises:
        DiffgramError: The server does not answer.
    """
    pushed, truths, pushed_at = _pushes(ledger, expected)
    strange = not ledger.pushes.brains().issuperset(run.reference_id for run in client.model_runs())
    suspects = set(expected) if strange else set(pushed)
    if not suspects:
        return Shield()
    finished_at = ledger.work.finished_at()
    quiet = {
        file_id
        for file_id in suspects
        if pushed_at.get(file_id, -math.inf) + _AT_ONCE < finished_at.get(file_id, -math.inf)
    }
    if directory_id is not None and len(quiet) * _A_PAGE > len(expected):
        doubtful = (suspects - quiet) | _changed(client, quiet, finished_at, directory_id)
    else:
        doubtful = suspects

    def look(file_id: int) -> tuple[int, _Verdict]:
        truth = truths.get(file_id, set())
        return file_id, _judged(client.annotations(file_id), truth, finished_at.get(file_id, -math.inf))

    with ThreadPoolExecutor(_THREADS) as pool:
        verdicts = dict(pool.map(look, sorted(doubtful)))
    return Shield(pushed, verdicts)


def _pushes(
    ledger: Ledger, expected: Collection[int]
) -> tuple[dict[int, array[int]], dict[int, set[_Place]], dict[int, float]]:
    """Where something was predicted, and where the truth was imported, by file; and when the last prediction was.

    Truth of which it is not known whether it arrived is no truth: what is there counts as a prediction does.
    """
    pushed: dict[int, array[int]] = {}
    truths: dict[int, set[_Place]] = {}
    pushed_at: dict[int, float] = {}
    for push, today in ledger.pushes.places():
        for file_id in {push.file_id, today}:
            if file_id is None or file_id not in expected:
                continue
            places = map(_place_of_push, push.seen)
            if push.is_truth and push.state in _THERE:
                truths.setdefault(file_id, set()).update(places)
            elif not (push.is_truth and push.state == "skipped"):  # which was never sent
                pushed.setdefault(file_id, array("q")).extend(places)
                pushed_at[file_id] = max(push.updated_at, pushed_at.get(file_id, -math.inf))
    return pushed, truths, pushed_at


def _changed(
    client: DiffgramClient, files: Collection[int], finished_at: Mapping[int, float], directory_id: int
) -> set[int]:
    """Those of the files that changed after they were finished, or of which it cannot be told."""
    doubtful = set(files)
    listed = client.files(directory_id) if doubtful else iter(())
    left = len(doubtful)
    for row in listed:
        if row.id in files:
            left -= 1
            moment = row.updated.timestamp() if row.updated else math.inf
            if moment <= finished_at[row.id] + _SAME_MOMENT:
                doubtful.discard(row.id)
        if not left:
            break
    return doubtful


def _judged(found: FileAnnotations, truths: Collection[_Place], finished_at: float) -> _Verdict:
    """Sort the places on a file. Where a person and a machine have drawn the same, it is the person's."""
    human: set[_Place] = set()
    confirmed: set[_Place] = set()
    living = [
        (instance, _place(annotation))
        for instance, raw in zip(found.instances, found.raw, strict=True)
        if not instance.soft_delete
        for annotation in read_instances([raw]).annotations
    ]
    saves = [_moment(instance) for instance, _ in living if _by_person(instance) and instance.member_created_id]
    for instance, place in living:
        if _by_person(instance) or place in truths:
            human.add(place)
        elif _seen(_moment(instance), finished_at, saves):
            confirmed.add(place)
    return _Verdict(frozenset(human), frozenset(confirmed - human))


def _by_person(instance: Instance) -> bool:
    """Whether a person drew it, or changed what a machine drew."""
    return not instance.machine_made or (instance.action_type == "edited" and instance.member_created_id is not None)


def _seen(came: float, finished_at: float, saves: Collection[float]) -> bool:
    """Whether the person who finished a file had seen a machine's box that came at this moment.

    Not if it came later; nor if the person had saved work before, and saved none after: then the page was open while
    the box came, and shows it only when it is loaded again. A later save from such a page would have removed the box.
    """
    if came > finished_at:
        return False
    return all(save >= came for save in saves) or any(save >= came for save in saves)


def _moment(instance: Instance) -> float:
    return instance.created.timestamp() if instance.created else math.inf


def _place(annotation: Annotation) -> _Place:
    """Type, label and geometry as one number: what was drawn twice is at one place, whatever its attributes."""
    return hash(annotation[:3])


def _place_of_push(seen: Seen) -> _Place:
    """Where the server stores what we send: of a box, what is negative becomes 0 (contract section 5)."""
    kind, label, points = place_of(seen)
    return hash((kind, label, tuple((max(x, 0), max(y, 0)) for x, y in points) if kind == "box" else points))
