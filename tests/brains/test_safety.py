"""A model file is a program: what does more than a brain needs is refused by the file's name, and never run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from diffgram_flows.brains import BrainRecord
from diffgram_flows.brains.tensorflow import loading
from diffgram_flows.errors import BrainTampered

ROOT = Path(__file__).parent.parent.parent
SPEC = tf.TensorSpec([None, 64, 64, 3], tf.uint8, name="images")


@pytest.mark.parametrize("place", ["function", "nested function", "loop", "branch"])
def test_an_evil_operation_is_found_wherever_it_hides(tmp_path: Path, place: str) -> None:
    victim = tmp_path / "victim"

    def deed() -> Any:
        with tf.control_dependencies([tf.io.write_file(str(victim), "owned")]):
            return tf.constant(1)

    inner = tf.function(lambda: tf.function(deed)())
    hiding: dict[str, Callable[[], Any]] = {
        "function": deed,
        "nested function": inner,
        "loop": lambda: tf.while_loop(lambda i: i < 1, lambda i: i + deed(), [0])[0],
        "branch": lambda: tf.switch_case(tf.constant(1), [lambda: tf.constant(0), deed]),
    }
    folder = program(tmp_path / place.replace(" ", "-"), lambda images: {"n": hiding[place]() + tf.shape(images)[0]})
    with pytest.raises(BrainTampered, match=r"saved_model\.pb holds operations .*WriteFile"):
        loading.load_program(folder)
    assert not victim.exists()


def test_a_signature_that_saves_is_refused(tmp_path: Path) -> None:
    """The saver's functions may write files, so none of them may be what a prediction calls."""

    def traced_save_evil(images: Any) -> dict[str, Any]:
        return {"n": tf.shape(images)[:1]}

    folder = program(tmp_path / "evil", traced_save_evil)
    path = folder / "saved_model" / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    graph = message.meta_graphs[0]
    names = (function.signature.name for function in graph.graph_def.library.function)
    name = next(name for name in names if name.startswith("__inference_traced_save_evil"))
    content = path.read_bytes()
    forged = "__inference__traced_save" + name[len("__inference_traced_save") :][1:]
    assert len(forged) == len(name)
    path.write_bytes(content.replace(name.encode(), forged.encode()))
    with pytest.raises(BrainTampered, match=r"saved_model\.pb"):
        loading.load_program(folder)


def test_a_program_of_tensorflow_1_is_refused(tmp_path: Path) -> None:
    folder = program(tmp_path / "old", lambda images: {"n": tf.shape(images)[:1]})
    path = folder / "saved_model" / "saved_model.pb"
    message = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    message.meta_graphs[0].ClearField("object_graph_def")
    path.write_bytes(message.SerializeToString())
    with pytest.raises(BrainTampered, match="without objects"):
        loading.load_program(folder)


@pytest.mark.parametrize("content", [b"\xff" * 64, b"a text"], ids=["bytes", "text"])
def test_what_is_no_program_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "saved_model").mkdir()
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(content)
    with pytest.raises(BrainTampered, match=r"saved_model\.pb"):
        loading.load_program(tmp_path)


def test_a_program_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    (tmp_path / "saved_model").mkdir()
    with (tmp_path / "saved_model" / "saved_model.pb").open("wb") as file:
        file.truncate(3 << 30)  # a hole, not three gigabytes
    with pytest.raises(BrainTampered, match=r"saved_model\.pb cannot be read .*limit"):
        loading.load_program(tmp_path)


def test_a_network_that_brings_code_is_refused(tmp_path: Path) -> None:
    image = keras.Input((2,))
    keras.Model(image, keras.layers.Lambda(lambda x: x * 2)(image)).save(tmp_path / "network.keras")
    with pytest.raises(BrainTampered, match=r"network\.keras cannot be loaded safely"):
        loading.load_network(tmp_path)


def test_a_genuine_program_answers_as_before_it_was_saved(novice: BrainRecord) -> None:
    images = tf.random.stateless_uniform([3, 64, 64, 3], (1, 2), 0, 256, tf.int32)
    images = tf.cast(images, tf.uint8)
    _module, function = loading.load_program(novice.folder)
    signature = tf.saved_model.load(str(novice.folder / "saved_model")).signatures["serving_default"]
    ours, theirs = function(images=images), signature(images=images)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        tf.debugging.assert_near(tf.cast(ours[name], tf.float32), tf.cast(theirs[name], tf.float32), atol=1e-3)


def test_nothing_is_ever_unpickled() -> None:
    unsafe = re.compile(r"\b(import|from) (pickle|dill|joblib|marshal|shelve)\b|allow_pickle=True|safe_mode=False")
    places = (ROOT / "diffgram_flows", ROOT / "flows", ROOT / "deployments")
    found = [path for place in places for path in place.rglob("*.py") if unsafe.search(path.read_text())]
    assert found == []


def program(folder: Path, answer: Callable[[Any], dict[str, Any]]) -> Path:
    """A saved program that looks like a brain's."""
    module = tf.Module()
    module.program = tf.function(answer, input_signature=[SPEC])
    tf.saved_model.save(module, str(folder / "saved_model"), signatures={"serving_default": module.program})
    return folder
