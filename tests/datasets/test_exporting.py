from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from servers.bench import Prelabels, client_of
from servers.studio import Studio, box

from diffgram_flows.datasets import ImageCache, SnapshotOptions, make_snapshot
from diffgram_flows.diffgram import DiffgramClient, ExportRow
from diffgram_flows.errors import IncompleteExport, LabelMapChanged, NotEnoughData
from diffgram_flows.models import Box
from diffgram_flows.sandbox import SandboxProcess

MakeStudio = Callable[[SandboxProcess], Studio]


def names(count: int, prefix: str = "image") -> list[str]:
    return [f"{prefix}-{number:03}.jpg" for number in range(count)]


def test_only_finished_files_leave_although_all_have_boxes(studio: Studio) -> None:
    (car,) = studio.labels("car")
    studio.bench.draw(6)
    guess = Prelabels((Box(car, 1, 1, 20, 20, 0.9),))
    studio.finish({name: [box("car")] for name in names(3)}, prelabel=guess)
    for row in studio.bench.ledger.objects.rows("imported"):
        assert studio.bench.boxes(row.file_id or 0)  # finished or not, the server has a box for every file
    told: list[tuple[int, int]] = []
    snapshot, report = studio.snapshot(progress=lambda done, total, note="": told.append((done, total)))
    assert {sample.file_id for sample in snapshot.samples} == studio.bench.ledger.work.finished_files()
    assert [sample.boxes for sample in snapshot.samples] == [(Box(car, 4, 6, 30, 40),)] * 3
    assert snapshot.label_map.names == ("car",)
    assert told[-1] == (100, 100)
    assert (report.images, report.boxes, report.failures) == (3, 3, ())
    assert (report.human, report.confirmed, report.excluded) == (3, 0, 0)
    assert {Path(sample.uri).name for sample in snapshot.samples} == set(names(3))


def test_growth_from_round_to_round(studio: Studio) -> None:
    options = SnapshotOptions(val=0.2, test=0.3)
    studio.bench.draw(5)
    studio.finish({name: [box("car")] for name in names(5)})
    first, _ = studio.snapshot(options=options)
    again, report = studio.snapshot(options=options)
    assert (again, report.new) == (first, False)
    studio.bench.draw(4, "more")
    studio.finish({name: [box("car"), box("person", 34, 4, 60, 40)] for name in names(4, "more")})
    second, report = studio.snapshot(options=options)
    assert (report.images, report.per_label) == (9, {"car": 9, "person": 4})
    assert {s.file_id: s.split for s in first.samples}.items() <= {s.file_id: s.split for s in second.samples}.items()
    assert first.label_map.is_prefix_of(second.label_map)


def test_images_come_from_diffgram_where_there_is_no_bucket(studio: Studio) -> None:
    studio.bench.draw(2)
    studio.finish({name: [box("car")] for name in names(2)})
    cache = ImageCache(studio.workdir / "elsewhere")
    bench = studio.bench
    with studio.export() as export:
        with_bucket, _ = make_snapshot(
            export, bench.ledger, studio.cache, bench.store, bench.client, folder=studio.snapshots
        )
        without, report = make_snapshot(
            export, bench.ledger, cache, None, bench.client, folder=studio.workdir / "other"
        )
    assert without.id == with_bucket.id
    assert not report.failures
    assert [sample.sha256 for sample in without.samples] == [sample.sha256 for sample in with_bucket.samples]


def test_a_replaced_object_is_fetched_from_diffgram(studio: Studio) -> None:
    studio.bench.draw(2)
    seen = (studio.bench.folder / "image-001.jpg").read_bytes()
    studio.finish({name: [box("car")] for name in names(2)})
    (studio.bench.folder / "image-001.jpg").write_bytes(b"something else")
    (studio.bench.folder / "image-000.jpg").unlink()
    snapshot, report = studio.snapshot()
    assert not report.failures
    assert seen in [sample.path.read_bytes() for sample in snapshot.samples]


