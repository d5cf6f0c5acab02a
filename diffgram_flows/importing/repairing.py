"""Images that are there without all of their boxes.

The server stores an image before it looks at its instances, stores those before the first wrong one, and calls the
import failed (contract section 5). Sending the packet again would fail by its name, and RETRY would fail again. So what
is stored is read, and what is missing and good is saved beside it, by the call that replaces a file's instances by
those that it is given: to do it twice does nothing the second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from diffgram_flows.diffgram import DiffgramClient, ImportRow, instances
from diffgram_flows.errors import InvalidRequest

_SHOWN = 5  # refused instances whose reasons are noted
# What tells two instances of a kind apart; of the others it is their points. The server adds fields of its own.
_NUMBERS = {
    "box": ("x_min", "y_min", "x_max", "y_max"),
    "ellipse": ("center_x", "center_y", "width", "height", "angle"),
}
_Candidates = list[tuple[int, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Repair:
    """What became of the instances of one import.

    Attributes:
        sent: How many the packet carried.
        added: How many were missing and are there now.
        refused: Index in the packet, from 0, to the reason why it is not on the file.
    """

    sent: int
    added: int = 0
    refused: Mapping[int, str] = field(default_factory=dict)

    @property
    def note(self) -> str:
        """For people, in one line."""
        if not self.refused:
            return f"The image is there, and so are its {self.sent} boxes: {self.added} were added afterwards."
        first = "; ".join(
            f"box {index}: {reason.rstrip('.')}" for index, reason in sorted(self.refused.items())[:_SHOWN]
        )
        more = f"; and {len(self.refused) - _SHOWN} more" if len(self.refused) > _SHOWN else ""
        return f"The image is there, but {len(self.refused)} of its {self.sent} boxes were refused: {first}{more}."


class Repairer:
    """Adds what is missing to files whose import failed on some of its instances.

    Args:
        client: The server. It is asked for its labels and model runs once.
    """

    def __init__(self, client: DiffgramClient) -> None:
        self._client = client
        self._labels: frozenset[int] | None = None
        self._runs: dict[str, tuple[int | None, int]] | None = None

    def repair(self, found: ImportRow, file_id: int) -> Repair:
        """Bring the good instances of a failed import onto its file.

        Args:
            found: The import, with the instances as they were sent.
            file_id: The file that it made.

        Raises:
            DiffgramError: The server does not answer; to be done again.
        """
        refused = self._refused(found.instances)
        stored = Counter(_place(instance) for instance in self._client.annotations(file_id).raw if _lives(instance))
        missing: _Candidates = []
        for index, instance in enumerate(found.instances):
            if index in refused:
                continue
            if stored[_place(instance)] > 0:
                stored[_place(instance)] -= 1
            else:
                missing.append((index, self._marked(instance)))
        late = self._save(file_id, missing)
        return Repair(len(found.instances), len(missing) - len(late), {**refused, **late})

    def _save(self, file_id: int, missing: _Candidates) -> dict[int, str]:
        """Add instances; those that the server refuses, found by halves, since it says no to all for one."""
        if not missing:
            return {}
        there = self._client.annotations(file_id).raw
        try:
            self._client.save_annotations(file_id, [*there, *(instance for _, instance in missing)])
        except InvalidRequest as error:
            if len(missing) == 1:
                return {missing[0][0]: _reason(error)}
            middle = len(missing) // 2
            return self._save(file_id, missing[:middle]) | self._save(file_id, missing[middle:])
        return {}

    def _refused(self, sent: Sequence[Mapping[str, Any]]) -> dict[int, str]:
        """What the server cannot take, known without asking it."""
        refused = {}
        for index, instance in enumerate(sent):
            try:
                instances.check([instance])
            except InvalidRequest as error:
                refused[index] = _reason(error)
                continue
            label = instance.get("label_file_id")
            if label is not None and label not in self._known_labels():
                refused[index] = f"label_file_id {label} is no label of the project"
        return refused

    def _known_labels(self) -> frozenset[int]:
        if self._labels is None:
            schemas = self._client.schemas()
            every = (label.label_file_id for schema in schemas for label in self._client.labels(schema.id))
            self._labels = frozenset(every)
        return self._labels

    def _marked(self, instance: Mapping[str, Any]) -> dict[str, Any]:
        """With the numeric ids of model and run, which alone count here; the packet's references made their rows."""
        run = instance.get("model_run_ref")
        if run is None:
            return dict(instance)
        if self._runs is None:
            self._runs = {found.reference_id: (found.model_id, found.id) for found in self._client.model_runs()}
        if run not in self._runs:
            return dict(instance)
        model_id, run_id = self._runs[run]
        return {**instance, "model_id": model_id, "model_run_id": run_id}


def _reason(error: InvalidRequest) -> str:
    """One line, without the index that the checker gave to the only one that it was shown."""
    return error.what.removeprefix("Instance 0: ")


def _lives(instance: Mapping[str, Any]) -> bool:
    return not instance.get("soft_delete")


def _place(instance: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes two instances the same: kind, label, geometry. The server stores negative corners of boxes as 0."""
    names = _NUMBERS.get(str(instance.get("type")), ())
    numbers = tuple(max(0, value) if isinstance(value := instance.get(name), int) else value for name in names)
    return instance.get("type"), instance.get("label_file_id"), numbers, _points(instance.get("points"))


def _points(points: Iterable[Any] | None) -> tuple[Any, ...]:
    return tuple((each.get("x"), each.get("y")) for each in points or () if isinstance(each, Mapping))
