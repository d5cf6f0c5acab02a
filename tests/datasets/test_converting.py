from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.random_samples import LABELS, png

from diffgram_flows.datasets.converting import write_format
from diffgram_flows.datasets.formats import FORMATS, WriteOptions, yolo
from diffgram_flows.datasets.formats.placing import safe_name
from diffgram_flows.errors import ConfigurationError, DatasetError
from diffgram_flows.models import Annotation, LabelMap, Sample

BOX = Annotation("box", 4, ((1, 2), (30, 40)))


def sample(path: Path, number: int, name: str) -> Sample:
    path.write_bytes(png(64, 48))
    return Sample(number, name, "", "00", path, 64, 48, "train", (BOX,))


def test_names_that_collide_or_leave_the_folder_are_changed(tmp_path: Path) -> None:
    names = ["a.jpg", "A.png", "../a.jpg", "a", "", "con.jpg", "a\0b.jpg", "é" * 300 + ".jpg", ".hidden.png"]
    samples = [sample(tmp_path / f"{n}.png", n, name) for n, name in enumerate(names)]
    write_format("yolo", samples, LABELS, tmp_path / "out")
    written = {path.name for path in (tmp_path / "out/images/train").iterdir()}
    assert written == {
        *("a.jpg", "A-1.png", "_a.jpg", "a-3.jpg", "image.jpg", "con_.jpg", "a_b.jpg", "hidden.png"),
        "é" * 98 + ".jpg",
    }
    found = yolo.read(tmp_path / "out")
    assert [len(image.boxes) for image in found.images] == [1] * len(names)
    assert {path.stem for path in (tmp_path / "out/labels/train").iterdir()} == {Path(name).stem for name in written}


@pytest.mark.parametrize("name", ["..", "/etc/passwd", "a/../../b.jpg", "C:\\a.jpg", "a\nb.jpg", " .jpg", "x" * 999])
def test_a_safe_name_is_one_part_of_a_path(name: str) -> None:
    safe = safe_name(name)
    assert Path("/folder", safe).resolve().parent == Path("/folder")
    assert 0 < len(safe.encode()) <= 200
    assert safe.isprintable()
    assert not safe.startswith(".")


def test_images_are_copied_or_linked_or_left(tmp_path: Path) -> None:
    one = sample(tmp_path / "a.png", 1, "a.png")
    for policy, links in (("copy", 1), ("link", 2)):
        write_format("coco", [one], LABELS, tmp_path / policy, WriteOptions(images=policy))  # type: ignore[arg-type]
        placed = tmp_path / policy / "images/a.png"
        assert placed.read_bytes() == one.path.read_bytes()
        assert placed.stat().st_nlink == links
    write_format("yolo", [one], LABELS, tmp_path / "none", WriteOptions(images="none"))
    assert not list((tmp_path / "none/images/train").iterdir())


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write_format("jsonl", [], LABELS, tmp_path / "out")
    with pytest.raises(ConfigurationError, match=r"out is not empty\. Name a new one"):
        write_format("jsonl", [], LABELS, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="is a file"):
        write_format("jsonl", [], LABELS, tmp_path / "out/samples.jsonl")
    with pytest.raises(ConfigurationError, match="0 shards"):
        write_format("tfrecord", [], LABELS, tmp_path / "new", WriteOptions(shards=0))


def test_what_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[Sample]:
        yield sample(tmp_path / "a.png", 1, "a.png")
        raise DatasetError("The snapshot was altered.")

    (tmp_path / "place").mkdir()
    with pytest.raises(DatasetError, match="altered"):
        write_format("coco", failing(), LABELS, tmp_path / "place/out")
    assert list((tmp_path / "place").iterdir()) == []


def test_a_label_that_xml_cannot_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"The label 'a\\x00' has characters that Pascal VOC cannot hold"):
        write_format("voc", [], LabelMap(((1, "a\0"),)), tmp_path / "out")


def test_texts_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from diffgram_flows.datasets.formats import FORMATS, WriteOptions;"
        "from diffgram_flows.models import LabelMap, Sample;"
        "from diffgram_flows.datasets.converting import write_format;"
        "labels = LabelMap(((1, '\\u6a19'),));"
        "[write_format(name, [], labels, Path(sys.argv[1], name), WriteOptions()) for name in FORMATS]"
    )
    plain = {"PATH": os.environ["PATH"], "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env=plain, check=True)
    for file in ("yolo/data.yaml", "tfrecord/label_map.pbtxt", "label-studio/labeling_config.xml"):
        assert "\u6a19" in (tmp_path / file).read_text("utf-8")


def test_an_empty_snapshot_is_written_in_every_format(tmp_path: Path) -> None:
    for name, chosen in FORMATS.items():
        write_format(name, [], LabelMap(), tmp_path / name)
        assert chosen.read(tmp_path / name).images == ()
