from __future__ import annotations

from collections.abc import Collection, Iterable

import pytest

from diffgram_flows.datasets import Completeness, ExportRecord
from diffgram_flows.datasets.instances import Drawing
from diffgram_flows.errors import IncompleteExport, LabelMapChanged
from diffgram_flows.models import Annotation, Box

NAMES = {4: "car", 2: "person"}


def record(file_id: int, *boxes: Box, kind: str = "image", width: int = 320, height: int = 240) -> ExportRecord:
    return ExportRecord(
        file_id, f"{file_id}.jpg", kind, width, height, 0, Drawing(tuple(map(Annotation.of_box, boxes)), {})
    )


def check_complete(
    expected: Collection[int], records: Iterable[ExportRecord], label_map: dict[int, str], known: dict[int, str]
) -> None:
    """Look at all records, then conclude."""
    complete = Completeness(expected)
    for each in records:
        complete.look(each)
    complete.conclude(label_map, known)


def test_a_complete_export_passes() -> None:
    check_complete({1, 2}, [record(1), record(2, Box(4, 0, 0, 9, 9))], NAMES, NAMES)


def test_missing_files_are_counted_and_ten_are_named() -> None:
    with pytest.raises(IncompleteExport, match=r"lacks 20 of 21 finished files: id 2, id 3, .*, id 11, \.\.\.\. Start"):
        check_complete(range(1, 22), [record(1)], NAMES, NAMES)


@pytest.mark.parametrize(("width", "height"), [(0, 240), (320, 0), (-1, 240)], ids=["width", "height", "negative"])
def test_an_image_without_a_size_is_named(width: int, height: int) -> None:
    with pytest.raises(IncompleteExport, match=r"no size in pixels for 1 images: 2\.jpg \(id 2\)"):
        check_complete({1, 2}, [record(1), record(2, width=width, height=height)], NAMES, NAMES)


def test_only_images_need_a_size() -> None:
    check_complete({1}, [record(1, kind="video", width=0)], NAMES, NAMES)


@pytest.mark.parametrize(("label", "name"), [(2, "person"), (77, "unknown")], ids=["another schema's", "unknown"])
def test_a_label_outside_the_schema_is_named_with_its_file(label: int, name: str) -> None:
    records = [record(1, Box(4, 0, 0, 9, 9)), record(2, Box(label, 0, 0, 9, 9))]
    with pytest.raises(LabelMapChanged, match=rf"2\.jpg \(id 2\) has a box of label '{name}' \(id {label}\)"):
        check_complete({1, 2}, records, NAMES, {4: "car"})


def test_a_file_that_is_there_twice_is_named() -> None:
    with pytest.raises(IncompleteExport, match=r"holds 1 files twice: 1\.jpg \(id 1\)"):
        check_complete({1}, [record(1), record(1)], NAMES, NAMES)
