from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from diffgram_flows.brains import (
    METHODS,
    Brain,
    BrainRecord,
    Registry,
    TrainingOptions,
    check_judging,
    evaluate,
    pictures_of,
    train_brain,
)
from diffgram_flows.brains.tensorflow.samples import decode_samples
from diffgram_flows.errors import BrainNotFound, ConfigurationError, LabelMapChanged, NotEnoughData
from diffgram_flows.models import BrainRef, LabelMap, Sample, Snapshot

MakeSamples = Callable[..., tuple[Sample, ...]]
MakeSnapshot = Callable[..., Snapshot]
Adopt = Callable[[BrainRecord], BrainRecord]


def test_learns_eight_images_by_heart(learned: BrainRecord, snapshot: Snapshot, labels: LabelMap) -> None:
    train = snapshot.split("train")
    predictions = Brain.load(learned).predict(pictures_of(train), score_threshold=0.0, batch_size=8)
    assert evaluate(train, predictions, labels).map50 > 0.9
    assert learned.manifest.history[-1].loss < learned.manifest.history[0].loss / 2
    assert learned.manifest.history[-1].step == learned.manifest.options.steps


def test_the_manifest_tells_where_a_brain_comes_from(learned: BrainRecord, snapshot: Snapshot) -> None:
    manifest = learned.manifest
    assert (manifest.snapshot_id, manifest.label_map, manifest.parent) == (snapshot.id, snapshot.label_map, None)
    assert {split: found.images for split, found in manifest.metrics.items()} == {"val": 3, "test": 4}
    assert all(epoch.validation_loss is not None for epoch in manifest.history)
    assert {"network.keras", "saved_model/saved_model.pb"} <= set(manifest.files)
    assert 0 < manifest.score_threshold < 1
    learned.verify()


def test_progress_reaches_the_last_step(learning: tuple[BrainRecord, list[tuple[int, int]]]) -> None:
    record, told = learning
    steps = record.manifest.options.steps
    assert told == [(0, steps), *((epoch.step, steps) for epoch in record.manifest.history)]
    assert told[-1] == (steps, steps)


def test_bad_images_are_skipped_and_listed(novice: BrainRecord) -> None:
    skipped = {failure.name: failure.reason for failure in novice.manifest.skipped}
    assert set(skipped) == {"train-1.png", "train-3.png"}
    assert "damaged" in skipped["train-1.png"]
    assert "not an image" in skipped["train-3.png"]


@pytest.mark.parametrize(
    ("count", "with_boxes", "said"),
    [
        pytest.param(0, True, "no training image", id="nothing"),
        pytest.param(1, False, "1 training images, none of them with a box", id="a folder with one image"),
    ],
)
def test_too_little_to_learn_from(
    make_samples: MakeSamples,
    make_snapshot: MakeSnapshot,
    registry: Registry,
    tiny: TrainingOptions,
    count: int,
    with_boxes: bool,
    said: str,
) -> None:
    samples = [sample if with_boxes else replace(sample, annotations=()) for sample in make_samples(count)]
    with pytest.raises(NotEnoughData, match=said):
        train_brain(make_snapshot(samples), name="detector", registry=registry, options=tiny)
    assert registry.versions("detector") == []


def test_what_nobody_could_judge_is_refused(snapshot: Snapshot) -> None:
    check_judging(snapshot, "detector", "object_detection")
    with pytest.raises(NotEnoughData, match=r"None of the 15 images .* with a tag, so nobody .* how good 'cars' is"):
        check_judging(snapshot, "cars", "classification")
    bare = replace(snapshot, samples=snapshot.split("train"))
    with pytest.raises(NotEnoughData, match=r"None of the 8 images .* with a box or a polygon"):
        check_judging(bare, "detector", "retinanet")


def test_only_bad_images(
    make_samples: MakeSamples, make_snapshot: MakeSnapshot, registry: Registry, tiny: TrainingOptions
) -> None:
    samples = make_samples(2)
    for sample in samples:
        sample.path.unlink()
    with pytest.raises(NotEnoughData, match="None of the 2 training images"):
        train_brain(make_snapshot(samples), name="detector", registry=registry, options=tiny)
    assert registry.versions("detector") == []


