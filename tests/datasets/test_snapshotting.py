from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from servers.shelf import Shelf

from diffgram_flows.datasets import SnapshotOptions, SplitStatistics, latest_snapshot, load_snapshot
from diffgram_flows.errors import DatasetError, LabelMapChanged, NotEnoughData
from diffgram_flows.models import Box, LabelMap

CAR, PERSON = Box(4, 5, 6, 30, 40), Box(7, 10, 10, 20, 20)


def test_a_snapshot_holds_what_was_finished(shelf: Shelf) -> None:
    shelf.finish("b.jpg", PERSON, CAR)
    shelf.finish("a.jpg")
    snapshot, report = shelf.snapshot()
    first, second = snapshot.samples
    assert (first.uri, second.uri) == (f"{shelf.store.bucket}/b.jpg", f"{shelf.store.bucket}/a.jpg")
    assert (first.boxes, second.boxes) == ((CAR, PERSON), ())
    assert first.path.read_bytes() == (shelf.folder / "b.jpg").read_bytes()
    assert snapshot.label_map == shelf.ledger.history.label_map() == LabelMap(((4, "car"), (7, "person")))
    assert (report.images, report.boxes, report.per_label) == (2, 2, {"car": 1, "person": 1})
    assert sum(split.images for split in report.splits.values()) == 2
    assert report.new


def test_what_is_written_is_what_is_read(shelf: Shelf) -> None:
    shelf.finish_many((f"{number}.jpg" for number in range(5)), CAR)
    snapshot, report = shelf.snapshot()
    assert load_snapshot(snapshot.folder, shelf.cache) == snapshot
    assert latest_snapshot(shelf.ledger, shelf.snapshots, shelf.cache) == snapshot
    (row,) = shelf.ledger.history.snapshots()
    assert (row.snapshot_id, row.images, row.boxes, row.export_id) == (snapshot.id, 5, 5, 1)
    assert (row.folder, row.label_map_digest) == (str(snapshot.folder), snapshot.label_map.digest)
    assert report.snapshot_id == snapshot.id


def test_the_same_content_has_the_same_id_and_is_not_written_again(shelf: Shelf) -> None:
    shelf.finish("a.jpg", CAR, PERSON)
    shelf.finish("b.jpg", CAR)
    snapshot, _ = shelf.snapshot()
    written = (snapshot.folder / "manifest.json").read_bytes()
    shelf.finish("a.jpg", PERSON, CAR)
    again, report = shelf.snapshot(export_id=2)
    assert again == snapshot
    assert not report.new
    assert (snapshot.folder / "manifest.json").read_bytes() == written
    assert len(shelf.ledger.history.snapshots()) == 1


@pytest.mark.parametrize(
    "boxes",
    [(), (Box(4, 5, 6, 30, 41),), (Box(7, 5, 6, 30, 40),), (CAR, PERSON)],
    ids=["gone", "moved", "label", "one more"],
)
def test_other_content_has_another_id(shelf: Shelf, boxes: tuple[Box, ...]) -> None:
    shelf.finish("a.jpg", CAR)
    before, _ = shelf.snapshot()
    shelf.finish("a.jpg", *boxes)
    assert shelf.snapshot()[0].id != before.id


def test_growth_moves_no_image_to_another_split(shelf: Shelf) -> None:
    shelf.finish_many((f"{number}.png" for number in range(20)), CAR)
    before, _ = shelf.snapshot()
    shelf.finish_many((f"{number}.png" for number in range(20, 50)), CAR)
    after, report = shelf.snapshot()
    assert len(after.samples) == 50
    assert {s.uri: s.split for s in before.samples}.items() <= {s.uri: s.split for s in after.samples}.items()
    assert all(statistics.images > 0 for statistics in report.splits.values())
    assert len(shelf.store.reads) == 50
    assert json.loads((after.folder / "manifest.json").read_text())["parents"]["snapshot"] == before.id


def test_a_new_version_of_an_object_stays_in_its_split(shelf: Shelf) -> None:
    options = SnapshotOptions(val=0, test=0.5)
    shelf.finish_many((f"{number}.png" for number in range(8)), CAR)
    before, _ = shelf.snapshot(options)
    for number in range(8):
        Image.new("RGB", (64, 48), "white").save(shelf.folder / f"{number}.png", compress_level=0)
        shelf.finish(f"{number}.png", PERSON)
    after, _ = shelf.snapshot(options)
    assert {s.uri: s.split for s in before.samples} == {s.uri: s.split for s in after.samples}
    assert not {s.file_id for s in before.samples} & {s.file_id for s in after.samples}


