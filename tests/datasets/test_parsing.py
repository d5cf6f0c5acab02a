from __future__ import annotations

import io
import json
from typing import Any

import pytest

from diffgram_flows.datasets.parsing import read_export
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


def test_files_come_in_order_of_id_with_the_label_map() -> None:
    records, label_map = read_export(stream(EXPORT), {7, 40, 50})
    assert [record.file_id for record in records] == [7, 40, 50]
    assert label_map == {2: "person", 4: "car"}
    first = records[0]
    assert (first.file_name, first.kind, first.width, first.height, first.rotation) == (
        "job_7.jpg",
        "image",
        320,
        240,
        0,
    )
    assert first.drawing.boxes == (Box(2, 5, 6, 70, 80),)


def test_what_is_not_wanted_is_left_out() -> None:
    records, _ = read_export(stream(EXPORT), {50, 99})
    assert [record.file_id for record in records] == [50]


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