def test_a_grown_brain_keeps_what_it_knew(
    learned: BrainRecord, snapshot: Snapshot, labels: LabelMap, adopt: Adopt, registry: Registry
) -> None:
    parent = adopt(learned)
    grown = replace(snapshot, label_map=labels.extended({90: "green"}))
    # A step this small changes nothing: what the child knows, it has from its parent.
    options = replace(learned.manifest.options, steps=1, learning_rate=1e-9)
    child = train_brain(grown, name="detector", registry=registry, options=options, start_from=parent.ref)
    assert child.manifest.parent == "detector@1"
    assert child.manifest.label_map.names == ("red", "blue", "green")
    old, new = class_kernel(parent), class_kernel(child)
    assert new.shape[-1] == 3
    np.testing.assert_allclose(new[..., :2], old, atol=1e-6)
    test = snapshot.split("train")
    found = evaluate(
        test, Brain.load(child).predict(pictures_of(test), score_threshold=0.0, batch_size=8), grown.label_map
    )
    assert found.map50 > 0.8


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(LabelMap(((40, "blue"), (70, "red"))), id="reordered"),
        pytest.param(LabelMap(((70, "red"),)), id="one is gone"),
    ],
)
def test_other_labels_are_refused(
    novice: BrainRecord, snapshot: Snapshot, adopt: Adopt, registry: Registry, tiny: TrainingOptions, other: LabelMap
) -> None:
    parent = adopt(novice)
    with pytest.raises(LabelMapChanged, match="red, blue"):
        train_brain(
            replace(snapshot, label_map=other), name="detector", registry=registry, options=tiny, start_from=parent.ref
        )


class Started(Exception):
    """A training has begun."""


@pytest.mark.parametrize("legacy", [False, True], ids=["same method", "legacy"])
def test_labels_that_are_not_the_champions_are_refused_before_the_training(
    novice: BrainRecord,
    snapshot: Snapshot,
    adopt: Adopt,
    registry: Registry,
    tiny: TrainingOptions,
    monkeypatch: pytest.MonkeyPatch,
    legacy: bool,
) -> None:
    def train(*_: object, **__: object) -> None:
        raise Started

    other = LabelMap(((31, "red"), (40, "blue")))  # as of another project, by the same names
    known = replace(novice.manifest, label_map=other, method="legacy_detection" if legacy else "object_detection")
    first, second = adopt(replace(novice, manifest=known)), adopt(novice)
    registry.promote(first.ref)
    monkeypatch.setattr(METHODS["object_detection"], "train", train)
    with pytest.raises(LabelMapChanged, match=r"champion detector@1 \(red \(id 31\), .*red \(id 70\)") as caught:
        train_brain(snapshot, name="detector", registry=registry, options=tiny)
    assert "another name than detector" in caught.value.cure
    assert registry.numbers("detector") == [1, 2]
    with pytest.raises(Started):
        train_brain(snapshot, name="other", registry=registry, options=tiny)
    registry.promote(second.ref)
    with pytest.raises(Started):
        train_brain(snapshot, name="detector", registry=registry, options=tiny)


def test_an_unknown_start_is_refused(snapshot: Snapshot, registry: Registry, tiny: TrainingOptions) -> None:
    with pytest.raises(BrainNotFound):
        train_brain(snapshot, name="detector", registry=registry, options=tiny, start_from=BrainRef("detector", 9))


def test_an_unknown_method_is_refused(snapshot: Snapshot, registry: Registry, tiny: TrainingOptions) -> None:
    with pytest.raises(ConfigurationError, match="astrology") as caught:
        train_brain(snapshot, name="detector", registry=registry, options=tiny, method="astrology")
    assert caught.value.cure == "Choose one of classification, object_detection, retinanet, semantic_segmentation."


def class_kernel(record: BrainRecord) -> np.ndarray:
    network = keras.saving.load_model(record.folder / "network.keras", compile=False, safe_mode=True)
    kernel: np.ndarray = network.get_layer("class_logits").kernel.value.numpy()
    return kernel


def test_images_that_tensorflow_cannot_read_are_learned_as_they_are_seen(tmp_path: Path) -> None:
    red = Image.new("RGB", (96, 96), (220, 30, 30))
    red.quantize(4).save(tmp_path / "palette.bmp")
    red.putalpha(128)
    red.save(tmp_path / "alpha.webp", lossless=True)
    names = ("palette.bmp", "alpha.webp")
    samples = [Sample(n, name, "", "", tmp_path / name, 96, 96, "train") for n, name in enumerate(names)]
    decoded = decode_samples(samples, 64, tmp_path / "cache")
    assert [sample.file_name for sample in decoded.samples] == list(names)
    assert [image[32, 32].tolist() for image in decoded.images] == [[220, 30, 30]] * 2
