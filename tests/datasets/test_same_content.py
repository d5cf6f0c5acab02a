"""The same content has the same id; what was written is what is read."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pyarrow import parquet
from servers.shelf import Shelf

from diffgram_flows.datasets import FinishedExport, SnapshotOptions, load_snapshot, snapshotting, spooling
from diffgram_flows.datasets.manifest import write_manifest
from diffgram_flows.datasets.samples import SampleSequence
from diffgram_flows.errors import DatasetError, IncompleteExport, LabelMapChanged
from diffgram_flows.models import Annotation, Box, Sample

CAR, PERSON = Box(4, 5, 6, 30, 40), Box(7, 10, 10, 20, 20)
POINTS = [{"x": x, "y": y} for x, y in ((10, 10), (50, 12), (30, 44))]
DRAWN: list[dict[str, Any]] = [
    {"type": "polygon", "label_file_id": 4, "points": POINTS, "attribute_groups": {"3": "größe", "1": {"name": "no"}}},
    {"type": "line", "label_file_id": 7, "points": POINTS[:2], "attribute_groups": None},
    {"type": "point", "label_file_id": 7, "points": POINTS[:1], "attribute_groups": None},
    {"type": "tag", "label_file_id": 4, "attribute_groups": {"2": "XY-99"}},
]


def fill(shelf: Shelf, count: int = 12) -> None:
    for number in range(count):
        boxes = [Box(4 if i % 2 else 7, i, i, 30 + i, 40) for i in range(number % 5)]
        shelf.finish(f"{number}.jpg", *boxes, instances=DRAWN if number % 3 == 0 else ())


def shuffled(export: FinishedExport) -> FinishedExport:
    """The same export, with its keys and the instances of every file the other way round."""
    content = json.load(export.open())
    for entry in content.values():
        if isinstance(entry, dict) and "instance_list" in entry:
            entry["instance_list"].reverse()
    data = json.dumps({key: content[key] for key in reversed(content)}).encode()
    return replace(export, export_id=99, open=lambda: io.BytesIO(data))


def test_neither_order_nor_batches_change_the_id(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(shelf)
    snapshot, _ = shelf.snapshot()
    assert [sample.file_id for sample in snapshot.samples] == list(range(101, 113))
    elsewhere = replace(shelf, workdir=shelf.workdir / "elsewhere")
    monkeypatch.setattr(snapshotting, "_FILES", 2)
    monkeypatch.setattr(spooling, "_WAITING", 3)
    monkeypatch.setattr(spooling, "ROWS", 5)
    monkeypatch.setattr(spooling, "_PIECES", 1)
    again, report = elsewhere.snapshot(export=shuffled(elsewhere.export()))
    assert (again.id, report.new) == (snapshot.id, True)
    assert list(again.samples) == [
        replace(one, path=elsewhere.cache.folder / _below(one, shelf)) for one in snapshot.samples
    ]


def _below(sample: Sample, shelf: Shelf) -> Path:
    return sample.path.relative_to(shelf.cache.folder)


def test_samples_are_read_lazily_and_are_what_people_drew(shelf: Shelf) -> None:
    fill(shelf)
    snapshot, report = shelf.snapshot()
    samples = snapshot.samples
    assert isinstance(samples, SampleSequence)
    every = list(samples)
    assert [samples[number] for number in range(len(samples))] == every
    assert (samples[-1], samples[3:9:2], samples[20:]) == (every[-1], tuple(every[3:9:2]), ())
    with pytest.raises(IndexError):
        samples[len(samples)]
    for split in ("train", "val", "test"):
        assert snapshot.split(split) == tuple(sample for sample in every if sample.split == split)
    assert pickle.loads(pickle.dumps(samples)) == samples  # noqa: S301
    assert samples == every
    assert samples != every[:-1]
    polygon = tuple((point["x"], point["y"]) for point in POINTS)
    assert every[0].annotations == (
        Annotation("line", 7, polygon[:2]),
        Annotation("point", 7, polygon[:1]),
        Annotation("polygon", 4, polygon, ((1, "no"), (3, "größe"))),
        Annotation("tag", 4, (), ((2, "XY-99"),)),
    )
    assert [len(sample.annotations) for sample in every] == [n % 5 + 4 * (n % 3 == 0) for n in range(12)]
    assert sum(split.per_type.get("tag", 0) for split in report.splits.values()) == 4
    assert all(sample.modified is not None for sample in every)


def test_a_snapshot_of_many_pieces_is_read_like_one(shelf: Shelf, tmp_path: Path) -> None:
    fill(shelf)
    snapshot, _ = shelf.snapshot()
    images, instances = tmp_path / "images.parquet", tmp_path / "instances.parquet"
    for path in (images, instances):
        parquet.write_table(parquet.read_table(snapshot.folder / path.name), path, row_group_size=3)
    assert list(SampleSequence(images, instances, shelf.cache.folder, "other")) == list(snapshot.samples)
    tables = list(SampleSequence(images, instances, shelf.cache.folder, "other").tables())
    assert [len(one) for one, _ in tables] == [3, 3, 3, 3]
    assert [len(drawn) for _, drawn in tables] == [7, 11, 10, 9]


def test_whoever_forges_the_manifest_too_is_found_by_the_id(shelf: Shelf) -> None:
    fill(shelf)
    snapshot, _ = shelf.snapshot()
    path = snapshot.folder / "instances.parquet"
    table = parquet.read_table(path)
    parquet.write_table(table.slice(0, len(table) - 1), path)
    facts = json.loads((snapshot.folder / "manifest.json").read_text())
    facts.pop("digest")
    (snapshot.folder / "manifest.json").write_bytes(write_manifest(snapshot.folder, facts))
    with pytest.raises(DatasetError, match="was altered"):
        load_snapshot(snapshot.folder, shelf.cache)


def test_a_snapshot_of_the_first_format_is_to_be_made_again(shelf: Shelf) -> None:
    old = shelf.snapshots / "0123456789abcdef"
    old.mkdir(parents=True)
    files = {"annotations.jsonl": "00", "labels.json": "00"}
    facts = {"format": 1, "id": old.name, "files": files}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    (old / "manifest.json").write_text(json.dumps(facts | {"digest": digest}, indent=2))
    with pytest.raises(DatasetError, match=r"has the format 1, this version reads 2\. Make a new snapshot"):
        load_snapshot(old, shelf.cache)


def test_growth_and_a_rename_change_no_id_and_no_split(shelf: Shelf) -> None:
    fill(shelf)
    before, _ = shelf.snapshot()
    shelf.labels = {3: "truck", 4: "vehicle", 7: "person"}
    shelf.finish_many((f"new/{number}.jpg" for number in range(10)), Box(3, 1, 1, 9, 9))
    after, _ = shelf.snapshot()
    assert before.label_map.labels == ((4, "car"), (7, "person"))
    assert after.label_map.labels == ((4, "vehicle"), (7, "person"), (3, "truck"))
    kept = {sample.file_id: sample for sample in after.samples}
    assert [kept[sample.file_id] for sample in before.samples] == list(before.samples)
    assert before == load_snapshot(before.folder, shelf.cache)


def test_a_deleted_label_stops_with_a_diff_and_the_cure(shelf: Shelf) -> None:
    fill(shelf)
    shelf.snapshot()
    shelf.labels = {4: "car", 9: "person"}
    with pytest.raises(LabelMapChanged, match=r"- person \(id 7\), \+ person \(id 9\).*Put the label back"):
        shelf.snapshot()
    assert len(list(shelf.snapshots.iterdir())) == 1


def test_a_newcomer_that_looks_like_an_elder_goes_into_its_split_and_stays(shelf: Shelf) -> None:
    options = SnapshotOptions(val=0.2, test=0.4, near_duplicates="move")
    photo = Image.effect_noise((64, 48), 90).resize((8, 6)).resize((64, 48), Image.Resampling.BICUBIC)
    photo.save(shelf.folder / "elder.png")
    shelf.finish("elder.png", CAR)
    first, _ = shelf.snapshot(options)
    for number in range(8):
        photo.save(shelf.folder / f"{number}.png")
        shelf.finish(f"{number}.png", CAR)
    second, report = shelf.snapshot(options)
    assert {sample.split for sample in second.samples} == {first.samples[0].split}
    assert report.moved > 0
    assert (report.leaks, report.twins) == ((), 0)
    third, report = shelf.snapshot(replace(options, near_duplicates="report"))
    assert third.id == second.id
    assert (report.moved, report.leaks) == (0, ())


def test_an_export_that_lacks_a_file_leaves_no_snapshot(shelf: Shelf) -> None:
    fill(shelf, 3)
    export = shelf.export()
    with pytest.raises(IncompleteExport, match="lacks 2 of 5 finished files: id 998, id 999"):
        shelf.snapshot(export=replace(export, expected={*export.expected, 998, 999}))
    assert not list(shelf.snapshots.iterdir())
    assert not shelf.ledger.history.snapshots()


def test_no_signed_url_of_the_export_is_kept(shelf: Shelf) -> None:
    fill(shelf)
    shelf.snapshot()
    assert not [path for path in shelf.workdir.rglob("*") if path.is_file() and b"5ec7e7" in path.read_bytes()]
