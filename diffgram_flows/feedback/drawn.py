"""Whose boxes are on a file: ours, a person's, or ours no longer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from diffgram_flows.diffgram import FileAnnotations, Instance
from diffgram_flows.ledger import Ledger, PushRow
from diffgram_flows.models import Place, place

_UNTOUCHED_TASKS = frozenset({"available", "deferred"})  # nobody has worked on these, or is about to


def places(pushes: Iterable[PushRow]) -> set[Place]:
    """Where we put something."""
    return {place(seen) for push in pushes for seen in push.seen}


def place_of(instance: Instance) -> Place | None:
    """Where an instance is; ``None`` for kinds that we never put anywhere."""
    annotation = instance.annotation
    return place(annotation) if annotation else None


def started_files(ledger: Ledger) -> set[int]:
    """Files on which a person works or has worked, by the tasks as last seen."""
    return {task.file_id for task in ledger.work.tasks() if task.status not in _UNTOUCHED_TASKS}


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is on a file, in the light of what we pushed to it.

    Attributes:
        by_people: Instances that a machine did not make, that a person has changed, or that were imported as the truth.
        ours: Machine boxes that lie where the ledger says we put one.
        missing: Boxes that were confirmed and are not there any more: a person deleted or moved them.
    """

    by_people: tuple[Instance, ...]
    ours: tuple[Instance, ...]
    missing: frozenset[Place]

    @property
    def touched(self) -> bool:
        """Whether a person was at work here."""
        return bool(self.by_people or self.missing)


def drawn(annotations: FileAnnotations, pushes: Iterable[PushRow]) -> Drawn:
    """Sort what is on a file by who drew it.

    A box counts as ours if it is still marked as machine-made and lies exactly where we put one. A superseded push is
    still ours, but its boxes are not missed: we removed them. What was imported as the truth is as a person's.
    """
    earlier = list(pushes)
    truth = places(push for push in earlier if push.is_truth and push.state != "skipped")  # which was never sent
    pushed = places(push for push in earlier if not push.is_truth)
    living = [instance for instance in annotations.instances if not instance.soft_delete]
    machine = [(instance, place_of(instance)) for instance in living if instance.machine_made]
    expected = places(push for push in earlier if push.state == "confirmed")
    return Drawn(
        by_people=tuple(instance for instance in living if not instance.machine_made or place_of(instance) in truth),
        ours=tuple(instance for instance, here in machine if here in pushed and here not in truth),
        missing=frozenset(expected.difference(here for _, here in machine)),
    )
