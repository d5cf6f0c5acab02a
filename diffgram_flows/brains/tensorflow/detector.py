"""Training and loading of a detector: what the room's parts do together."""

from __future__ import annotations

import tempfile
from pathlib import Path

from diffgram_flows.brains.methods.protocol import Trained
from diffgram_flows.brains.options import TrainingOptions
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.tensorflow.fitting import fit, seed_everything
from diffgram_flows.brains.tensorflow.grid import make_grid
from diffgram_flows.brains.tensorflow.inference import Detector
from diffgram_flows.brains.tensorflow.input_pipeline import decode_samples, training_batches, validation_batches
from diffgram_flows.brains.tensorflow.loading import load_network, load_program
from diffgram_flows.brains.tensorflow.network import build_network
from diffgram_flows.brains.tensorflow.saving import save
from diffgram_flows.brains.tensorflow.warm_start import copy_weights
from diffgram_flows.errors import NotEnoughData
from diffgram_flows.models import Progress, Snapshot


def train_detector(
    snapshot: Snapshot, folder: Path, options: TrainingOptions, parent: BrainRecord | None, progress: Progress
) -> Trained:
    """Train on a snapshot and write the brain's files into ``folder``.

    Raises:
        NotEnoughData: None of the training images can be decoded.
        BrainTampered: The parent's network cannot be loaded safely.
    """
    seed_everything(options)
    grid = make_grid(options.image_size)
    network = build_network(len(snapshot.label_map.labels), options)
    if parent is not None:
        copy_weights(load_network(parent.folder), network)
    with tempfile.TemporaryDirectory(prefix="diffgram-flows-") as scratch:
        train = decode_samples(snapshot.split("train"), snapshot.label_map, grid.size, Path(scratch, "train"))
        if not train.count:
            raise NotEnoughData(
                f"None of the {len(train.skipped)} training images of the snapshot {snapshot.id} can be decoded: "
                f"{train.skipped[0].reason}",
                cure="Look at the listed images.",
            )
        validation = decode_samples(snapshot.split("val"), snapshot.label_map, grid.size, Path(scratch, "val"))
        history = fit(
            network,
            grid,
            training_batches(train, options),
            validation_batches(validation, options) if validation.count else None,
            options,
            progress,
        )
    save(network, grid, folder)
    return Trained(history, train.skipped + validation.skipped)


def load_detector(record: BrainRecord) -> Detector:
    """Load a brain for prediction.

    Raises:
        BrainTampered: Its graph holds a forbidden operation.
    """
    module, function = load_program(record.folder)
    return Detector(module, function, size=record.manifest.options.image_size, label_map=record.manifest.label_map)
