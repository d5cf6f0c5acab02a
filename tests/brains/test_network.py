"""The parts that a whole training would hide if they were only almost right."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.brains.tensorflow.augmentation import augment
from diffgram_flows.brains.tensorflow.decoding import detect, to_boxes
from diffgram_flows.brains.tensorflow.grid import make_grid
from diffgram_flows.brains.tensorflow.network import build_network
from diffgram_flows.brains.tensorflow.schedule import learning_rate
from diffgram_flows.brains.tensorflow.targets import assign
from diffgram_flows.errors import ConfigurationError


@pytest.mark.parametrize("image_size", [64, 96, 192])
def test_outputs_speak_about_every_point(image_size: int) -> None:
    network = build_network(3, TrainingOptions(image_size=image_size, width=8, head=16))
    outputs = network(np.zeros((2, image_size, image_size, 3), np.float32))
    points = len(make_grid(image_size).points)
    assert tuple(outputs["classes"].shape) == (2, points, 3)
    assert tuple(outputs["distances"].shape) == (2, points, 4)
    assert float(outputs["distances"].numpy().min()) >= 0


def test_weights_are_not_silently_left_out_where_the_backbone_has_none() -> None:
    options = TrainingOptions(image_size=64, width=8, head=16, backbone_weights="mobilenet_notop.h5")
    with pytest.raises(ConfigurationError, match=r"small learns from scratch and cannot use .* mobilenet_notop.h5"):
        build_network(3, options)


@pytest.mark.parametrize(
    ("box", "stride"),
    [
        pytest.param((40, 40, 80, 72), 8, id="small"),
        pytest.param((20, 40, 110, 100), 16, id="medium"),
        pytest.param((0, 10, 190, 180), 32, id="large"),
    ],
)
def test_an_object_belongs_to_the_grid_of_its_size(box: tuple[int, ...], stride: int) -> None:
    grid = make_grid(192)
    targets = assign(grid, np.array([[box, (0, 0, 0, 0)]], np.float32), np.array([[4, -1]], np.int32))
    positive = targets.positive.numpy()[0]
    assert set(grid.strides[positive]) == {stride}
    assert set(targets.classes.numpy()[0][positive]) == {4}
    assert set(targets.classes.numpy()[0][~positive]) == {-1}
    centre = np.array([box[0] + box[2], box[1] + box[3]]) / 2
    assert np.abs(grid.points[positive] - centre).max() < 1.5 * stride


def test_a_point_between_two_objects_answers_for_the_smaller_one() -> None:
    boxes = np.array([[(32, 32, 90, 90), (56, 56, 70, 70)]], np.float32)
    targets = assign(make_grid(192), boxes, np.array([[0, 1]], np.int32))
    classes = targets.classes.numpy()[0]
    assert set(classes) == {-1, 0, 1}
    inside = (targets.boxes.numpy()[0] == boxes[0, 1]).all(axis=1)
    assert (classes[inside & targets.positive.numpy()[0]] == 1).all()


def test_right_answers_decode_to_the_boxes() -> None:
    grid = make_grid(64)
    truth = np.array([8, 16, 40, 48], np.float32)
    index = int(np.flatnonzero((grid.points == (28, 28)).all(axis=1))[0])
    distances = np.zeros((1, len(grid.points), 4), np.float32)
    distances[0, index] = np.array([28 - 8, 28 - 16, 40 - 28, 48 - 28]) / 8
    logits = np.full((1, len(grid.points), 2), -9, np.float32)
    logits[0, index, 1] = 3
    np.testing.assert_allclose(to_boxes(grid, distances).numpy()[0, index], truth)
    found = detect(grid, {"classes": logits, "distances": distances})
    assert int(found["num_detections"][0]) == 1
    np.testing.assert_allclose(found["detection_boxes"][0, 0], truth[[1, 0, 3, 2]] / 64)
    assert int(found["detection_classes"][0, 0]) == 1
    assert float(found["detection_scores"][0, 0]) == pytest.approx(1 / (1 + np.exp(-3)))


def test_boxes_move_with_their_image() -> None:
    images = np.zeros((16, 96, 96, 3), np.uint8)
    images[:, 30:60, 40:80] = 255
    boxes = np.tile(np.array([[[40, 30, 80, 60]]], np.float32), (16, 1, 1))
    moved, found, classes = augment(images, boxes, np.zeros((16, 1), np.int32), strength=0.5, seed=[1, 2])
    checked = 0
    for image, box, label in zip(moved.numpy(), found.numpy()[:, 0], classes.numpy()[:, 0], strict=True):
        ys, xs = np.nonzero(image.max(axis=-1) > 170)
        inside = (box > 1).all() and (box < 95).all()
        if label == 0 and inside:
            np.testing.assert_allclose(box, [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=2)
            checked += 1
    assert checked >= 4


def test_no_strength_changes_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    boxes = np.array([[[1, 2, 30, 40]], [[5, 6, 60, 64]]], np.float32)
    same, found, _ = augment(images, boxes, np.zeros((2, 1), np.int32), strength=0.0, seed=[1, 2])
    np.testing.assert_allclose(same, images, atol=1e-3)
    np.testing.assert_allclose(found, boxes, atol=1e-4)


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    options = TrainingOptions(steps=100, learning_rate=0.01)
    rates = [learning_rate(step, options) for step in range(100)]
    peak = rates.index(max(rates))
    assert max(rates) == 0.01
    assert 5 < peak < 30
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0 <= rates[-1] < 1e-4
    assert learning_rate(0, TrainingOptions(steps=1)) > 0


def test_importing_the_room_does_not_load_tensorflow() -> None:
    program = "import sys, diffgram_flows.brains; print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
