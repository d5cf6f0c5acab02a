"""From a snapshot to the files of a brain, whatever it learns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from diffgram_flows.brains.methods.protocol import Trained
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.batches import Augment, Batches, balancing_weights
from diffgram_flows.brains.tensorflow.fitting import fit
from diffgram_flows.brains.tensorflow.judging import Scores, make_judge
from diffgram_flows.brains.tensorflow.loading import load_network
from diffgram_flows.brains.tensorflow.machines import build, for_any_machine
from diffgram_flows.brains.tensorflow.objective import Objective
from diffgram_flows.brains.tensorflow.pretrained import backbone_layers
from diffgram_flows.brains.tensorflow.samples import decode_for_training
from diffgram_flows.brains.tensorflow.saving import save
from diffgram_flows.brains.tensorflow.warm_start import OWN_CLASS_LAYER, ClassLayer, copy_weights
from diffgram_flows.models import Progress, Sample, Snapshot

# Looking at more of the validation images after each interval would cost a good part of a short training.
_WATCHED = 48


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a method has to say about its training.

    Attributes:
        layers: Makes the network with random weights.
        objective: What is minimised.
        truth: From samples to arrays with a row for each: the targets of the objective.
        augment: How images are changed, and the targets with them.
        answer: From the network's outputs to what the brain says, in the graph.
        scores: From the validation samples that are watched to what makes scores of the answers about them.
        classes: The class indices in each sample, for showing rare ones more often.
        class_layer: The layer that grows with the labels.
        files: What the brain needs besides its network, by name.
    """

    layers: Callable[[], Any]
    objective: Objective
    truth: Callable[[Sequence[Sample]], tuple[NDArray[Any], ...]]
    augment: Augment
    answer: Callable[[Any], dict[str, Any]]
    scores: Callable[[Sequence[Sample]], Scores]
    classes: Callable[[Sequence[Sample]], Sequence[Sequence[int]]]
    class_layer: ClassLayer = OWN_CLASS_LAYER
    files: Mapping[str, bytes] = field(default_factory=dict)


def learn(
    lesson: Lesson,
    snapshot: Snapshot,
    folder: Path,
    options: TrainingOptions,
    *,
    parent: BrainRecord | None,
    progress: Progress,
    checkpoints: Path | None,
) -> Trained:
    """Train on a snapshot and write the brain's files into ``folder``.

    Raises:
        NotEnoughData: None of the training images can be decoded.
        BrainTampered: The parent's network cannot be loaded safely.
    """
    network = build(options, lesson.layers)
    if parent is not None:
        copy_weights(load_network(parent.folder), network, lesson.class_layer)
    with _kept(checkpoints) as cache:
        train, validation = decode_for_training(snapshot, options.image_size, cache)
        weights = balancing_weights(lesson.classes(train.samples), options.balance)
        data = Batches(train.images, lesson.truth(train.samples), options, augment=lesson.augment, weights=weights)
        watched = validation.samples if options.patience else validation.samples[:_WATCHED]
        judge = make_judge(
            validation.images[: len(watched)],
            lesson.truth(watched),
            lesson.objective,
            answer=lesson.answer,
            scores=lesson.scores(watched),
            batch_size=options.batch_size,
        )
        history = fit(
            network,
            lesson.objective,
            data,
            options,
            judge=judge,
            checkpoints=checkpoints,
            progress=progress,
            frozen=backbone_layers(network),
        )
    save(for_any_machine(network, lesson.layers), options.image_size, lesson.answer, folder)
    for name, content in lesson.files.items():
        (folder / name).write_bytes(content)
    return Trained(history, train.skipped + validation.skipped)


@contextmanager
def _kept(checkpoints: Path | None) -> Iterator[Path]:
    """The folder for decoded images: that of the checkpoints, or one that is gone afterwards."""
    if checkpoints is not None:
        yield checkpoints
        return
    with tempfile.TemporaryDirectory(prefix="diffgram-flows-") as scratch:
        yield Path(scratch)
