"""Every format gives back, to the pixel, all that it can hold: random images, 1,000 for each of the four most used."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from servers.random_samples import FEWER_TRIPS, LABELS, ROUND_TRIPS, Said, heard, many_samples, said, with_files

from diffgram_flows.datasets.converting import write_format
from diffgram_flows.datasets.formats import ForeignAnnotations, WriteOptions, WriteReport, find_format
from diffgram_flows.models import Annotation, Sample

NAMES = LABELS.display_names()
Trip = Callable[[str, list[Sample]], tuple[ForeignAnnotations, WriteReport]]


@pytest.fixture(scope="module")
def trip(tmp_path_factory: pytest.TempPathFactory) -> Trip:
    folder = tmp_path_factory.mktemp("trips")

    def there_and_back(name: str, samples: list[Sample]) -> tuple[ForeignAnnotations, WriteReport]:
        shutil.rmtree(folder)
        placed = with_files(samples, folder / "images")
        report = write_format(name, placed, LABELS, folder / "out", WriteOptions(shards=3))
        assert report.images == len(samples)
        return find_format(name).read(folder / "out"), report

    return there_and_back


def by_order(found: ForeignAnnotations, samples: list[Sample]) -> Said:
    """Where a format does not hold the id of a file, the number in its name tells it."""
    number_of = {re.sub(r".*-(\d+)\..*", r"\1", sample.file_name): sample.file_id for sample in samples}
    return heard(found, lambda image: number_of[re.sub(r".*-(\d+)\..*", r"\1", image.file_name)])


def nothing_lost(found: ForeignAnnotations, report: WriteReport) -> None:
    assert (found.clipped, dict(found.skipped), dict(report.left_out)) == (0, {}, {})


@given(samples=many_samples(("box", "polygon", "point", "tag"), attributes=True))
@ROUND_TRIPS
def test_coco(trip: Trip, samples: list[Sample]) -> None:
    found, report = trip("coco", samples)
    assert heard(found, lambda image: image.id) == said(samples, NAMES)
    assert {image.file_name for image in found.images} == {sample.file_name for sample in samples}
    assert found.labels == NAMES
    nothing_lost(found, report)


@given(samples=many_samples(("box", "polygon", "line", "point", "tag"), attributes=True))
@FEWER_TRIPS
def test_jsonl(trip: Trip, samples: list[Sample]) -> None:
    found, report = trip("jsonl", samples)
    assert heard(found, lambda image: image.id) == said(samples, NAMES)
    assert [(i.file_name, i.uri, i.sha256) for i in found.images] == [(s.file_name, s.uri, s.sha256) for s in samples]
    nothing_lost(found, report)


@given(samples=many_samples(("box", "polygon", "point", "tag"), attributes=True))
@FEWER_TRIPS
def test_label_studio(trip: Trip, samples: list[Sample]) -> None:
    found, report = trip("label-studio", samples)
    assert heard(found, lambda image: image.id) == said(samples, NAMES)
    nothing_lost(found, report)


@given(samples=many_samples())
@ROUND_TRIPS
def test_yolo(trip: Trip, samples: list[Sample]) -> None:
    found, report = trip("yolo", samples)
    assert by_order(found, samples) == said(samples, NAMES)
    assert list(found.labels.values()) == list(NAMES.values())
    nothing_lost(found, report)


@given(samples=many_samples(("polygon",)))
@FEWER_TRIPS
def test_yolo_with_polygons(trip: Trip, samples: list[Sample]) -> None:
    found, report = trip("yolo-seg", samples)
    assert by_order(found, samples) == said(samples, NAMES)
    nothing_lost(found, report)


@given(samples=many_samples())
@ROUND_TRIPS
def test_voc(trip: Trip, samples: list[Sample]) -> None:
    found, report = trip("voc", samples)
    assert by_order(found, samples) == said(samples, NAMES)
    assert all(image.path is not None and image.path.is_file() for image in found.images)
    nothing_lost(found, report)


@given(samples=many_samples(("box", "tag")))
@ROUND_TRIPS
def test_tfrecord(trip: Trip, samples: list[Sample]) -> None:
    found, report = trip("tfrecord", samples)
    assert by_order(found, samples) == said(samples, NAMES)
    assert sorted((i.file_name, i.sha256) for i in found.images) == sorted((s.file_name, s.sha256) for s in samples)
    nothing_lost(found, report)


EVERYTHING = (
    Annotation("box", 4, ((1, 2), (30, 40)), ((1, "heavily"), (2, "XY"))),
    Annotation("line", 4, ((0, 0), (5, 5))),
    Annotation("point", 4, ((7, 8),)),
    Annotation("polygon", 2, ((0, 0), (20, 0), (10, 15))),
    Annotation("tag", 4),
)


@pytest.mark.parametrize(
    ("name", "written", "changed", "left_out"),
    [
        ("coco", {"box": 1, "point": 1, "polygon": 1, "tag": 1}, {}, {"lines": 1}),
        ("jsonl", {"box": 1, "line": 1, "point": 1, "polygon": 1, "tag": 1}, {}, {}),
        ("label-studio", {"box": 1, "point": 1, "polygon": 1, "tag": 1}, {}, {"lines": 1}),
        (
            "tfrecord",
            {"box": 2, "tag": 1},
            {"polygons as the boxes around them": 1},
            {"attributes": 2, "lines": 1, "points": 1},
        ),
        (
            "voc",
            {"box": 2},
            {"polygons as the boxes around them": 1},
            {"attributes": 2, "lines": 1, "points": 1, "tags": 1},
        ),
        (
            "yolo",
            {"box": 2},
            {"polygons as the boxes around them": 1},
            {"attributes": 2, "lines": 1, "points": 1, "tags": 1},
        ),
        (
            "yolo-seg",
            {"box": 1, "polygon": 1},
            {"boxes as polygons of four corners": 1},
            {"attributes": 2, "lines": 1, "points": 1, "tags": 1},
        ),
    ],
)
def test_what_a_format_cannot_hold_is_counted(
    trip: Trip, name: str, written: dict[str, int], changed: dict[str, int], left_out: dict[str, int]
) -> None:
    sample = Sample(1, "a-0.png", "", f"{0:064x}", Path("a"), 64, 48, "train", EVERYTHING)
    _, report = trip(name, [sample])
    assert (report.written, report.changed, report.left_out) == (written, changed, left_out)