def test_groups_are_not_torn_apart(shelf: Shelf) -> None:
    shelf.finish_many((f"film-{number % 5}/{number}.png" for number in range(30)), CAR)
    snapshot, report = shelf.snapshot(SnapshotOptions(group_pattern="^(.*)/", val=0.2, test=0.4))
    films = {(Path(sample.uri).parent.name, sample.split) for sample in snapshot.samples}
    assert len(films) == 5
    assert {(sample.group, sample.split) for sample in snapshot.samples} == films
    assert sum(split.images > 0 for split in report.splits.values()) > 1
    assert report.ungrouped == 0


def test_images_that_the_group_pattern_does_not_fit_are_counted(shelf: Shelf) -> None:
    shelf.finish_many(("film-1/a.png", "film-1/b.png", "alone.png"), CAR)
    _, report = shelf.snapshot(SnapshotOptions(group_pattern="^(.*)/"))
    assert report.ungrouped == 1
    assert shelf.snapshot(SnapshotOptions())[1].ungrouped == 0


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        pytest.param({"width": 48, "height": 64}, "64 x 48 pixels upright, but Diffgram says 48 x 64", id="turned"),
        pytest.param({"width": 65}, "Diffgram says 65 x 48", id="another size"),
        pytest.param({"kind": "video", "width": 0}, "type video", id="video"),
        pytest.param({"rotation": 90}, "turned by 90 degrees", id="rotated in Diffgram"),
    ],
)
def test_an_image_whose_boxes_would_lie_is_left_out(shelf: Shelf, record: dict[str, Any], reason: str) -> None:
    shelf.finish("good.jpg", CAR)
    bad = shelf.finish("bad.jpg", CAR, **record)
    snapshot, report = shelf.snapshot()
    assert [Path(sample.uri).name for sample in snapshot.samples] == ["good.jpg"]
    ((name, why),) = [(failure.name, failure.reason) for failure in report.failures]
    assert name == bad.file_name
    assert reason in why
    assert json.loads((snapshot.folder / "manifest.json").read_text())["left_out"] == [{"name": name, "reason": why}]


def test_an_upright_image_is_measured_upright(shelf: Shelf) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (48, 64), "red").save(shelf.folder / "phone.jpg", exif=exif)
    shelf.finish("phone.jpg", CAR)
    snapshot, _ = shelf.snapshot()
    assert (snapshot.samples[0].width, snapshot.samples[0].height) == (64, 48)


def test_what_is_no_box_is_counted(shelf: Shelf) -> None:
    cuboid, curve = {"type": "cuboid", "label_file_id": 4}, {"type": "curve", "label_file_id": 4}
    shelf.finish("a.jpg", CAR, Box(4, 50, 40, 90, 90), Box(4, 64, 0, 70, 9), instances=[cuboid, cuboid])
    shelf.finish("b.jpg", CAR, instances=[cuboid, curve])
    snapshot, report = shelf.snapshot()
    assert report.skipped == {"outside the image": 1, "type cuboid": 3, "type curve": 1}
    assert report.clipped == 1
    assert snapshot.samples[0].boxes == (CAR, Box(4, 50, 40, 64, 48))


def test_twins_in_two_splits_are_counted(shelf: Shelf) -> None:
    for number in range(12):
        Image.new("RGB", (64, 48), "blue").save(shelf.folder / f"{number}.png")
        shelf.finish(f"{number}.png", CAR)
    shelf.finish("other.png", CAR)
    assert shelf.snapshot(SnapshotOptions(val=0.3, test=0.3))[1].twins == 12
    assert shelf.snapshot(SnapshotOptions(val=0, test=0))[1].twins == 0


def test_bad_images_do_not_stop_the_good_ones(shelf: Shelf) -> None:
    shelf.finish_many(["1.jpg", "2.jpg", "3.jpg"], CAR)
    (shelf.folder / "text.jpg").write_text("no image")
    shelf.finish("text.jpg", CAR)
    snapshot, report = shelf.snapshot()
    assert len(snapshot.samples) == 3
    assert [failure.name.split("-")[0] for failure in report.failures] == ["text"]


def test_no_usable_image_is_not_enough(shelf: Shelf) -> None:
    (shelf.folder / "text.jpg").write_text("no image")
    shelf.finish("text.jpg", CAR)
    with pytest.raises(NotEnoughData, match=r"None of the 1 finished files.*text-.*not an image"):
        shelf.snapshot()
    assert shelf.ledger.history.label_map() == LabelMap()
    assert not list(shelf.snapshots.iterdir())


