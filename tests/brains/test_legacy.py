"""Brains of the earlier SDK: real graphs of TensorFlow 1, made here as its exporters made them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from diffgram_flows.brains import Brain, BrainRecord, Registry, class_numbers, convert_legacy, freeze, load_legacy
from diffgram_flows.brains.records import Manifest
from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, FAILED, MISUSED
from diffgram_flows.errors import BrainTampered, ConfigurationError
from diffgram_flows.ledger import open_ledger
from diffgram_flows.models import BrainRef, Picture, Snapshot
from diffgram_flows.storage import open_folder

OUTPUTS = ("detection_boxes", "detection_scores", "detection_classes", "num_detections")
LABELS = {"31": 1, "17": 2}
NAMES = {31: "bright", 17: "dark"}


@pytest.fixture(scope="module")
def graph() -> bytes:
    return frozen(lambda contents: tf.compat.v1.map_fn(decode, contents, dtype=tf.uint8))


@pytest.fixture
def folder(tmp_path: Path, graph: bytes) -> Path:
    return write(tmp_path / "old", graph)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    random = np.random.default_rng(0)
    sizes = {"a.jpg": (64, 48), "b.jpg": (48, 64), "c.jpg": (64, 48), "d.jpg": (40, 40), "e.jpg": (64, 48)}
    return {
        name: jpeg(random.integers(0, 256, (height // 8, width // 8, 3)), width, height)
        for name, (width, height) in sizes.items()
    }


def test_what_it_sees_is_what_a_session_of_tensorflow_1_sees(
    folder: Path, graph: bytes, files: dict[str, bytes]
) -> None:
    brain = load_legacy(folder, NAMES)
    seen = list(brain.predict(pictures(files), score_threshold=0.0))
    assert [prediction.key for prediction in seen] == list(files)
    for prediction, content in zip(seen, files.values(), strict=True):
        found = session(graph, content)
        count = int(found["num_detections"][0])
        assert len(prediction.boxes) == count > 0
        assert [box.score for box in prediction.boxes] == found["detection_scores"][0][:count].tolist()
        numbers = [LABELS[str(box.label_file_id)] for box in prediction.boxes]
        assert numbers == found["detection_classes"][0][:count].astype(int).tolist()
        scale = np.array([prediction.height, prediction.width] * 2)
        corners = np.rint(found["detection_boxes"][0][:count] * scale).astype(int).tolist()
        assert [[box.y_min, box.x_min, box.y_max, box.x_max] for box in prediction.boxes] == corners


def test_images_of_one_size_go_through_it_together(
    folder: Path, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    brain = load_legacy(folder, NAMES)
    batches: list[tuple[int, ...]] = []
    answer = brain.model.answer

    def counted(images: Any, sizes: Any, score_threshold: float) -> Any:
        batches.append(images.shape)
        return answer(images, sizes, score_threshold)

    monkeypatch.setattr(brain.model, "answer", counted)
    bad = {"cut.jpg": files["a.jpg"][:300], "text.jpg": b"a text"}
    seen = list(brain.predict(pictures({**files, **bad})))
    assert [prediction.key for prediction in seen if prediction.error] == list(bad)
    assert sorted(batches) == [(1, 40, 40, 3), (1, 64, 48, 3), (3, 48, 64, 3)]


def test_only_what_is_surer_than_the_earlier_sdk_asked_for(folder: Path, files: dict[str, bytes]) -> None:
    brain = load_legacy(folder)
    everything = [b for seen in brain.predict(pictures(files), score_threshold=0.0) for b in seen.boxes]
    shown = [b for seen in brain.predict(pictures(files)) for b in seen.boxes]
    assert 0 < len(shown) < len(everything)
    assert min(box.score or 0 for box in shown) >= 0.5 > min(box.score or 0 for box in everything)
    assert brain.record.manifest.label_map.labels == ((31, "label 31"), (17, "label 17"))


def test_a_graph_that_keeps_its_decoder_is_given_one_file_a_time(tmp_path: Path, files: dict[str, bytes]) -> None:
    def resized_at_once(contents: Any) -> Any:
        return tf.compat.v1.map_fn(lambda one: tf.image.resize(decode(one), (32, 32)), contents, dtype=tf.float32)

    graph = frozen(resized_at_once)
    seen = list(load_legacy(write(tmp_path / "old", graph)).predict(pictures(files), score_threshold=0.0))
    for prediction, content in zip(seen, files.values(), strict=True):
        found = session(graph, content)
        count = int(found["num_detections"][0])
        assert [box.score for box in prediction.boxes] == found["detection_scores"][0][:count].tolist()


def test_converted_it_is_a_brain_like_any_other(folder: Path, registry: Registry, files: dict[str, bytes]) -> None:
    record = convert_legacy(folder, registry, "cars", NAMES, score_threshold=0.3)
    assert record == registry.get(record.ref)
    assert record.manifest.label_map.names == ("bright", "dark")
    assert {"label_dict.json", "saved_model/saved_model.pb"} <= record.manifest.files.keys()
    before = list(load_legacy(folder).predict(pictures(files), score_threshold=0.0))
    assert list(Brain.load(record).predict(pictures(files), score_threshold=0.0)) == before
    assert registry.promote(record.ref)


@pytest.mark.parametrize("marked", [True, False])
def test_a_graph_that_the_service_gives_away_sees_the_same_when_it_comes_back(
    learned: BrainRecord, registry: Registry, snapshot: Snapshot, tmp_path: Path, marked: bool
) -> None:
    """Also one of an earlier version, which does not say where its squares are."""
    (tmp_path / "given").mkdir()
    graph = tmp_path / "given" / "frozen_inference_graph.pb"
    freeze(learned, graph)
    if not marked:
        graph.write_bytes(graph.read_bytes().replace(b"decoded_squares", b"something_other"))
    (graph.parent / "label_dict.json").write_text(json.dumps(class_numbers(learned)))
    record = convert_legacy(graph.parent, registry, "cars", dict(learned.manifest.label_map.labels))
    shown = [Picture(one.file_name, one.path) for one in snapshot.samples[:3]]
    if marked:  # as our own brains decode it: at a quarter, turned
        large, turned = io.BytesIO(), Image.Exif()
        turned[0x0112] = 6
        Image.open(snapshot.samples[0].path).resize((500, 400)).save(large, "JPEG", exif=turned)
        shown.append(Picture("large.jpg", large.getvalue()))
    before = list(Brain.load(learned).predict(shown, score_threshold=0.05))
    after = list(Brain.load(record).predict(shown, score_threshold=0.05))
    for mine, theirs in zip(before, after, strict=True):
        assert mine.boxes
        assert [one.label_file_id for one in theirs.boxes] == [one.label_file_id for one in mine.boxes]
        assert [one.score for one in theirs.boxes] == pytest.approx([one.score for one in mine.boxes], abs=1e-4)
        corners = [[(one.x_min, one.y_min, one.x_max, one.y_max) for one in seen.boxes] for seen in (mine, theirs)]
        assert np.abs(np.array(corners[0]) - np.array(corners[1])).max() <= 1
    freeze(record, tmp_path / "again.pb")  # and the service gives the converted brain away as it came
    assert (tmp_path / "again.pb").read_bytes() == graph.read_bytes()


def test_converted_from_a_terminal(
    folder: Path,
    graph: bytes,
    tmp_path: Path,
    files: dict[str, bytes],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = ["--workdir", str(tmp_path / "work"), "--store-uri", f"file://{tmp_path / 'store'}"]
    asked = ["brain", "convert", str(folder), "--name", "cars", *store]
    assert main([*asked, "--labels", "31=bright", "17=very dark", "--score-threshold", "0.3"]) == DONE
    assert "cars@1" in capsys.readouterr().out
    record = Registry(open_folder(f"file://{tmp_path / 'store'}").child("brains"), tmp_path / "here").get(
        BrainRef("cars", 1)
    )
    assert record.manifest.label_map.labels == ((31, "bright"), (17, "very dark"))
    assert record.manifest.score_threshold == 0.3
    before = list(load_legacy(folder).predict(pictures(files), score_threshold=0.3))
    assert list(Brain.load(record).predict(pictures(files))) == before
    assert main([*asked, "--sha256", hashlib.sha256(graph).hexdigest()]) == DONE
    assert main([*asked, "--sha256", "0" * 64]) == FAILED
    for labels in (["bright"], ["31=bright", "99=misspelt"], ["31=bright", "31=dark"]):
        assert main([*asked, "--labels", *labels]) == MISUSED
    assert main([*asked, "--score-threshold", "3"]) == MISUSED
    said = " ".join(capsys.readouterr().err.split())
    assert "has the SHA-256" in said
    assert "like 12=car" in said
    assert "has no label 99. Its label_dict.json has 17, 31" in said
    assert "named twice" in said
    assert main(["brain", "list", *store]) == DONE
    assert "cars@2" in capsys.readouterr().out
    registry, ledger = (
        Registry(open_folder(f"file://{tmp_path / 'store'}").child("brains"), tmp_path / "here"),
        open_ledger(str(tmp_path / "ledger.db"), "a target"),
    )
    opened = SimpleNamespace(registry=registry, ledger=ledger)  # what a lineage needs of a workspace, and no Diffgram
    monkeypatch.setattr("diffgram_flows.tasks.workspace.open_workspace", lambda target: opened)
    for command in ("show", "lineage"):
        assert main(["brain", command, "cars@2", *store]) == DONE
        told = "".join(capsys.readouterr().out.split())
        assert "old/frozen_inference_graph.pb" in told
        assert hashlib.sha256(graph).hexdigest() in told.replace("│", "")
    aged = record.manifest.to_json()
    del aged["source"]  # as earlier versions wrote it
    assert Manifest.from_json(aged).source == {}


def test_it_cannot_be_trained(tmp_path: Path) -> None:
    from diffgram_flows.brains import TrainingOptions, find_method
    from diffgram_flows.models import LabelMap, Snapshot, no_progress

    snapshot = Snapshot("0" * 16, tmp_path, LabelMap(), ())
    with pytest.raises(ConfigurationError, match="cannot be trained"):
        find_method("legacy_detection").train(snapshot, tmp_path, TrainingOptions(), parent=None, progress=no_progress)


@pytest.mark.parametrize("deed", ["WriteFile", "ReadFile", "PyFunc", "SaveV2"])
def test_a_graph_that_does_more_is_not_run(tmp_path: Path, deed: str, registry: Registry) -> None:
    victim = tmp_path / "victim"

    def evil(contents: Any) -> Any:
        deeds: dict[str, Callable[[], Any]] = {
            "WriteFile": lambda: tf.io.write_file(str(victim), "owned"),
            "ReadFile": lambda: tf.io.read_file(str(victim)),
            "PyFunc": lambda: tf.compat.v1.py_func(lambda: 0, [], tf.int64),
            "SaveV2": lambda: tf.raw_ops.SaveV2(
                prefix=str(victim), tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1)]
            ),
        }

        def body(one: Any) -> Any:  # hidden in a loop
            with tf.control_dependencies([deeds[deed]()]):
                return decode(one)

        return tf.compat.v1.map_fn(body, contents, dtype=tf.uint8)

    folder = write(tmp_path / "evil", frozen(evil))
    for ask in (lambda: load_legacy(folder), lambda: convert_legacy(folder, registry, "evil")):
        with pytest.raises(BrainTampered, match=rf"frozen_inference_graph\.pb holds operations .*{deed}") as refused:
            ask()
        assert "ask whoever made the file" in refused.value.cure
        assert "roll back" not in refused.value.cure  # there is nothing to roll back yet
    assert not victim.exists()
    assert registry.numbers("evil") == []


def test_what_is_wrong_with_its_files_is_said(folder: Path, graph: bytes) -> None:
    path = folder / "frozen_inference_graph.pb"
    load_legacy(folder, sha256=hashlib.sha256(graph).hexdigest())
    with pytest.raises(BrainTampered, match=r"frozen_inference_graph\.pb has the SHA-256"):
        load_legacy(folder, sha256="0" * 64)
    path.write_bytes(b"no graph at all")
    with pytest.raises(BrainTampered, match=r"frozen_inference_graph\.pb cannot be read"):
        load_legacy(folder)
    path.write_bytes(tf.compat.v1.GraphDef().SerializeToString())
    with pytest.raises(BrainTampered, match="none of Diffgram's detectors"):
        load_legacy(folder)
    path.write_bytes(graph)
    (folder / "label_dict.json").write_text('{"31": 1, "17": 1}')
    with pytest.raises(BrainTampered, match=r"label_dict\.json"):
        load_legacy(folder)
    path.unlink()
    with pytest.raises(BrainTampered, match=r"frozen_inference_graph\.pb is missing.*Give the folder with"):
        load_legacy(folder)


def decode(content: Any) -> Any:
    image = tf.io.decode_image(content, channels=3, expand_animations=False)
    return tf.ensure_shape(image, [None, None, 3])


def frozen(pile: Callable[[Any], Any]) -> bytes:
    """A detector that finds bright and dark cells of a grid, in the control flow of TensorFlow 1."""
    tf.compat.v1.disable_control_flow_v2()
    try:
        with tf.Graph().as_default() as graph:
            contents = tf.compat.v1.placeholder(tf.string, [None], name="encoded_image_string_tensor")
            cells = tf.image.resize(tf.cast(pile(contents), tf.float32), (8, 8)) / 255.0
            light = tf.reshape(tf.reduce_mean(cells, -1), [-1, 64, 1])
            places = np.stack(np.meshgrid(np.arange(8), np.arange(8), indexing="ij"), -1).reshape(64, 2) / 8
            boxes = tf.constant(np.concatenate([places, places + 0.17], -1), tf.float32)
            batch = tf.shape(light)[0]

            def suppressed(scores: Any) -> Any:  # a loop over the images, as exporters have it
                found = tf.image.combined_non_max_suppression(
                    boxes[None, :, None], scores[None], 100, 100, iou_threshold=0.5, score_threshold=0.2
                )
                return tuple(part[0] for part in found)

            types = (tf.float32, tf.float32, tf.float32, tf.int32)
            found = tf.compat.v1.map_fn(suppressed, tf.concat([light, 1 - light], -1), dtype=types)
            tf.identity(tf.reshape(found[0], [batch, 100, 4]), name="detection_boxes")
            tf.identity(found[1], name="detection_scores")
            tf.identity(found[2] + 1, name="detection_classes")
            tf.identity(tf.cast(found[3], tf.float32), name="num_detections")
            content: bytes = graph.as_graph_def().SerializeToString()
            return content
    finally:
        tf.compat.v1.enable_control_flow_v2()


def session(graph: bytes, content: bytes) -> dict[str, Any]:
    """What the earlier SDK did."""
    definition = tf.compat.v1.GraphDef.FromString(graph)
    with tf.Graph().as_default() as opened:
        tf.compat.v1.import_graph_def(definition, name="")
    with tf.compat.v1.Session(graph=opened) as running:
        outputs = {name: f"{name}:0" for name in OUTPUTS}
        found: dict[str, Any] = running.run(outputs, {"encoded_image_string_tensor:0": [content]})
        return found


def write(folder: Path, graph: bytes) -> Path:
    folder.mkdir()
    (folder / "frozen_inference_graph.pb").write_bytes(graph)
    (folder / "label_dict.json").write_text(json.dumps(LABELS))
    return folder


def pictures(files: dict[str, bytes]) -> list[Picture]:
    return [Picture(name, content) for name, content in files.items()]


def jpeg(cells: Any, width: int, height: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(cells.astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST).save(content, "JPEG")
    return content.getvalue()
