"""Pre-labels: what the champion sees in images that are about to be imported or annotated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from diffgram_flows.brains import Brain, BrainRecord
from diffgram_flows.datasets import ImageCache
from diffgram_flows.datasets.images import paths
from diffgram_flows.errors import LabelMapChanged
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.models import Picture, Prediction, Seen
from diffgram_flows.storage import ObjectStore
from diffgram_flows.tasks.workspace import Workspace


class ChampionPrelabeller:
    """Predicts objects that are not in Diffgram yet, from their bytes in the bucket."""

    def __init__(self, record: BrainRecord, images: ImageCache, store: ObjectStore) -> None:
        self._record = record
        self._images = images
        self._store = store

    @property
    def brain(self) -> str:
        """Which version answers: ``name@3``."""
        return str(self._record.ref)

    def __call__(self, rows: Sequence[ObjectRow]) -> Mapping[str, tuple[Seen, ...]]:
        """Boxes by file name; an image that cannot be read has none and is imported without."""
        images, _ = self._images.fetch_many(rows, self._store)
        return {found.key: found.seen for found in predict(self._record, paths(images)) if not found.error}


def champion_prelabeller(workspace: Workspace, store: ObjectStore, brain: str) -> ChampionPrelabeller | None:
    """The champion as a prelabeller, or ``None`` before the first promotion.

    Raises:
        LabelMapChanged: The champion knows a label that the schema no longer has.
    """
    record = workspace.champion(brain)
    if record is None:
        return None
    check_labels(record, workspace.label_names())
    return ChampionPrelabeller(record, workspace.images, store)


def predict(
    record: BrainRecord,
    paths: Mapping[str, Path],
    score_threshold: float | None = None,
    tile: Literal["never", "auto"] = "never",
) -> Iterable[Prediction]:
    """Predict images with the threshold that saves people most edits, unless another one is given."""
    pictures = [Picture(name, path) for name, path in paths.items()]
    return Brain.load(record).predict(pictures, score_threshold=score_threshold, tile=tile)


def check_labels(record: BrainRecord, names: Mapping[int, str]) -> None:
    """Raise :class:`LabelMapChanged` if the brain could push a label that the schema lacks."""
    gone = [name for label_file_id, name in record.manifest.label_map.labels if label_file_id not in names]
    if gone:
        raise LabelMapChanged(
            f"{record.ref} knows labels that the schema no longer has: {gone}.",
            cure="Restore the labels in Diffgram, or train a brain from scratch on the new schema.",
        )
