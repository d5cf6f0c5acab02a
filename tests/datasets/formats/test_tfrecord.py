from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from servers.random_samples import LABELS, png

from diffgram_flows.datasets.converting import write_format
from diffgram_flows.datasets.formats import WriteOptions
from diffgram_flows.datasets.formats.tf_example import decode, encode, read_records, write_record
from diffgram_flows.datasets.formats.tfrecord import read
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Annotation, Sample

DRAWN = (
    Annotation("box", 2, ((16, 12), (48, 36))),
    Annotation("polygon", 4, ((0, 0), (32, 0), (32, 24), (0, 24))),
    Annotation("tag", 9),
)


def sample_of(path: Path, number: int = 1, drawn: tuple[Annotation, ...] = DRAWN) -> Sample:
    return Sample(number, f"a-{number}.jpg", "", "00", path, 64, 48, "train", drawn)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    Image.effect_noise((64, 48), 30).convert("RGB").save(path)
    return path


def test_the_object_detection_api_finds_its_keys(tmp_path: Path, picture: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    samples = [sample_of(picture, 1), sample_of(picture, 2, ())]
    write_format("tfrecord", samples, LABELS, tmp_path / "out", WriteOptions(shards=2, masks=True))
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names[1:3] == ["test-00000-of-00002.tfrecord", "test-00001-of-00002.tfrecord"]
    assert len(names) == 7
    dataset = tf.data.TFRecordDataset([str(tmp_path / "out" / name) for name in names if name.startswith("train")])
    full, empty = (tf.io.parse_single_example(record, _decoder_keys(tf)) for record in dataset)
    assert full["image/encoded"].numpy() == picture.read_bytes()
    assert tf.io.decode_jpeg(full["image/encoded"]).shape == (48, 64, 3)
    assert [full[f"image/{key}"].numpy() for key in ("format", "height", "width", "source_id")] == [
        b"jpeg",
        48,
        64,
        b"1",
    ]
    dense = {
        key: tf.sparse.to_dense(value).numpy().tolist()
        for key, value in full.items()
        if "object" in key or "class" in key
    }
    assert dense["image/object/bbox/xmin"] == [0.25, 0.0]
    assert dense["image/object/bbox/ymax"] == [0.75, 0.5]
    assert dense["image/object/class/label"] == [2, 1]
    assert dense["image/object/class/text"] == [b"person", b"car (id 4)"]
    assert dense["image/class/label"] == [3]
    masks = [tf.io.decode_png(one, channels=1).numpy()[..., 0] for one in dense["image/object/mask"]]
    assert [(mask.shape, int(mask.sum())) for mask in masks] == [((48, 64), 32 * 24)] * 2
    assert masks[0][12:36, 16:48].all()
    assert len(tf.sparse.to_dense(empty["image/object/bbox/xmin"])) == 0
    assert empty["image/filename"].numpy() == b"a-2.jpg"


def _decoder_keys(tf: Any) -> dict[str, Any]:
    """The features that the Object Detection API's example decoder asks for, with their types."""
    texts = ("image/class/text", "image/object/class/text", "image/object/mask")
    floats = ("bbox/xmin", "bbox/xmax", "bbox/ymin", "bbox/ymax", "area", "weight")
    integers = ("class/label", "is_crowd", "difficult", "group_of")
    return {
        **{
            f"image/{key}": tf.io.FixedLenFeature((), tf.string, "")
            for key in ("encoded", "filename", "key/sha256", "source_id")
        },
        "image/format": tf.io.FixedLenFeature((), tf.string, "jpeg"),
        "image/height": tf.io.FixedLenFeature((), tf.int64, 1),
        "image/width": tf.io.FixedLenFeature((), tf.int64, 1),
        "image/class/label": tf.io.VarLenFeature(tf.int64),
        **{key: tf.io.VarLenFeature(tf.string) for key in texts},
        **{f"image/object/{key}": tf.io.VarLenFeature(tf.float32) for key in floats},
        **{f"image/object/{key}": tf.io.VarLenFeature(tf.int64) for key in integers},
    }


def test_what_tensorflow_writes_is_read(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    values: dict[str, Any] = {"a": [b"x", b"\xff"], "b": [0.5, -1.0], "c": [1, -7, 2**40]}
    lists = {"a": tf.train.BytesList, "b": tf.train.FloatList, "c": tf.train.Int64List}
    kinds = {"a": "bytes_list", "b": "float_list", "c": "int64_list"}
    features = {key: tf.train.Feature(**{kinds[key]: lists[key](value=value)}) for key, value in values.items()}
    example = tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(example)
    (record,) = read_records(tmp_path / "a.tfrecord")
    assert decode(record, "it") == values
    parsed = tf.train.Example.FromString(encode({**values, "d": []}))
    assert {key: list(getattr(parsed.features.feature[key], kinds[key]).value) for key in values} == values


def test_images_are_stored_as_one_sees_them(tmp_path: Path) -> None:
    turned = Image.new("RGB", (48, 64), "red")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGB", (64, 48)).save(tmp_path / "a.webp")
    samples = [sample_of(tmp_path / "turned.jpg", 1), sample_of(tmp_path / "a.webp", 2)]
    report = write_format("tfrecord", samples, LABELS, tmp_path / "out", WriteOptions(shards=1))
    assert report.changed["images stored upright as PNG"] == 2
    for record in read_records(tmp_path / "out/train-00000-of-00001.tfrecord"):
        features = decode(record, "it")
        with Image.open(io.BytesIO(features["image/encoded"][0])) as image:
            assert (image.format, image.size, features["image/format"]) == ("PNG", (64, 48), [b"png"])


def test_16_bits_that_are_turned_stay_as_dark_as_they_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((64, 48), 40 * 256, np.uint16)).save(tmp_path / "turned.png", exif=exif)
    write_format("tfrecord", [sample_of(tmp_path / "turned.png")], LABELS, tmp_path / "out", WriteOptions(shards=1))
    (record,) = read_records(tmp_path / "out/train-00000-of-00001.tfrecord")
    with Image.open(io.BytesIO(decode(record, "it")["image/encoded"][0])) as image:
        assert (image.size, image.convert("RGB").getextrema()) == ((64, 48), ((40, 40),) * 3)


def test_a_missing_image_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"image a-1\.jpg of the snapshot is not at .*Make the snapshot again"):
        write_format("tfrecord", [sample_of(tmp_path / "gone.jpg")], LABELS, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda whole: whole[:-1], r"record 0 of .*a\.tfrecord is cut short or damaged", id="cut"),
        pytest.param(lambda whole: whole[:7], "is cut short or damaged", id="header"),
        pytest.param(lambda whole: whole[:40] + b"?" + whole[41:], "is cut short or damaged", id="flipped"),
        pytest.param(lambda whole: b"\xff" * 12 + whole, "is cut short or damaged", id="length"),
        pytest.param(
            lambda whole: whole + _framed(b"\x0a\xff\xff"), r"record 1 of .* is no tf\.train\.Example", id="junk"
        ),
        pytest.param(lambda whole: whole + _framed(encode({})), "has no image/width, image/height", id="no size"),
        pytest.param(
            lambda whole: _framed(_example(**{"image/object/bbox/xmin": [0.5]})), "boxes without a class", id="corner"
        ),
        pytest.param(
            lambda whole: _framed(_example(**{"image/class/label": [1], "image/class/text": [b"a", b"b"]})),
            "boxes without a class",
            id="class",
        ),
    ],
)
def test_damaged_files_are_refused_by_record(tmp_path: Path, picture: Path, change: Any, message: str) -> None:
    path = tmp_path / "a.tfrecord"
    path.write_bytes(change(_framed(_example())))
    with pytest.raises(DatasetError, match=message):
        read(path)


