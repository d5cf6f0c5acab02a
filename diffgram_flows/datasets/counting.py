"""Whether the instances of an export are those that the server holds.

Nothing in an export says how many instances must be in it, and the server has no count of them that can be relied on:
a job's ``instances_created`` knows nothing of pre-labels and removals, a file's ``count_instances_changed`` counts
additions for ever (contract sections 9 and 12). What can be relied on is the list of a file's annotations, one call a
file. So a sample is compared, drawn anew for each export: all files of a small dataset, 60 of a large one. A loss that
hits every twentieth file is found with a probability of 95 %, one that hits every tenth with 99.8 %.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from diffgram_flows.datasets.instances import read_instances
from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import IncompleteExport
from diffgram_flows.models import Annotation

SAMPLE = 60  # files
_THREADS = 8
_NAMED = 10
_WHOLE_SECONDS = 1.0  # the moment of an export is told without their fractions


@dataclass(slots=True)
class SpotCheck:
    """Compares some files of an export with what the server says of them. Made by :func:`make_spot_check`."""

    export_id: int
    _drawn: Mapping[int, tuple[str, tuple[Annotation, ...]]] = field(default_factory=dict, repr=False)
    _differences: list[str] = field(default_factory=list)

    def look(self, file_id: int, annotations: tuple[Annotation, ...]) -> None:
        """Compare a file, if it is among the sample.

        Args:
            file_id: The file.
            annotations: As the export has them, not yet cut to the image.
        """
        if file_id not in self._drawn:
            return
        name, drawn = self._drawn[file_id]
        if drawn != annotations:
            missing, others = len(set(drawn) - set(annotations)), len(set(annotations) - set(drawn))
            self._differences.append(
                f"{name} (id {file_id}) has {len(annotations)} annotations instead of {len(drawn)}: {missing} are "
                f"missing, {others} are others"
            )

    def conclude(self) -> None:
        """Refuse the export if the server holds other annotations.

        Raises:
            IncompleteExport: Files are not what they should be; some are named.
        """
        if self._differences:
            some = "; ".join(self._differences[:_NAMED])
            raise IncompleteExport(
                f"The export {self.export_id} is not what the server holds in {len(self._differences)} of "
                f"{len(self._drawn)} files that were compared: {some}.",
                cure="Start it again, when nobody works on finished files. If it is the same again, do not train on "
                "it: the server's exports lose annotations.",
            )


def make_spot_check(
    client: DiffgramClient, export_id: int, expected: Collection[int], *, begun: datetime | None, size: int = SAMPLE
) -> SpotCheck:
    """Ask the server for a sample of the files that an export must hold.

    Call it when the export is ready. Files that were changed after it was begun are not compared: the export may
    rightly differ.

    Args:
        client: The server.
        export_id: The export; it decides which files are drawn.
        expected: Ids of the files.
        begun: When the export was begun by the server's clock; unknown, every file of the sample counts.
        size: How many files.

    Raises:
        DiffgramError: The server does not answer.
    """
    chosen = random.Random(export_id).sample(sorted(expected), min(size, len(expected)))  # noqa: S311 - a sample
    with ThreadPoolExecutor(_THREADS) as pool:
        found = list(pool.map(client.annotations, chosen))
    drawn = {
        each.file.id: (each.file.name, read_instances(_living(each.raw)).annotations)
        for each in found
        if not _changed(each.file.updated, begun)
    }
    return SpotCheck(export_id, drawn)


def _changed(updated: datetime | None, begun: datetime | None) -> bool:
    if updated is None or begun is None:
        return False
    return updated.timestamp() > begun.timestamp() + _WHOLE_SECONDS


def _living(raw: list[dict[str, object]]) -> list[dict[str, object]]:
    return [instance for instance in raw if not instance.get("soft_delete")]
