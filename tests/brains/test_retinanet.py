"""keras-hub's RetinaNet: learns from scratch and from presets, and predicts without keras-hub."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from diffgram_flows.brains import (
    Brain,
    BrainRecord,
    DetectionEvaluation,
    Registry,
    TrainingOptions,
    evaluate,
    pictures_of,
    train_brain,
)
from diffgram_flows.brains.methods.in_tensorflow import module
from diffgram_flows.brains.tensorflow.quiet import without_numpy_copy_warning
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import LabelMap, Snapshot

keras_hub: Any = pytest.importorskip("keras_hub", reason="RetinaNet needs keras-hub")
loading, pretrained = module("loading"), module("pretrained")
anchors, retinanet = module("anchors"), module("retinanet")

QUICK = TrainingOptions(image_size=64, batch_size=4, steps=2)
CLASSES = "classification_head/logits_layer/kernel"


@pytest.fixture(scope="module")
def learned(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> BrainRecord:
    options = replace(QUICK, batch_size=8, steps=80, learning_rate=1e-3, augmentation=0.0, averaging=0.9)
    registry = Registry(tmp_path_factory.mktemp("retinanet"))
    return train_brain(snapshot, name="detector", registry=registry, options=options, method="retinanet")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preset of a small ResNet with random weights, as keras-hub saves it."""
    return saved(keras_hub.models.ResNetBackbone(**retinanet.SMALL), tmp_path_factory.mktemp("encoder"))


def saved(network: Any, folder: Path) -> Path:
    with without_numpy_copy_warning():
        network.save_to_preset(str(folder))
    return folder


def weights(network: Any) -> dict[str, np.ndarray]:
    return {weight.path: weight.value.numpy() for weight in network.weights}


def found_in(record: BrainRecord, snapshot: Snapshot) -> DetectionEvaluation:
    samples = snapshot.split("train")
    seen = Brain.load(record).predict(pictures_of(samples), score_threshold=0.0, batch_size=8)
    return evaluate(samples, seen, record.manifest.label_map)


@pytest.mark.slow
def test_learns_eight_images_by_heart(learned: BrainRecord, snapshot: Snapshot) -> None:
    assert found_in(learned, snapshot).map50 > 0.9
    assert learned.manifest.history[-1].loss < learned.manifest.history[0].loss / 10


