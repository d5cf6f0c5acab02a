"""Predictions that travel in the packet that imports their image, so that people correct instead of drawing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from diffgram_flows.diffgram import ImportRow, MachineMark, instance_from
from diffgram_flows.ledger import Ledger, ObjectRow, PushRow
from diffgram_flows.models import BrainRef, Seen


class Prelabeller(Protocol):
    """Asked about the images of a chunk before they are imported."""

    @property
    def brain(self) -> str:
        """Which version answers: ``name@3``."""

    def __call__(self, rows: Sequence[ObjectRow]) -> Mapping[str, tuple[Seen, ...]]:
        """File name to boxes. An empty tuple: looked and saw nothing. A missing name: could not look."""


def prelabels(ledger: Ledger, prelabel: Prelabeller, rows: Sequence[ObjectRow]) -> Mapping[str, tuple[Seen, ...]]:
    """Boxes by file name, each committed to the ledger as ``intended`` before anybody sees them.

    What was intended by an earlier attempt is taken from the ledger, so that packet and ledger never differ.
    """
    earlier = ledger.pushes.of_files([row.file_name for row in rows])
    known = {push.file_name: push for pushes in earlier.values() for push in pushes if push.brain == prelabel.brain}
    asked = [row for row in rows if row.file_name not in known]
    fresh = prelabel(asked) if asked else {}
    intents = [
        PushRow(row.file_name, prelabel.brain, "intended", tuple(fresh[row.file_name]))
        for row in asked
        if row.file_name in fresh
    ]
    ledger.pushes.intend(intents)
    travelling = [*intents, *(push for push in known.values() if push.state == "intended")]
    return {push.file_name: push.seen for push in travelling}


def machine_instances(seen: Iterable[Seen], brain: str) -> list[dict[str, Any]]:
    """The instances of a packet, marked with the brain that drew them (contract section 10).

    Raises:
        InvalidRequest: A box has no area.
    """
    mark = MachineMark(model_ref=BrainRef.parse(brain).name, model_run_ref=brain)
    return [instance_from(each, machine=mark) for each in seen]


def settled(pushes: Iterable[PushRow], found: ImportRow | None, file_id: int) -> list[PushRow]:
    """What became of the boxes that travelled with a file, now that the file exists.

    ``found`` is the import that made it. ``None``: an earlier packet did, and nobody knows yet what that one carried;
    then the intent only gets its file id, and reconciling the pushes asks the server.
    """
    runs = {str(instance.get("model_run_ref")) for instance in found.instances} if found else set()
    rows = []
    for push in pushes:
        if push.state != "intended" or push.file_id is not None:
            continue
        if not push.seen:
            state, reason = "empty", ""
        elif found is None:
            state, reason = "intended", "An earlier packet made the file."
        elif push.brain not in runs:
            state, reason = "released", "The packet that made the file did not carry it."
        elif found.succeeded:
            state, reason = "confirmed", ""
        else:
            state, reason = "failed", found.reason
        rows.append(replace(push, state=state, reason=reason, file_id=file_id))
    return rows


def without(push: PushRow, refused: Mapping[int, str], note: str) -> PushRow:
    """A push of which the server took all boxes but some, by their index; what it did not take was never pushed."""
    seen = tuple(each for index, each in enumerate(push.seen) if index not in refused)
    return replace(push, seen=seen, state="confirmed" if seen else "failed", reason=note)
