"""The training loop with networks so small that its arithmetic can be checked."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from servers.small_training import Brightness, data, network

from diffgram_flows.brains import TrainingOptions
from diffgram_flows.brains.tensorflow.adamw import AdamW
from diffgram_flows.brains.tensorflow.batches import Batches, balancing_weights
from diffgram_flows.brains.tensorflow.fitting import STATE_FILE, fit
from diffgram_flows.brains.tensorflow.objective import Judged
from diffgram_flows.errors import BrainError

TESTS = Path(__file__).parent.parent
OPTIONS = TrainingOptions(image_size=64, batch_size=4, steps=40, learning_rate=0.01, augmentation=0)


def weights(model: Any) -> list[np.ndarray]:
    return [np.array(weight.value.numpy()) for weight in model.weights]


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.mark.parametrize("first", [0, 3, 26])
def test_a_step_has_the_same_batch_wherever_the_training_began(first: int) -> None:
    whole = iter(data(OPTIONS).batches(0))
    batches = [next(whole) for _ in range(first + 2)]
    later = iter(data(OPTIONS).batches(first))
    for wanted, found in zip(batches[first:], [next(later), next(later)], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(wanted, found, strict=True))


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own() -> None:
    labels = np.arange(8)
    batches = iter(Batches(np.zeros((8, 64, 64, 3), np.uint8), (labels,), OPTIONS).batches(0))
    seen = np.concatenate([next(batches)[1] for _ in range(4)])
    assert sorted(seen[:8]) == sorted(seen[8:]) == labels.tolist()
    assert seen[:8].tolist() != seen[8:].tolist()
    other = iter(Batches(np.zeros((8, 64, 64, 3), np.uint8), (labels,), replace(OPTIONS, seed=1)).batches(0))
    assert np.concatenate([next(other)[1] for _ in range(2)]).tolist() != seen[:8].tolist()


def test_rare_classes_are_shown_more_often() -> None:
    labels = [[0]] * 90 + [[0, 1]] * 9 + [[2]]
    classes = np.array([max(found) for found in labels])
    assert balancing_weights(labels, 0) is None
    for strength, least, most in ((0.5, 6, 9), (1.0, 30, 40)):
        shown = Batches(
            np.zeros((100, 64, 64, 3), np.uint8), (classes,), OPTIONS, weights=balancing_weights(labels, strength)
        )
        batches = iter(shown.batches(0))
        seen = np.concatenate([next(batches)[1] for _ in range(25)])
        assert least <= np.count_nonzero(seen == 2) <= most
        assert len(seen) == 100


def test_the_optimiser_computes_what_that_of_keras_does() -> None:
    random = np.random.default_rng(0)
    start = random.normal(size=20).astype(np.float32)
    theirs = keras.Variable(start)
    keras_optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.02, global_clipnorm=10.0)
    ours, optimizer = tf.constant(start), AdamW(20, 0.02, half=False)
    for size in (0.1, 1.0, 100.0, 0.01):
        gradient = tf.constant(random.normal(size=20).astype(np.float32) * size)
        keras_optimizer.apply([gradient], [theirs])
        ours = optimizer.updated(ours, gradient, 0.01, None)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-7)


def test_a_step_that_overflows_in_half_precision_changes_nothing_but_the_scale() -> None:
    optimizer = AdamW(3, 0.1, half=True)
    scale = float(optimizer.scale.numpy())
    start = tf.constant([1.0, 2.0, 3.0])
    kept = optimizer.updated(start, tf.constant([1.0, np.inf, 0.0]), 0.1, None)
    np.testing.assert_array_equal(kept, start)
    assert float(optimizer.scale.numpy()) == scale / 2
    assert not optimizer.momentum.numpy().any()
    moved = optimizer.updated(start, tf.constant([1.0, 1.0, 1.0]) * scale / 2, 0.1, None)
    assert (moved.numpy() < start.numpy()).all()


@pytest.mark.parametrize("moment", [1, 4, 20])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, moment: int) -> None:
    whole = network()
    history = fit(whole, Brightness(), data(OPTIONS), OPTIONS)
    assert [epoch.step for epoch in history] == list(range(2, 41, 2))
    assert history[-1].loss == pytest.approx(history[-1].parts["squared"])
    told: list[int] = []

    def interrupt(done: int, total: int, note: str = "") -> None:
        told.append(done)
        if len(told) == moment + 1:
            raise KeyboardInterrupt

    resumed = network()
    with pytest.raises(KeyboardInterrupt):
        fit(resumed, Brightness(), data(OPTIONS), OPTIONS, checkpoints=tmp_path, progress=interrupt)
    resumed = network()
    again = fit(resumed, Brightness(), data(OPTIONS), OPTIONS, checkpoints=tmp_path, progress=interrupt)
    assert told[moment + 1] == told[moment]
    assert same(whole, resumed)
    assert [epoch.loss for epoch in again] == [epoch.loss for epoch in history]


def test_an_interruption_in_the_middle_of_an_interval_loses_no_step(tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=100)
    whole, resumed = network(), network()
    history = fit(whole, Brightness(), data(options), options)

    class Cancelled(BaseException):
        pass

    class Failing(Batches):
        def batches(self, first: int) -> Any:
            for step, batch in enumerate(super().batches(first), start=first):
                if step == 13:
                    raise Cancelled
                yield batch

    images, targets = data(options)._parts
    with pytest.raises(Cancelled):
        fit(resumed, Brightness(), Failing(images, (targets,), options), options, checkpoints=tmp_path)
    with np.load(tmp_path / STATE_FILE) as state:
        assert int(state["loop/0"]) == 13
    resumed = network()
    assert [e.loss for e in fit(resumed, Brightness(), data(options), options, checkpoints=tmp_path)] == [
        e.loss for e in history
    ]
    assert same(whole, resumed)


def test_a_damaged_state_is_begun_anew(tmp_path: Path) -> None:
    whole, resumed = network(), network()
    fit(whole, Brightness(), data(OPTIONS), OPTIONS, checkpoints=tmp_path)
    content = (tmp_path / STATE_FILE).read_bytes()
    (tmp_path / STATE_FILE).write_bytes(content[: len(content) // 2])
    told: list[int] = []
    fit(resumed, Brightness(), data(OPTIONS), OPTIONS, checkpoints=tmp_path, progress=lambda d, t, n="": told.append(d))
    assert told[0] == 0
    assert same(whole, resumed)


def test_patience_ends_a_training_and_returns_to_its_best(tmp_path: Path) -> None:
    scores = iter([0.1, 0.5, 0.3, 0.5, 0.4, 0.9])
    seen: list[list[np.ndarray]] = []

    def judge(network: Any) -> Judged:
        seen.append(weights(network))
        return Judged(1.0, {"score": next(scores)})

    model = network()
    history = fit(model, Brightness(), data(OPTIONS), replace(OPTIONS, patience=3), judge=judge, checkpoints=tmp_path)
    assert [epoch.scores["score"] for epoch in history] == [0.1, 0.5, 0.3, 0.5, 0.4]
    assert all(np.array_equal(a, b) for a, b in zip(weights(model), seen[1], strict=True))
    again = network()
    assert (
        len(fit(again, Brightness(), data(OPTIONS), replace(OPTIONS, patience=3), judge=judge, checkpoints=tmp_path))
        == 5
    )
    assert same(model, again)


def test_a_training_that_diverges_ends_instead_of_making_a_brain(tmp_path: Path) -> None:
    options = replace(OPTIONS, learning_rate=1e30)
    for _ in range(2):  # also where the state of the first one is taken up
        with pytest.raises(BrainError, match=r"diverged: after \d+ of 40 steps, at a learning rate of up to 1e\+30"):
            fit(network(), Brightness(), data(options), options, checkpoints=tmp_path)


def test_frozen_layers_begin_to_learn_later() -> None:
    options = replace(OPTIONS, frozen=0.5, averaging=0.0)
    model = network()
    start = {layer.name: weights(layer) for layer in model.layers}
    steps: list[bool] = []

    def judge(network: Any) -> Judged:
        now = network.get_layer("backbone")
        steps.append(all(np.array_equal(a, b) for a, b in zip(weights(now), start["backbone"], strict=True)))
        return Judged(0.0, {})

    fit(model, Brightness(), data(options), options, judge=judge, frozen=[model.get_layer("backbone")])
    assert steps == [True] * 10 + [False] * 10
    assert model.get_layer("backbone").trainable


@pytest.mark.parametrize(
    ("what", "kills", "steps", "signal"),
    [
        pytest.param("loop", 3, 2000, 9, id="killed"),
        pytest.param("brain", 2, 200, 15, id="asked to end", marks=pytest.mark.slow),
        pytest.param("brain", 20, 400, 9, id="killed twenty times", marks=pytest.mark.slow),
    ],
)
def test_killed_trainings_end_with_the_same_weights(
    tmp_path: Path, what: str, kills: int, steps: int, signal: int
) -> None:
    program = [sys.executable, "-m", "servers.forked_training"]
    command = [*program, str(tmp_path), what, *map(str, (kills, steps, signal, 1))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=500, cwd=TESTS)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["ended"] == [-9 if signal == 9 else 143] * kills + [0]
    assert report["begun"][-1] > 0
    assert report["survived"] == report["reference"]
    assert report["left"] == (["state.npz"] if what == "loop" else [])


def test_two_devices_learn_what_one_learns() -> None:
    program = [sys.executable, "-m", "servers.mirrored_training"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=300, cwd=TESTS)
    assert done.returncode == 0, done.stderr
    one, two, normalised = json.loads(done.stdout.splitlines()[-1])
    assert one["replicas"] == [1, 1]
    assert two["replicas"] == normalised["replicas"] == [2, 1]
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-4)
    np.testing.assert_allclose(two["weights"], one["weights"], atol=1e-5)
    assert normalised["losses"][-1] < normalised["losses"][0]