@pytest.mark.slow
def test_predicts_without_keras_hub(snapshot: Snapshot, registry: Registry) -> None:
    record = train_brain(snapshot, name="detector", registry=registry, options=QUICK, method="retinanet")
    assert (record.manifest.method, set(record.manifest.history[-1].parts)) == ("retinanet", {"box", "class"})
    path = snapshot.split("train")[0].path
    program = f"""
import sys
sys.modules["keras_hub"] = None
from pathlib import Path
from diffgram_flows.brains import Brain, Registry
from diffgram_flows.models import BrainRef, Picture
registry = Registry(Path({str(record.folder.parent.parent)!r}))
brain = Brain.load(registry.get(BrainRef.parse("detector@1")))
(seen,) = brain.predict([Picture("image", Path({str(path)!r}).read_bytes())], score_threshold=0.0)
print(seen.error or seen.width)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == snapshot.split("train")[0].width


@pytest.mark.slow
def test_a_grown_brain_keeps_what_it_knew(
    learned: BrainRecord,
    snapshot: Snapshot,
    labels: LabelMap,
    adopt: Callable[[BrainRecord], BrainRecord],
    registry: Registry,
) -> None:
    parent = adopt(learned)
    grown = replace(snapshot, label_map=labels.extended({90: "green"}))
    options = replace(learned.manifest.options, steps=1, learning_rate=1e-9)
    how: dict[str, Any] = {"name": "detector", "registry": registry, "options": options}
    child = train_brain(grown, **how, method="retinanet", start_from=parent.ref)
    old, new = (weights(loading.load_network(record.folder))[CLASSES] for record in (parent, child))
    by_anchor = new.reshape(*new.shape[:-1], anchors.PER_CELL, 3)
    np.testing.assert_allclose(by_anchor[..., :2], old.reshape(*old.shape[:-1], anchors.PER_CELL, 2), atol=1e-6)
    assert found_in(child, grown).map50 > 0.8
    with pytest.raises(ConfigurationError, match="detector@1 learned retinanet"):
        train_brain(grown, **how, start_from=parent.ref)


@pytest.mark.slow
def test_an_interrupted_training_goes_on(snapshot: Snapshot, tmp_path: Path) -> None:
    options = replace(QUICK, steps=4)
    how: dict[str, Any] = {"name": "detector", "options": options, "method": "retinanet"}
    steps: list[int] = []

    def stop(done: int, total: int, note: str = "") -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_brain(snapshot, registry=Registry(tmp_path / "a"), checkpoints=tmp_path / "c", progress=stop, **how)
    train_brain(
        snapshot,
        registry=Registry(tmp_path / "a"),
        checkpoints=tmp_path / "c",
        progress=lambda done, total, note="": steps.append(done),
        **how,
    )
    assert steps == [2, 3, 4]


def test_every_object_is_found_by_the_anchor_that_fits_best() -> None:
    square = anchors.Anchors(3, 5, 64)
    fits = square.boxes[square.boxes.min(1) >= 0][5]
    tiny = np.array([40, 40, 43, 43], np.float32)  # overlaps no anchor by a half
    boxes = tf.constant([[fits, tiny, [0, 0, 0, 0]], [[0, 0, 0, 0]] * 3])
    deltas, classes = square.assign(boxes, tf.constant([[1, 0, -1], [-1, -1, -1]]))
    first = classes.numpy()[0]
    exact = np.flatnonzero((square.boxes == fits).all(1))
    assert set(first[exact]) == {1}
    np.testing.assert_allclose(deltas.numpy()[0, exact], 0, atol=1e-6)
    assert (first == 0).sum() == 1
    assert set(classes.numpy()[1]) == {-1}
    assert (first == -2).any()  # what overlaps a little is neither object nor background
    assert np.isfinite(deltas.numpy()).all()
    back = square.decode(deltas).numpy()[0]
    np.testing.assert_allclose(back[first == 0], [tiny], atol=1e-3)
    np.testing.assert_allclose(back[first == 1], np.broadcast_to(fits, ((first == 1).sum(), 4)), atol=1e-3)


def test_an_image_without_objects_only_teaches_background() -> None:
    square = anchors.Anchors(3, 5, 64)
    outputs = {
        "cls_logits": tf.fill((1, len(square.boxes), 2), -4.6),
        "bbox_regression": tf.zeros((1, len(square.boxes), 4)),
    }
    loss = anchors.RetinaNetObjective(square)(outputs, tf.zeros((1, 1, 4)), tf.constant([[-1]]))
    assert (float(loss.count), float(loss.parts[0])) == (0, 0)
    assert 0 < float(loss.total) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("whole", [False, True], ids=["encoder", "with its pyramid"])
def test_a_preset_is_where_it_starts_and_stays_if_frozen(
    whole: bool, encoder: Path, snapshot: Snapshot, registry: Registry, tmp_path: Path
) -> None:
    preset = encoder
    if whole:
        network = keras_hub.models.ResNetBackbone(**retinanet.SMALL)
        pyramid = keras_hub.models.RetinaNetBackbone(network, 3, 6, use_p5=True)
        preset = saved(pyramid, tmp_path / "preset")
    options = replace(QUICK, backbone_weights=str(preset), frozen=1.0)
    record = train_brain(snapshot, name="detector", registry=registry, options=options, method="retinanet")
    assert record.manifest.versions["backbone_weights"] == options.weights_digest()
    with without_numpy_copy_warning():
        before = weights(keras_hub.models.Backbone.from_preset(str(preset)))
    after = weights(loading.load_network(record.folder))
    assert before.keys() <= after.keys()
    assert any(name.startswith("fpn/") for name in before) == whole
    for name, values in before.items():
        np.testing.assert_array_equal(values, after[name])
    levels = retinanet.build_retinanet(2, options).output["cls_logits"].shape[1] // anchors.PER_CELL
    assert levels == sum((64 // stride) ** 2 for stride in ((8, 16, 32, 64) if whole else (8, 16, 32)))


def test_pixels_are_scaled_as_the_preset_wants_them(encoder: Path, tmp_path: Path) -> None:
    presets = module("presets")
    assert presets.scaling_of(str(encoder)) == presets.scaling_of("") == (1 / 127.5, -1.0)
    scaled = tmp_path / "scaled"
    shutil.copytree(encoder, scaled)
    scale, offset = [1 / 58.4, 1 / 57.1, 1 / 57.4], [-2.1, -2.0, -1.8]
    keras_hub.layers.ResNetImageConverter(scale=scale, offset=offset).save_to_preset(str(scaled))
    network = retinanet.build_retinanet(2, replace(QUICK, backbone_weights=str(scaled)))
    image = np.random.default_rng(1).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    np.testing.assert_allclose(network.get_layer("rescale")(image), image * scale + offset, atol=1e-5)
    (scaled / "image_converter.json").write_text("{")
    with pytest.raises(ConfigurationError, match="scaled of keras-hub cannot be loaded"):
        presets.scaling_of(str(scaled))


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        pytest.param("No such. One of:\n1) a\n2) b", "(No such)", id="a list after a sentence"),
        pytest.param("One of:\n\n  a\nb", "(One of: a)", id="only a list"),
        pytest.param("Gone.\nSee the logs.", "(Gone)", id="a sentence"),
        pytest.param("", "(OSError)", id="nothing"),
    ],
)
def test_a_reason_is_never_cut_at_a_colon(monkeypatch: pytest.MonkeyPatch, raised: str, told: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(raised)

    monkeypatch.setattr(keras_hub.layers.ImageConverter, "from_preset", fail)
    with pytest.raises(ConfigurationError) as caught:
        module("presets").scaling_of("some_name")
    assert told in str(caught.value)


def test_another_preset_is_another_training(encoder: Path, tmp_path: Path) -> None:
    digest = TrainingOptions(backbone_weights=str(encoder)).weights_digest()
    (tmp_path / "config.json").write_bytes((encoder / "config.json").read_bytes())
    assert digest != TrainingOptions(backbone_weights=str(tmp_path)).weights_digest()
    assert TrainingOptions(backbone_weights="retinanet_resnet50_fpn_coco").weights_digest() is None


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """A preset of a network that has no levels."""
    network = keras_hub.models.ViTBackbone(
        image_shape=(32, 32, 3), patch_size=16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8
    )
    return saved(network, tmp_path / "flat")


def wrong_options(flat: Path, tmp_path: Path) -> Iterator[tuple[dict[str, Any], str]]:
    yield {"backbone": "MobileNetV2"}, "does not use the backbone MobileNetV2"
    said = r"nothing of keras-hub cannot be loaded \(Unknown preset identifier\)\."
    yield {"backbone_weights": str(tmp_path / "nothing")}, said
    yield {"backbone_weights": str(flat)}, "ViTBackbone, which has no levels"


def test_what_cannot_be_started_from(flat: Path, snapshot: Snapshot, tmp_path: Path, registry: Registry) -> None:
    for wrong, message in wrong_options(flat, tmp_path):
        with pytest.raises(ConfigurationError, match=message):
            train_brain(
                snapshot, name="detector", registry=registry, options=replace(QUICK, **wrong), method="retinanet"
            )
    assert registry.versions("detector") == []


def test_without_keras_hub_the_cure_is_said(
    snapshot: Snapshot, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("keras_hub")]:
        monkeypatch.setitem(sys.modules, name, None)
    for part in ("retinanet", "anchors", "presets"):
        monkeypatch.delitem(sys.modules, f"diffgram_flows.brains.tensorflow.{part}", raising=False)
    with pytest.raises(ConfigurationError, match="keras_hub is not installed") as caught:
        train_brain(snapshot, name="detector", registry=registry, options=QUICK, method="retinanet")
    assert "keras-hub" in caught.value.cure
