from __future__ import annotations

import io
import json
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import pytest

from diffgram_flows.datasets import ExportRecord
from diffgram_flows.datasets.parsing import ExportReader
from diffgram_flows.errors import IncompleteExport
from diffgram_flows.models import Box


def entry(file_id: int, **image: Any) -> dict[str, Any]:
    name = f"job_{file_id}.jpg"
    url = "http://storage.local/projects/images/1/36?X-Amz-Signature=5ec7e7"
    box = {"label_file_id": 2, "type": "box", "x_max": 70, "x_min": 5, "y_max": 80, "y_min": 6}
    return {
        "file": {"ann_is_complete": False, "blob_url": url, "id": file_id, "original_filename": name, "type": "image"},
        "image": {"height": 240, "image_signed_url": url, "rotation_degrees": 0, "width": 320} | image,
        "instance_list": [{"attribute_groups": None, "id": 17} | box],
    }


EXPORT = {
    "40": entry(40),
    "50": entry(50),
    "7": entry(7),
    "attribute_groups_reference": [{"id": 1, "label_file_list": [{"id": 4}]}],
    "export_info": {"file_list_length": 3, "directory": {"40": "no file"}},
    "label_colour_map": {"2": {"hex": "#ff0000"}},
    "label_map": {"2": "person", "4": "car"},
    "readme": {"diffgram": "Training Data Software"},
}


def stream(export: Any) -> io.BytesIO:
    return io.BytesIO(json.dumps(export).encode())


def read_export(file: IO[bytes], wanted: Collection[int]) -> tuple[tuple[ExportRecord, ...], dict[int, str]]:
    """All that a reader gives."""
    reader = ExportReader(file, wanted)
    return tuple(reader), reader.label_map


def test_files_come_in_the_order_of_the_export_with_the_label_map() -> None:
    records, label_map = read_export(stream(EXPORT), {7, 40, 50})
    assert [record.file_id for record in records] == [40, 50, 7]
    assert label_map == {2: "person", 4: "car"}
    first = records[2]
    assert (first.file_name, first.kind, first.width, first.height, first.rotation) == (
        "job_7.jpg",
        "image",
        320,
        240,
        0,
    )
    assert first.drawing.boxes == (Box(2, 5, 6, 70, 80),)


def test_what_is_not_wanted_is_left_out() -> None:
    reader = ExportReader(stream(EXPORT), {50, 99})
    assert [record.file_id for record in reader] == [50]
    assert reader.unwanted == 2


def test_attribute_groups_are_kept_with_their_options() -> None:
    options = [{"id": 2, "name": "no", "archived": False}, {"id": 3, "name": "old", "archived": True}]
    group = {"id": 1, "name": "occluded", "prompt": "Is it?", "kind": "select", "attribute_template_list": options}
    reader = ExportReader(
        stream(EXPORT | {"attribute_groups_reference": [group | {"label_file_list": [{"id": 4}]}]}), []
    )
    assert list(reader) == []
    kept = {"id": 1, "name": "occluded", "prompt": "Is it?", "kind": "select", "options": [{"id": 2, "name": "no"}]}
    assert reader.attribute_groups == (kept,)


def test_one_file_of_the_export_is_read_at_a_time() -> None:
    files = stream(EXPORT)
    assert next(iter(ExportReader(files, {40}))).file_id == 40


def test_a_recorded_export_is_read() -> None:
    recorded = Path(__file__).parents[1] / "contract" / "recordings" / "sample_export.json"
    with recorded.open("rb") as file:
        wanted = {int(key) for key in json.load(file) if key.isdecimal()}
        file.seek(0)
        reader = ExportReader(file, wanted)
        records = list(reader)
    assert {record.file_id for record in records} == wanted
    assert [record.file_id for record in records] != sorted(wanted)
    assert [(group["name"], len(group["options"])) for group in reader.attribute_groups] == [
        ("occluded", 3),
        ("plate", 0),
    ]
    assert any(annotation.attributes for record in records for annotation in record.drawing.annotations)


def test_an_export_cut_anywhere_is_noticed() -> None:
    whole = json.dumps(EXPORT).encode()
    for length in range(0, len(whole), 7):
        with pytest.raises(IncompleteExport, match=r"cannot be used.*Start it again") as caught:
            read_export(io.BytesIO(whole[:length]), {7, 40, 50})
        assert caught.value.__context__ is None  # the parser's error would quote signed URLs


@pytest.mark.parametrize(
    ("export", "what"),
    [
        pytest.param(None, "no label map", id="the null of an unknown format"),
        pytest.param([1], "no label map", id="a list"),
        pytest.param({"40": entry(40)}, "no label map", id="no labels"),
        pytest.param(EXPORT | {"label_map": {"x": "car"}}, "entry 'label_map' is not as recorded", id="labels"),
        pytest.param(EXPORT | {"7": "gone"}, "entry '7' is not as recorded", id="a text for a file"),
        pytest.param(EXPORT | {"7": entry(7, width="wide")}, "entry '7' is not as recorded", id="size"),
    ],
)
def test_another_layout_is_refused(export: Any, what: str) -> None:
    with pytest.raises(IncompleteExport, match=what):
        read_export(stream(export), {7, 40})


def test_no_link_of_an_export_is_in_an_error() -> None:
    with pytest.raises(IncompleteExport) as caught:
        read_export(stream(EXPORT | {"7": entry(7, width="http://a/b?X-Amz-Signature=5ec7e7")}), {7})
    assert "5ec7e7" not in str(caught.value)
    assert caught.value.__context__ is None
