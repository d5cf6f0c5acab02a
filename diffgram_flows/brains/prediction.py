"""Asking a brain about images."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sized
from dataclasses import replace
from pathlib import Path

from diffgram_flows.brains.methods import Model, find_method
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.models import Box, Picture, Prediction, Progress, no_progress

_KEPT_BRAINS = 4
_SAME_PLACE = 0.7
_loaded: dict[Path, Brain] = {}
_loading = threading.Lock()


class Brain:
    """A loaded brain. :meth:`load` is the way to get one."""

    def __init__(self, record: BrainRecord, model: Model) -> None:
        self.record = record
        self._model = model

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
        batch_size: int = 16,
        progress: Progress = no_progress,
    ) -> Iterator[Prediction]:
        """Predict images of any mix of sizes and types, holding only a few of them in memory.

        Args:
            pictures: The images; read as the predictions are asked for, in the thread that asks.
            score_threshold: Boxes below are left out, and so are those at the place of a better one
                (:func:`distinct`); ``None`` is the threshold that saves people most edits, and 0 is for
                :func:`~diffgram_flows.brains.evaluation.evaluate`: everything that the brain sees.
            batch_size: Images that go through the network together.
            progress: Told after every image; its total is 0 where ``pictures`` has no length.

        Yields:
            One prediction a picture, in the order of the pictures. A file that is missing, damaged, too large or no
            image gives one with an ``error``, and does not stop the others.
        """
        threshold = self.record.manifest.score_threshold if score_threshold is None else score_threshold
        total = len(pictures) if isinstance(pictures, Sized) else 0
        predictions = self._model.predict(pictures, score_threshold=threshold, batch_size=batch_size)
        for done, prediction in enumerate(predictions, start=1):
            yield distinct(prediction) if threshold > 0 else prediction
            progress(done, total)


def distinct(prediction: Prediction) -> Prediction:
    """The prediction without boxes that lie where a better one lies (IoU of 0.7): one thing has one label."""
    kept: list[Box] = []
    for box in prediction.boxes:  # best first
        if all(box.iou(better) < _SAME_PLACE for better in kept):
            kept.append(box)
    return replace(prediction, boxes=tuple(kept))
