"""What a way of learning must offer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from diffgram_flows.brains.evaluation import Evaluation
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord, Epoch
from diffgram_flows.models import Failure, LabelMap, Picture, Prediction, Progress, Sample, Snapshot


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training has to tell.

    Attributes:
        history: The losses.
        skipped: Images that could not be trained on.
    """

    history: tuple[Epoch, ...]
    skipped: tuple[Failure, ...]


class Model(Protocol):
    """A loaded brain."""

    def predict(self, pictures: Iterable[Picture], *, score_threshold: float, batch_size: int) -> Iterator[Prediction]:
        """One prediction a picture, in their order, best box first; a bad picture gives one with an error."""
        ...


class Method(Protocol):
    """One way of learning, such as object detection.

    Attributes:
        name: What manifests and callers name it by.
        instance_types: Diffgram's types of instances that it learns from.
    """

    @property
    def name(self) -> str: ...

    @property
    def instance_types(self) -> frozenset[str]: ...

    def train(
        self,
        snapshot: Snapshot,
        folder: Path,
        options: TrainingOptions,
        *,
        parent: BrainRecord | None,
        progress: Progress,
        checkpoints: Path | None = None,
    ) -> Trained:
        """Train on the ``train`` split, from ``parent`` if given, and write the brain's files into ``folder``.

        What is in ``checkpoints``, a folder of this order alone, is where an interrupted training left off.

        Raises:
            NotEnoughData: No image could be trained on.
        """
        ...

    def load(self, record: BrainRecord) -> Model:
        """Load a brain whose files were verified.

        Raises:
            BrainTampered: Its program does what no brain does.
        """
        ...

    def evaluate(
        self, samples: Sequence[Sample], predictions: Iterable[Prediction], label_map: LabelMap
    ) -> Evaluation: ...

    def best_threshold(self, samples: Sequence[Sample], predictions: Iterable[Prediction]) -> float: ...
