"""Backbones of keras.applications; their weights are random here, saved to a file as anybody would save them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from diffgram_flows.brains import Brain, Registry, TrainingOptions, pictures_of, train_brain
from diffgram_flows.brains.options import BACKBONES, OWN_BACKBONE
from diffgram_flows.brains.tensorflow.loading import load_network
from diffgram_flows.brains.tensorflow.network import build_network
from diffgram_flows.brains.tensorflow.quiet import without_numpy_copy_warning
from diffgram_flows.disk import sha256_of
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Snapshot

NAME = "MobileNetV3Small"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(NAME, tmp_path_factory.mktemp("weights"))


def saved(name: str, folder: Path) -> Path:
    """A file with random weights of a backbone."""
    keras.utils.set_random_seed(5)
    network = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(96, 96, 3))
    path = folder / "backbone.weights.h5"
    with without_numpy_copy_warning():
        network.save_weights(path)
    return path


def options(weights: object, **others: object) -> TrainingOptions:
    chosen = {"image_size": 64, "head": 16, "batch_size": 4, "steps": 2, "backbone": NAME, **others}
    return TrainingOptions(backbone_weights=str(weights), **chosen)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_frozen_backbone_stays_as_its_file_says(weights: Path, snapshot: Snapshot, registry: Registry) -> None:
    chosen = options(weights, frozen=1.0)
    record = train_brain(snapshot, name="detector", registry=registry, options=chosen)
    assert record.manifest.versions["backbone_weights"] == sha256_of(weights)
    start, trained = build_network(2, chosen), load_network(record.folder)
    kernels = [layer.name for layer in start.layers if getattr(layer, "from_elsewhere", False) and layer.weights]
    assert len(kernels) > 50
    for name in kernels:
        for before, after in zip(start.get_layer(name).weights, trained.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(before.value.numpy(), after.value.numpy())
    head = (model.get_layer("class_logits").bias.numpy() for model in (start, trained))
    assert not np.array_equal(*head)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_the_three_strides(name: str) -> None:
    network = build_network(3, replace(options(""), backbone=name, image_size=96))
    outputs = network(np.zeros((1, 96, 96, 3), np.float32))
    assert tuple(outputs["classes"].shape) == (1, 12 * 12 + 6 * 6 + 3 * 3, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKBONES)
def test_what_every_backbone_is_made_of_is_allowed(
    name: str, snapshot: Snapshot, registry: Registry, tmp_path: Path
) -> None:
    """Trained for a step, saved, scanned, loaded, and asked: no operation of it is unknown to the allow-list."""
    file = "" if name == OWN_BACKBONE else saved(name, tmp_path)
    record = train_brain(snapshot, name="detector", registry=registry, options=options(file, backbone=name, steps=1))
    assert record.manifest.options.backbone == name
    seen = list(Brain.load(record).predict(pictures_of(snapshot.split("test")), score_threshold=0.0))
    assert [(found.width, found.height, found.error) for found in seen] == [(96, 96, "")] * 4


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("missing.h5", None, "no file"), ("foreign.weights.h5", b"not weights", "does not hold weights")],
)
def test_weights_that_are_not_there(tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=said):
        build_network(2, options(tmp_path / name))


def test_weights_of_another_network(weights: Path) -> None:
    with pytest.raises(ConfigurationError, match="MobileNetV2"):
        build_network(2, options(weights, backbone="MobileNetV2"))
