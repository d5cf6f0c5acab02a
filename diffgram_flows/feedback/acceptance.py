"""How people treated the pre-labels of a brain: what they kept, corrected and threw away."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from diffgram_flows.diffgram import DiffgramClient, FileAnnotations
from diffgram_flows.feedback.drawn import place_of
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Box, BrainRef, Seen, place

_SAME_THING = 0.5  # intersection over union from which a person's box is taken for a correction of ours


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Counts of boxes in finished files.

    Attributes:
        prelabels: Boxes that the brain had put there.
        kept: Those that are still there, unchanged.
        corrected: Those that a person moved or labelled anew.
        deleted: The rest.
        files: Finished files that had been pushed to, also those in which the brain saw nothing.
    """

    prelabels: int = 0
    kept: int = 0
    corrected: int = 0
    deleted: int = 0
    files: int = 0

    @property
    def rate(self) -> float:
        """The part that was kept, 0 where there was nothing to keep."""
        return self.kept / self.prelabels if self.prelabels else 0.0


def acceptance(
    client: DiffgramClient,
    ledger: Ledger,
    *,
    brain: BrainRef,
    files: Collection[int] | None = None,
    threads: int = 8,
) -> Acceptance:
    """Compare what a brain pushed with what the finished files hold.

    The ledger's tasks tell which files are finished, so refresh them first.

    Args:
        client: The server.
        ledger: What was pushed, and which files are finished.
        brain: Which version.
        files: Only these finished files (ids); all of them if it is left out.
        threads: Files at the same time.

    Raises:
        DiffgramError: The server does not answer.
    """
    finished = ledger.work.finished_files()
    pushes = [
        (push.file_id, push.seen)
        for push in ledger.pushes.rows("confirmed", "empty", brain=str(brain))
        if push.file_id is not None and push.file_id in finished and (files is None or push.file_id in files)
    ]

    def look(push: tuple[int, tuple[Seen, ...]]) -> tuple[int, int]:
        file_id, boxes = push
        return compare(boxes, client.annotations(file_id)) if boxes else (0, 0)

    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(look, pushes))
    prelabels = sum(len(boxes) for _, boxes in pushes)
    kept, corrected = sum(part[0] for part in parts), sum(part[1] for part in parts)
    return Acceptance(prelabels, kept, corrected, prelabels - kept - corrected, len(pushes))


def compare(pushed: Sequence[Seen], annotations: FileAnnotations) -> tuple[int, int]:
    """How many of the pushed boxes were kept, and how many corrected."""
    living = [instance for instance in annotations.instances if not instance.soft_delete]
    there = {place_of(instance) for instance in living}
    changed = [seen for seen in pushed if place(seen) not in there]
    kept_places = {place(seen) for seen in pushed}
    drawn = [i.annotation for i in living if not i.machine_made and i.annotation and place_of(i) not in kept_places]
    people = [annotation.box for annotation in drawn if annotation.box]
    return len(pushed) - len(changed), _matched([box for seen in changed if (box := _around(seen))], people)


def _around(seen: Seen) -> Box | None:
    """The box itself, or the one around a polygon."""
    return seen if isinstance(seen, Box) else seen.box


def _matched(changed: Sequence[Box], people: Iterable[Box]) -> int:
    """How many of our boxes have a person's box of their own on the same thing; the best pairs first."""
    drawn = list(people)
    pairs = sorted(
        ((ours.iou(theirs), i, j) for i, ours in enumerate(changed) for j, theirs in enumerate(drawn)), reverse=True
    )
    mine: set[int] = set()
    taken: set[int] = set()
    for iou, i, j in pairs:
        if iou >= _SAME_THING and i not in mine and j not in taken:
            mine.add(i)
            taken.add(j)
    return len(mine)
