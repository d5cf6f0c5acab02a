"""Small pictures with coloured rectangles, and brains that learned a little of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffgram_flows.brains import BrainRecord, Registry, TrainingOptions, train_brain
from diffgram_flows.models import Annotation, Box, LabelMap, Sample, Snapshot, Split

LABELS = LabelMap(((70, "red"), (40, "blue")))
COLOURS = {70: (220, 30, 30), 40: (30, 60, 220)}
SIDE = 96
MakeSamples = Callable[..., tuple[Sample, ...]]
MakeSnapshot = Callable[..., Snapshot]
Learning = tuple[BrainRecord, list[tuple[int, int]]]


@pytest.fixture(scope="session")
def labels() -> LabelMap:
    return LABELS


@pytest.fixture(scope="session")
def make_samples(tmp_path_factory: pytest.TempPathFactory) -> MakeSamples:
    """A function that writes images, each with one or two rectangles; the same seed gives the same images."""

    def make(count: int, *, split: Split = "train", seed: int = 0) -> tuple[Sample, ...]:
        folder = tmp_path_factory.mktemp(split)
        return tuple(_sample(folder, number, split, seed) for number in range(count))

    return make


@pytest.fixture(scope="session")
def make_snapshot(tmp_path_factory: pytest.TempPathFactory) -> MakeSnapshot:
    def make(samples: Sequence[Sample], label_map: LabelMap = LABELS) -> Snapshot:
        return Snapshot("0123456789abcdef", tmp_path_factory.mktemp("snapshot"), label_map, tuple(samples))

    return make


@pytest.fixture(scope="session")
def tiny() -> TrainingOptions:
    """Enough to write and load real brains, not to learn anything."""
    return TrainingOptions(image_size=64, width=8, head=16, batch_size=4, steps=4)


@pytest.fixture(scope="session")
def snapshot(make_samples: MakeSamples, make_snapshot: MakeSnapshot) -> Snapshot:
    return make_snapshot(make_samples(8) + make_samples(3, split="val", seed=1) + make_samples(4, split="test", seed=2))


@pytest.fixture(scope="session")
def learning(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Learning:
    """A training that lasts until the eight training images are known by heart, and the progress it told of."""
    options = TrainingOptions(
        image_size=64, width=16, head=32, batch_size=8, steps=120, learning_rate=6e-3, augmentation=0, averaging=0.9
    )
    told: list[tuple[int, int]] = []
    record = train_brain(
        snapshot,
        name="detector",
        registry=Registry(tmp_path_factory.mktemp("learned")),
        options=options,
        progress=lambda done, total, note="": told.append((done, total)),
    )
    return record, told


@pytest.fixture(scope="session")
def learned(learning: Learning) -> BrainRecord:
    """A brain that knows its eight training images well; its folder must not be changed."""
    return learning[0]


@pytest.fixture(scope="session")
def novice(
    make_samples: MakeSamples,
    make_snapshot: MakeSnapshot,
    tiny: TrainingOptions,
    tmp_path_factory: pytest.TempPathFactory,
) -> BrainRecord:
    """A brain of four steps on five images, of which one is cut short and one is a text; not to be changed."""
    samples = make_samples(5)
    samples[1].path.write_bytes(samples[1].path.read_bytes()[:2_000])
    samples[3].path.write_text("not an image")
    registry = Registry(tmp_path_factory.mktemp("novice"))
    return train_brain(make_snapshot(samples), name="detector", registry=registry, options=tiny)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "brains")


@pytest.fixture
def adopt(registry: Registry) -> Callable[[BrainRecord], BrainRecord]:
    """A function that adds a copy of a brain to this test's own registry."""

    def copy(record: BrainRecord) -> BrainRecord:
        with registry.draft("detector") as draft:
            for name in record.manifest.files:
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                (draft / name).write_bytes((record.folder / name).read_bytes())
            return registry.add("detector", draft, replace(record.manifest, files={}))

    return copy


def _sample(folder: Path, number: int, split: Split, seed: int) -> Sample:
    random = np.random.default_rng([seed, number])
    image = Image.fromarray(random.integers(90, 130, (SIDE, SIDE, 3), dtype=np.uint8))
    canvas = ImageDraw.Draw(image)
    boxes = []
    for half in range(int(random.integers(1, 3))):
        kind = int(random.choice([70, 40]))
        width, height = (int(side) for side in random.integers(24, 40, 2))
        x, y = half * SIDE // 2 + int(random.integers(0, 8)), int(random.integers(0, SIDE - height))
        canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=COLOURS[kind])
        boxes.append(Box(kind, x, y, x + width, y + height))
    path = folder / f"{number}.png"
    image.save(path)
    file_id = {"train": 1_000, "val": 2_000, "test": 3_000}[split] + number
    return Sample(
        file_id, f"{split}-{number}.png", "", "0" * 64, path, SIDE, SIDE, split, tuple(map(Annotation.of_box, boxes))
    )