def test_files_that_came_from_elsewhere_are_used_too(studio: Studio) -> None:
    studio.bench.draw(1)
    content = (studio.bench.folder / "image-000.jpg").read_bytes()
    client, directory_id = studio.bench.client, studio.bench.directory_id
    file_id = client.upload(content, name="by hand.jpg", directory_id=directory_id).file_id
    studio.finish({"image-000.jpg": [box("car")]})
    (task,) = studio.bench.ledger.work.tasks()
    studio.bench.ledger.work.save_tasks([replace(task, task_id=task.task_id + 1000, file_id=file_id or 0)])
    snapshot, _ = studio.snapshot()
    by_hand = next(sample for sample in snapshot.samples if sample.file_id == file_id)
    assert (by_hand.file_name, by_hand.uri, by_hand.path.read_bytes()) == ("by hand.jpg", "", content)


def test_a_finished_file_that_left_the_dataset_is_not_missed(studio: Studio) -> None:
    studio.bench.draw(3)
    studio.finish({name: [box("car")] for name in names(3)})
    gone = min(studio.bench.ledger.work.finished_files())
    studio.bench.client.remove_files([gone], studio.bench.directory_id)
    with studio.export() as export:
        assert export.elsewhere == (gone,)
        assert len(export.expected) == 2


def test_all_types_are_kept(studio: Studio) -> None:
    (car,) = studio.labels("car")
    studio.bench.draw(1)
    studio.finish({"image-000.jpg": [box("car")]})
    (file_id,) = studio.bench.ledger.work.finished_files()
    points = [{"x": x, "y": y} for x, y in ((10, 10), (50, 12), (30, 44))]
    drawn = [
        {"type": "polygon", "label_file_id": car, "points": points},
        {"type": "point", "label_file_id": car, "points": points[:1]},
    ]
    kept = studio.bench.client.annotations(file_id).raw
    studio.bench.client.save_annotations(file_id, [*kept, *drawn])
    snapshot, report = studio.snapshot()
    assert snapshot.samples[0].boxes == (Box(car, 4, 6, 30, 40), Box(car, 10, 10, 50, 44))
    assert snapshot.samples[0].annotations[-1].type == "polygon"
    assert {annotation.type for annotation in snapshot.samples[0].annotations} == {"box", "point", "polygon"}
    assert report.skipped == {}


def test_a_label_of_another_schema_is_named(studio: Studio) -> None:
    client = studio.bench.client
    other = client.ensure_labels(client.ensure_schema("other").id, ["boat"])["boat"]
    studio.bench.draw(1)
    studio.finish({"image-000.jpg": [box("car")]})
    (file_id,) = studio.bench.ledger.work.finished_files()
    boat = {"type": "box", "label_file_id": other, "x_min": 1, "y_min": 1, "x_max": 9, "y_max": 9}
    client.save_annotations(file_id, [*client.annotations(file_id).raw, boat])
    with pytest.raises(
        LabelMapChanged, match=rf"image-000-.*\(id {file_id}\) has a box of label 'boat' \(id {other}\)"
    ):
        studio.snapshot()
    assert not list(studio.snapshots.iterdir())
    snapshot, _ = studio.snapshot(schema_id=None)
    assert snapshot.label_map.name_of()[other] == "boat"


def test_nothing_finished_is_said_before_anything_is_exported(studio: Studio) -> None:
    before = len(studio.bench.client.exports())
    with pytest.raises(NotEnoughData, match="No file of the dataset is finished"):
        studio.snapshot()
    assert len(studio.bench.client.exports()) == before


class Failing(DiffgramClient):
    """Exports end as ``failed``, which no recording shows."""

    def export_status(self, export_id: int) -> ExportRow:
        return ExportRow(id=export_id, status="failed", status_text="the disk is full")


class Slow(DiffgramClient):
    """Exports never get ready."""

    def export_status(self, export_id: int) -> ExportRow:
        return ExportRow(id=export_id, status="init", percent=40)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        pytest.param(Failing, r"export \d+ failed on the server: the disk is full", id="failed"),
        pytest.param(Slow, r"export \d+ was not ready after 0\.1 s \(status init, 40 %\)", id="time-out"),
    ],
)
def test_an_export_that_does_not_end_well_tells_why(studio: Studio, kind: type[DiffgramClient], message: str) -> None:
    studio.bench.draw(1)
    studio.finish({"image-000.jpg": [box("car")]})
    with client_of(studio.bench.sandbox, kind=kind) as client:
        other = replace(studio, bench=replace(studio.bench, client=client))
        with pytest.raises(IncompleteExport, match=message):
            other.snapshot(timeout=0.1)
