"""Asking a brain about images."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from pathlib import Path

from diffgram_flows.brains.methods import Model, find_method
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tiling import TileOption, Tiling
from diffgram_flows.models import Box, Picture, Prediction, Progress, no_progress

_KEPT_BRAINS = 4
_SAME_PLACE = 0.7
_loaded: dict[Path, Brain] = {}
_loading = threading.Lock()


class Brain:
    """A loaded brain. :meth:`load` is the way to get one."""

    def __init__(self, record: BrainRecord, model: Model) -> None:
        self.record = record
        self.model = model

    @classmethod
    def load(cls, record: BrainRecord) -> Brain:
        """Verify the files of a version and load it, once in a process: versions do not change.

        Raises:
            BrainTampered: A file is not what the manifest says, or the graph holds a forbidden operation.
            ConfigurationError: Its method is unknown, or TensorFlow is not installed.
        """
        key = record.folder.resolve()
        with _loading:
            if key not in _loaded:
                record.verify()
                brain = cls(record, find_method(record.manifest.method).load(record))
                if len(_loaded) >= _KEPT_BRAINS:
                    del _loaded[next(iter(_loaded))]
                _loaded[key] = brain
            return _loaded[key]

    def predict(
        self,
        pictures: Iterable[Picture],
        *,
        score_threshold: float | None = None,
        batch_size: int = 8,
        tile: TileOption | Tiling = "never",
        progress: Progress = no_progress,
    ) -> Iterator[Prediction]:
        """Predict images of any mix of sizes and types, holding only a few of them in memory.

        May be called from several threads at once. A single picture is looked at without delay, in this thread.

        Args:
            pictures: The images; read as the predictions are asked for, in the thread that asks.
            score_threshold: Boxes below are left out, and so are those at the place of a better one
                (:func:`distinct`); ``None`` is the threshold that saves people most edits, and 0 is for
                :func:`~diffgram_flows.brains.evaluation.evaluate`: everything that the brain sees.
            batch_size: Images that go through the network together.
            tile: Whether images much larger than the network's input are looked at in overlapping tiles as well:
                ``never``, ``auto``, the overlap as a share of a tile, or a :class:`Tiling`. Finds what is small in a
                large image, and takes as much longer as there are tiles.
            progress: Told after every image; its total is 0 where ``pictures`` has no length.

        Yields:
            One prediction a picture, in the order of the pictures. A file that is missing, damaged, too large or no
            image gives one with an ``error``, and does not stop the others.
        """
        asked = predict_many(
            [self], pictures, score_threshold=score_threshold, batch_size=batch_size, tile=tile, progress=progress
        )
        return (prediction for (prediction,) in asked)

    def threshold(self, wanted: float | None) -> float:
        """The score threshold that is meant: the one that saves people most edits, unless another one is wanted."""
        return self.record.manifest.score_threshold if wanted is None else wanted


def predict_many(
    brains: Sequence[Brain],
    pictures: Iterable[Picture],
    *,
    score_threshold: float | None = None,
    batch_size: int = 8,
    tile: TileOption | Tiling = "never",
    progress: Progress = no_progress,
) -> Iterator[tuple[Prediction, ...]]:
    """What each of several brains sees in each picture, which is read and decoded once for all of them.

    Args and errors as of :meth:`Brain.predict`.

    Yields:
        One prediction a brain for each picture, in the order of the brains.
    """
    from diffgram_flows.brains.tensorflow.looking import look

    thresholds = [brain.threshold(score_threshold) for brain in brains]
    total = len(pictures) if isinstance(pictures, Sized) else 0
    seen = look(
        [brain.model for brain in brains],
        pictures,
        score_thresholds=thresholds,
        batch_size=batch_size,
        tiling=tile if isinstance(tile, Tiling) else Tiling.of(tile),
    )
    for done, predictions in enumerate(seen, start=1):
        yield tuple(
            distinct(found) if least > 0 else found for found, least in zip(predictions, thresholds, strict=True)
        )
        progress(done, total)


def distinct(prediction: Prediction) -> Prediction:
    """The prediction without boxes that lie where a better one lies (IoU of 0.7): one thing has one label."""
    kept: list[Box] = []
    for box in prediction.boxes:  # best first
        if all(box.iou(better) < _SAME_PLACE for better in kept):
            kept.append(box)
    return replace(prediction, boxes=tuple(kept))