def test_labels_that_another_export_adds_meanwhile_stay(shelf: Shelf) -> None:
    shelf.finish("a.jpg", CAR)

    def meanwhile() -> None:
        shelf.ledger.history.extend_label_map(LabelMap(((7, "person"),)))

    snapshot, _ = shelf.snapshot(export=shelf.export(conclude=meanwhile))
    assert snapshot.label_map == shelf.ledger.history.label_map() == LabelMap(((7, "person"), (4, "car")))


def test_the_label_map_only_grows(shelf: Shelf) -> None:
    shelf.finish("a.jpg", PERSON)
    first, _ = shelf.snapshot()
    shelf.labels = {4: "vehicle", 7: "human", 9: "never used"}
    shelf.finish("b.jpg", CAR)
    second, _ = shelf.snapshot()
    assert first.label_map.labels == ((7, "person"),)
    assert second.label_map.labels == ((7, "human"), (4, "vehicle"))
    assert first.label_map.is_prefix_of(second.label_map)


def test_a_label_that_is_gone_stops_before_anything_is_fetched(shelf: Shelf) -> None:
    shelf.finish("a.jpg", PERSON)
    shelf.snapshot()
    shelf.labels = {4: "car"}
    shelf.entries.clear()
    shelf.finish("b.jpg", CAR)
    with pytest.raises(LabelMapChanged, match=r"- person \(id 7\)"):
        shelf.snapshot()
    assert shelf.store.reads == ["a.jpg"]
    assert len(list(shelf.snapshots.iterdir())) == 1


def test_a_crash_before_the_end_leaves_no_snapshot(shelf: Shelf, tmp_path: Path) -> None:
    shelf.finish("a.jpg", CAR)
    shelf.cache.fetch(shelf.row("a.jpg"), shelf.store)
    script = f"""
        import os, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        from servers.shelf import CountingStore, Shelf
        from diffgram_flows.ledger import open_ledger
        from diffgram_flows.models import Box
        folder = Path({str(shelf.folder)!r})
        ledger = open_ledger({str(tmp_path / "ledger.db")!r}, "sandbox/project/1")
        shelf = Shelf(CountingStore(folder), ledger, folder, Path({str(shelf.workdir)!r}))
        shelf.finish("a.jpg", Box(4, 5, 6, 30, 40))
        os.rename = lambda *paths: os._exit(9)
        shelf.snapshot()
    """
    child = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert child.returncode == 9
    (left,) = shelf.snapshots.iterdir()
    assert left.name.startswith(".part-")
    assert latest_snapshot(shelf.ledger, shelf.snapshots, shelf.cache) is None
    snapshot, report = shelf.snapshot()
    assert report.new
    assert load_snapshot(snapshot.folder, shelf.cache) == snapshot


def test_a_crash_before_the_ledger_knows_is_made_good(shelf: Shelf) -> None:
    shelf.finish("a.jpg", CAR)
    snapshot, _ = shelf.snapshot()
    other = Shelf(shelf.store, shelf.ledger, shelf.folder, shelf.workdir / "other")
    other.finish("a.jpg", CAR)
    other.snapshots.mkdir(parents=True)
    snapshot.folder.rename(other.snapshots / snapshot.id)  # there, but of a run that ended before its last step
    again, report = other.snapshot()
    assert (again.id, report.new) == (snapshot.id, False)


def test_an_altered_snapshot_is_not_taken_for_the_same(shelf: Shelf) -> None:
    shelf.finish("a.jpg", CAR)
    snapshot, _ = shelf.snapshot()
    path = snapshot.folder / "instances.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DatasetError, match=r"instances\.parquet was altered"):
        shelf.snapshot()


def test_the_manifest_tells_where_it_came_from(shelf: Shelf) -> None:
    shelf.finish("a.jpg", CAR)
    snapshot, report = shelf.snapshot(export_id=17)
    facts = json.loads((snapshot.folder / "manifest.json").read_text())
    position = shelf.ledger.position()
    assert position > 0
    assert facts["parents"] == {"export": 17, "ledger_position": position, "snapshot": None}
    assert facts["id"] == snapshot.id
    assert facts["label_map_digest"] == snapshot.label_map.digest
    assert facts["total"] == {"images": 1, "empty": 0, "boxes": 1, "per_label": {"car": 1}, "per_type": {"box": 1}}
    assert {name: SplitStatistics(**counts) for name, counts in facts["splits"].items()} == report.splits
    assert facts["options"] == {
        "val": 0.1,
        "test": 0.2,
        "group_pattern": None,
        "near_duplicates": "report",
        "near_duplicate_distance": 4,
    }
