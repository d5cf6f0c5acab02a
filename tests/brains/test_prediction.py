from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from diffgram_flows.brains import Brain, BrainRecord, pictures_of
from diffgram_flows.brains.prediction import distinct
from diffgram_flows.errors import BrainTampered
from diffgram_flows.models import Box, Picture, Prediction, Snapshot

Adopt = Callable[[BrainRecord], BrainRecord]
EXIF_TURNS = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation to the Image.Transpose that stores it


@pytest.fixture(scope="session")
def brain(learned: BrainRecord) -> Brain:
    return Brain.load(learned)


def test_boxes_are_where_people_drew_them(brain: Brain, snapshot: Snapshot) -> None:
    samples = snapshot.split("train")
    for sample, seen in zip(samples, brain.predict(pictures_of(samples)), strict=True):
        assert (seen.key, seen.width, seen.height, seen.error) == (str(sample.file_id), 96, 96, "")
        assert_same_boxes(seen.boxes, sample.boxes)
        scores = [box.score or 0.0 for box in seen.boxes]
        assert scores == sorted(scores, reverse=True)


def test_any_mix_of_sizes_and_types(brain: Brain, snapshot: Snapshot, tmp_path: Path) -> None:
    sample = snapshot.split("train")[0]
    pictures, expected = [], []
    kinds = {"a.png": (96, 96), "b.jpg": (640, 480), "c.webp": (200, 300), "d.bmp": (100, 90), "e.jpg": (1500, 1000)}
    for name, (width, height) in {**kinds, "f.gif": (128, 128)}.items():
        path = tmp_path / name
        with Image.open(sample.path) as image:
            image.resize((width, height)).save(path)
        pictures.append(Picture(path.name, path))
        expected.append([scaled(box, width / 96, height / 96) for box in sample.boxes])
    for seen, boxes in zip(brain.predict(pictures, batch_size=4), expected, strict=True):
        assert not seen.error
        assert_same_boxes(seen.boxes, boxes)


@pytest.mark.parametrize("together", [1, 3], ids=["alone", "among others"])
@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_bytes_are_seen_as_their_file_is(
    brain: Brain, snapshot: Snapshot, tmp_path: Path, kind: str, together: int
) -> None:
    with Image.open(snapshot.split("train")[0].path) as image:
        image.paste((0, 0, 0), (0, 0, 96, 4))  # a BMP begins with its last row: this one ends in zeros
        image.save(tmp_path / "image", kind)
    content = (tmp_path / "image").read_bytes()
    pictures = [Picture("bytes", content), Picture("file", tmp_path / "image"), Picture("broken", content[:400])]
    seen = [
        prediction
        for start in range(0, 3, together)
        for prediction in brain.predict(pictures[start : start + together])
    ]
    assert [prediction.key for prediction in seen] == ["bytes", "file", "broken"]
    assert seen[0].boxes
    assert (seen[0].boxes, seen[0].width) == (seen[1].boxes, seen[1].width)
    assert "broken is damaged" in seen[2].error


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_refer_to_the_upright_image(brain: Brain, snapshot: Snapshot, tmp_path: Path, orientation: int) -> None:
    sample = snapshot.split("train")[0]
    with Image.open(sample.path) as image:
        upright = image.resize((192, 128))
    method = EXIF_TURNS[orientation]
    stored = upright if method is None else upright.transpose(Image.Transpose(method))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    stored.save(path, exif=exif)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(image)), np.asarray(upright))
    (seen,) = brain.predict([Picture("turned", path)])
    assert (seen.width, seen.height) == (192, 128)
    assert_same_boxes(seen.boxes, [scaled(box, 2, 128 / 96) for box in sample.boxes])


