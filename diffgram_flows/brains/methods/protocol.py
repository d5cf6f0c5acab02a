"""What a way of learning must offer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation import Evaluation
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord, Epoch
from diffgram_flows.models import Annotation, Box, Failure, LabelMap, Prediction, Progress, Sample, Snapshot


@dataclass(frozen=True, slots=True)
class Trained:
    """What a training has to tell.

    Attributes:
        history: The losses.
        skipped: Images that could not be trained on.
    """

    history: tuple[Epoch, ...]
    skipped: tuple[Failure, ...]


class Answer(NamedTuple):
    """What a model sees in one image or tile, in pixels of it: see :class:`~diffgram_flows.models.Prediction`."""

    boxes: tuple[Box, ...] = ()
    annotations: tuple[Annotation, ...] = ()


class Model(Protocol):
    """A loaded brain: it looks at squares of pixels, and is asked from several threads at once.

    Attributes:
        size: Side in pixels of the squares; ``None`` looks at images of any shape, one shape at a time.
        tileable: Whether a large image may be shown to it piece by piece, and its boxes put together.
    """

    @property
    def size(self) -> int | None: ...

    @property
    def tileable(self) -> bool: ...

    def answer(
        self, images: NDArray[np.uint8], sizes: Sequence[tuple[int, int]], score_threshold: float
    ) -> Sequence[Answer]:
        """What is in each image, best first.

        Args:
            images: ``[B, size, size, 3]`` RGB: upright images, stretched.
            sizes: Width and height of each before it was stretched: what the answer's pixels are.
            score_threshold: What is less sure is left out.
        """
        ...


class Method(Protocol):
    """One way of learning, such as object detection.

    Attributes:
        name: What manifests and callers name it by.
        finds: What its brains say: ``boxes``, ``tags`` or ``areas``. Only brains that find the same can be compared.
        instance_types: Diffgram's types of instances that it learns from.
        learning_rate: The peak that suits its network.
    """

    @property
    def name(self) -> str: ...

    @property
    def finds(self) -> str: ...

    @property
    def instance_types(self) -> frozenset[str]: ...

    @property
    def learning_rate(self) -> float: ...

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