def test_a_label_map_names_classes_that_no_box_has(tmp_path: Path) -> None:
    (tmp_path / "label_map.pbtxt").write_text("item {\n name: 'a {\\'b\\'}'\n id: 3\n display_name: \"id: 4\"\n}\n")
    (tmp_path / "a.record").write_bytes(_framed(_example()))
    assert read(tmp_path).labels == {3: "a {'b'}"}
    (tmp_path / "label_map.pbtxt").write_text("item { name: 'a' }")
    with pytest.raises(DatasetError, match="has an item without an id or a name"):
        read(tmp_path)


def _example(**more: Any) -> bytes:
    size: dict[str, Any] = {
        "image/width": [64],
        "image/height": [48],
        "image/filename": [b"a.png"],
        "image/encoded": [png(64, 48)],
    }
    return encode({**size, **more})


def _framed(content: bytes) -> bytes:
    with io.BytesIO() as file:
        write_record(file, content)
        return file.getvalue()


def test_masks_are_whole_images(tmp_path: Path, picture: Path) -> None:
    drawn = (Annotation("polygon", 4, ((0, 0), (64, 0), (0, 48))),)
    write_format(
        "tfrecord", [sample_of(picture, 1, drawn)], LABELS, tmp_path / "out", WriteOptions(shards=1, masks=True)
    )
    (record,) = read_records(tmp_path / "out/train-00000-of-00001.tfrecord")
    (encoded,) = decode(record, "it")["image/object/mask"]
    with Image.open(io.BytesIO(encoded)) as image:
        assert int(np.asarray(image).sum()) == pytest.approx(64 * 48 / 2, rel=0.05)