def test_bad_files_are_named_and_stop_nobody(brain: Brain, snapshot: Snapshot, tmp_path: Path) -> None:
    good = snapshot.split("train")[0]
    data = good.path.read_bytes()
    bad = {
        "truncated": (data[: len(data) // 2], "damaged"),
        "text": (b"hello, I am a text", "not an image"),
        "empty": (b"", "not an image"),
        "bomb": (png_header(20_000, 20_000), "too many pixels"),
        "missing": (None, "No such file"),
    }
    pictures = []
    for name, (content, _) in bad.items():
        path = tmp_path / f"{name}.jpg"
        if content is not None:
            path.write_bytes(content)
        pictures += [Picture(name, path), Picture(f"after {name}", good.path)]
    seen = {prediction.key: prediction for prediction in brain.predict(pictures, batch_size=3)}
    assert list(seen) == [picture.key for picture in pictures]
    for name, (_, said) in bad.items():
        assert name in seen[name].error
        assert said in seen[name].error
        assert seen[name].boxes == ()
        assert_same_boxes(seen[f"after {name}"].boxes, good.boxes)


@pytest.mark.parametrize("count", [0, 1], ids=["nothing", "one"])
def test_only_bad_files(brain: Brain, tmp_path: Path, count: int) -> None:
    seen = list(brain.predict(Picture(str(number), tmp_path / "none") for number in range(count)))
    assert len(seen) == count
    assert all(prediction.error for prediction in seen)


def test_pictures_are_read_as_predictions_are_asked_for(brain: Brain, snapshot: Snapshot) -> None:
    path = snapshot.split("train")[0].path
    asked = 0

    def endless() -> Iterator[Picture]:
        nonlocal asked
        while True:
            asked += 1
            yield Picture(str(asked), path)

    predictions = brain.predict(endless(), batch_size=2)
    assert next(predictions).key == "1"
    assert asked <= 64


def test_threshold_and_progress(brain: Brain, snapshot: Snapshot) -> None:
    pictures = list(pictures_of(snapshot.split("train")))
    calls: list[tuple[int, int]] = []
    everything = list(
        brain.predict(pictures, score_threshold=0.0, progress=lambda done, total, note="": calls.append((done, total)))
    )
    assert calls == [(number, 8) for number in range(1, 9)]
    strict = list(brain.predict(pictures, score_threshold=0.5))
    assert count(strict) < count(everything)
    assert all(box.score is not None and box.score >= 0.5 for seen in strict for box in seen.boxes)
    assert count(list(brain.predict(pictures, score_threshold=1.0))) == 0


def test_one_thing_has_one_label() -> None:
    best, same_place, beside = (Box(1, 0, 0, 100, 100, 0.9), Box(2, 5, 0, 105, 100, 0.8), Box(2, 60, 0, 160, 100, 0.7))
    assert distinct(Prediction("a", 200, 200, (best, same_place, beside))).boxes == (best, beside)


def test_a_brain_is_loaded_once(learned: BrainRecord, brain: Brain) -> None:
    assert Brain.load(learned) is brain


def test_a_tampered_brain_is_not_loaded(adopt: Adopt, novice: BrainRecord) -> None:
    record = adopt(novice)
    path = record.folder / "saved_model" / "saved_model.pb"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BrainTampered, match=r"saved_model/saved_model\.pb"):
        Brain.load(record)


@pytest.mark.parametrize("kind", ["WriteFile", "ReadFile", "EagerPyFunc", "PrintV2"])
def test_an_evil_program_is_not_run(adopt: Adopt, novice: BrainRecord, tmp_path: Path, kind: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    evil_deeds: dict[str, Callable[[], object]] = {
        "WriteFile": lambda: tf.io.write_file(str(victim), "owned"),
        "ReadFile": lambda: tf.io.read_file(str(victim)),
        "EagerPyFunc": lambda: tf.py_function(lambda: 0, [], tf.int32),
        "PrintV2": lambda: tf.print("secrets"),
    }

    def program(images: object) -> dict[str, object]:
        deed = evil_deeds[kind]()
        with tf.control_dependencies([deed] if deed is not None else []):
            return {"num_detections": tf.identity(tf.shape(images)[:1])}

    module = tf.Module()
    module.program = tf.function(program, input_signature=[tf.TensorSpec([None, 64, 64, 3], tf.uint8, name="images")])
    evil = tmp_path / "evil"
    tf.saved_model.save(module, str(evil), signatures=module.program)
    genuine = adopt(novice)
    (genuine.folder / "saved_model" / "saved_model.pb").write_bytes((evil / "saved_model.pb").read_bytes())
    # The attacker wrote a fitting manifest too: only the program itself gives him away.
    record = BrainRecord(genuine.ref, genuine.folder, genuine.manifest.sealed(genuine.folder))
    with pytest.raises(BrainTampered, match=kind):
        Brain.load(record)
    assert victim.read_text() == "untouched"


def assert_same_boxes(found: tuple[Box, ...], expected: tuple[Box, ...] | list[Box]) -> None:
    assert len(found) == len(expected)
    for box in expected:
        best = max(found, key=box.iou)
        assert best.label_file_id == box.label_file_id
        assert best.iou(box) > 0.6


def scaled(box: Box, x: float, y: float) -> Box:
    left, top, right, bottom = (box.x_min * x, box.y_min * y, box.x_max * x, box.y_max * y)
    return Box(box.label_file_id, round(left), round(top), round(right), round(bottom))


def count(predictions: list[Prediction]) -> int:
    return sum(len(prediction.boxes) for prediction in predictions)


def png_header(width: int, height: int) -> bytes:
    """A PNG file that claims to be that large."""
    claim = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (claim, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
