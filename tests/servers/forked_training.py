"""Trainings in processes that get killed, for tests: run as a program, it prints what became of the weights.

TensorFlow is imported once, here; every training is a fork of this process, which itself computes nothing: a fork of
a TensorFlow that has begun to compute would hang.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw
from servers.small_training import Brightness, data, network

from diffgram_flows.brains import Registry, TrainingOptions, train_brain
from diffgram_flows.brains.tensorflow import detector  # noqa: F401 - the import that the forks are spared
from diffgram_flows.brains.tensorflow.fitting import fit
from diffgram_flows.brains.tensorflow.loading import load_network
from diffgram_flows.models import Annotation, Box, LabelMap, Progress, Sample, Snapshot, Split

_SIDE = 64
_PATIENCE = 120.0  # seconds for one training


class _Run(NamedTuple):
    """One process: the steps that it told of, when (seconds), and how it ended."""

    told: list[int]
    at: list[float]
    status: int


def main() -> None:
    """``forked_training.py FOLDER (brain|loop) KILLS STEPS SIGNAL SEED``: JSON on standard output."""
    folder, train = Path(sys.argv[1]), {"brain": _train_brain, "loop": _train_loop}[sys.argv[2]]
    kills, steps, number, seed = map(int, sys.argv[3:])
    warnings.simplefilter("ignore", DeprecationWarning)  # a fork beside threads; ours are idle
    whole = _run(partial(train, folder / "reference", steps))
    again = partial(train, folder / "killed", steps)
    first, interval = whole.at[1] - whole.at[0], (whole.at[-1] - whole.at[1]) / (len(whole.at) - 2)
    chance = random.Random(seed)  # noqa: S311 - no secret
    # Every other process saves a state before its end; the others die while they start or in their first interval.
    ends = [(2, chance.uniform(0, interval)) if n % 2 == 0 else (1, chance.uniform(0, first)) for n in range(kills)]
    runs = [_run(again, end, number) for end in ends]
    runs.append(_run(again))
    report = {
        "reference": (folder / "reference" / "digest").read_text(),
        "survived": (folder / "killed" / "digest").read_text(),
        "begun": [run.told[0] for run in runs],
        "ended": [run.status for run in runs],
        "left": sorted(path.name for path in (folder / "killed" / "training").iterdir()),
    }
    print(json.dumps(report))  # noqa: T201


def _run(train: Callable[[Progress], None], end: tuple[int, float] | None = None, number: int = signal.SIGKILL) -> _Run:
    """Train in a process of its own; end it some seconds after it has told so many times how far it is."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        _in_child(train, writing)
    os.close(writing)
    told: list[int] = []
    at: list[float] = []
    deadline = time.monotonic() + _PATIENCE
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while True:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            line = pipe.readline() if ready else b""
            if line:
                told.append(int(line))
                at.append(time.monotonic())
                if end is not None and len(told) == end[0]:
                    deadline = at[-1] + end[1]
                continue
            if not ready:
                os.kill(child, number if end is not None else signal.SIGKILL)
            return _Run(told, at, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _in_child(train: Callable[[Progress], None], pipe: int) -> NoReturn:
    def progress(done: int, total: int, note: str = "") -> None:
        os.write(pipe, b"%d\n" % done)

    try:
        train(progress)
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _train_brain(folder: Path, steps: int, progress: Progress) -> None:
    folder.mkdir(exist_ok=True)
    options = TrainingOptions(
        image_size=64, width=8, head=16, batch_size=4, steps=steps, augmentation=1.0, deterministic=True
    )
    registry = Registry(folder / "brains")
    record = train_brain(
        _snapshot(folder),
        name="detector",
        registry=registry,
        options=options,
        checkpoints=folder,
        progress=progress,
    )
    (folder / "detector").rename(folder / "training")
    _write_digest(folder, load_network(record.folder))


def _train_loop(folder: Path, steps: int, progress: Progress) -> None:
    options = TrainingOptions(image_size=64, batch_size=4, steps=steps, augmentation=0, deterministic=True)
    tf.config.experimental.enable_op_determinism()
    learning = network()
    fit(learning, Brightness(), data(options), options, checkpoints=folder / "training", progress=progress)
    _write_digest(folder, learning)


def _write_digest(folder: Path, trained: Any) -> None:
    """Of all weights, by their bytes."""
    digest = hashlib.sha256(b"".join(weight.value.numpy().tobytes() for weight in trained.weights))
    (folder / "digest").write_text(digest.hexdigest())


def _snapshot(folder: Path) -> Snapshot:
    samples = tuple(_sample(folder, number, "val" if number < 2 else "train") for number in range(12))
    return Snapshot("0123456789abcdef", folder, LabelMap(((1, "bright"), (2, "dark"))), samples)


def _sample(folder: Path, number: int, split: Split) -> Sample:
    chance = np.random.default_rng(number)
    image = Image.fromarray(chance.integers(90, 130, (_SIDE, _SIDE, 3), dtype=np.uint8))
    label, (x, y) = number % 2 + 1, chance.integers(0, 30, 2).tolist()
    box = Box(label, x, y, x + 24, y + 30)
    ImageDraw.Draw(image).rectangle((x, y, x + 23, y + 29), fill=(230,) * 3 if label == 1 else (10,) * 3)
    path = folder / f"{number}.png"
    image.save(path)
    return Sample(number, path.name, "", "0" * 64, path, _SIDE, _SIDE, split, (Annotation.of_box(box),))


if __name__ == "__main__":
    main()
