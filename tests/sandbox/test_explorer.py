"""The explorer's queries, and what can be set on files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from PIL import Image

Json = dict[str, Any]
Call = Callable[..., requests.Response]
FILES = "/api/project/{p}/user/sdk/file/list"


@pytest.fixture(scope="module")
def three(call: Call, new_dataset: Callable[[], int], box: Callable[..., Json]) -> tuple[int, list[int]]:
    """A dataset of three files with none, one and two cars, and their ids."""
    stream = io.BytesIO()
    Image.new("RGB", (300, 300), 7).save(stream, "PNG")
    directory_id, ids = new_dataset(), []
    for count in range(3):
        wanted = {"directory_id": directory_id, "instance_list": [box(10 * n) for n in range(count)]}
        files = {"file": (f"explored-{count}.png", stream.getvalue())}
        reply = call("/api/walrus/v1/project/{p}/input/from_local", files=files, data={"json": json.dumps(wanted)})
        ids.append(reply.json()["file"]["id"])
    return directory_id, ids


def explored(call: Call, query: str | None, **more: Any) -> Json:
    body = {"metadata": {"file_view_mode": "explorer", "limit": 1000, "query": query, **more}}
    reply: Json = call(FILES, body).json()
    return reply


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("labels.car > 0", [1, 2]),
        ("labels.car >= 2", [2]),
        ("labels.car = 0", [0]),
        ("labels.car<1", [0]),
        ("labels.car != 1", [0, 2]),
        ("labels.car <= 1", [0, 1]),
        ("dataset.id = {}", [0, 1, 2]),
        ("dataset.id != {}", []),
        (None, [0, 1, 2]),
    ],
)
def test_queries_find_files_with_their_instances(
    call: Call, three: tuple[int, list[int]], query: str | None, places: list[int]
) -> None:
    directory_id, ids = three
    found = explored(call, query and query.format(directory_id), directory_id=1)["file_list"] or []
    assert [each["id"] for each in found if each["id"] in ids] == [ids[place] for place in places]
    assert [len(each["instance_list"]) for each in found if each["id"] in ids] == places


def test_pages_of_the_explorer(call: Call, three: tuple[int, list[int]]) -> None:
    directory_id, ids = three
    reply = explored(call, f"dataset.id = {directory_id}", limit=2, page=2)
    assert [each["id"] for each in reply["file_list"]] == ids[2:]
    metadata = reply["metadata"]
    assert [metadata[name] for name in ("file_count", "total_pages", "next_page", "prev_page")] == [3, 2, None, 1]


def test_no_hits_are_no_list(call: Call) -> None:
    reply = explored(call, "labels.car > 1000")
    assert reply["file_list"] is False
    assert "file_count" not in reply["metadata"]


@pytest.mark.parametrize(
    ("query", "field", "text"),
    [
        ("labels.unicorn > 0", "label_name", "Label unicorn does not exists"),
        ("labels.car >>> 0", "parser", "Unexpected token Token('COMPARE_OP', '>') at line 1, column 13."),
        ("labels.car > ", "parser", "Unexpected token Token('$END', '')"),
        ("labels.car > 0 and dataset.id = 1", "parser", "Unexpected token Token('NAME', 'and') at line 1, column 16."),
        ("> 0", "parser", "Unexpected token Token('COMPARE_OP', '>') at line 1, column 1."),
        ("file.size > 0", "parser", "Unexpected token Token('NAME', 'file.size')"),
        ("labels.car > many", "parser", "Unexpected token"),
        ("dataset.id > 1", "parser", "Unexpected token"),
        ("labels.car > 0; DROP TABLE file", "parser", "Unexpected token Token('OTHER', ';')"),
    ],
)
def test_queries_that_are_refused(call: Call, query: str, field: str, text: str) -> None:
    reply = call(FILES, {"metadata": {"file_view_mode": "explorer", "query": query}})
    assert reply.status_code == 400
    assert reply.json()["log"]["error"][field].startswith(text)


def test_rotation_shows_wherever_the_file_does(call: Call, three: tuple[int, list[int]]) -> None:
    directory_id, ids = three
    change = {"rotation_degrees": 90, "ordinal": 5, "original_filename": "nope"}
    changed = call(f"/api/v1/project/{{p}}/file/{ids[0]}/update-metadata", change, method="PUT").json()["file"]
    assert (changed["image"]["rotation_degrees"], changed["ordinal"]) == (90, 5)
    assert changed["original_filename"] == "explored-0.png"
    listed = call(FILES, {"metadata": {"file_view_mode": "annotation", "directory_id": directory_id}}).json()
    assert [each["image"]["rotation_degrees"] for each in listed["file_list"]] == [0, 0, 90]
    link = call(f"/api/project/{{p}}/file/{ids[0]}/get-signed-url", method="GET").json()
    assert link["file"]["image"]["rotation_degrees"] == 90
    wanted = {"kind": "Annotations", "source": "directory", "directory_id": directory_id, "masks": False}
    wanted |= {"file_comparison_mode": "latest", "wait_for_export_generation": True, "return_type": "data"}
    export = call("/api/walrus/project/{p}/export/to_file", wanted).json()
    assert [export[str(each)]["image"]["rotation_degrees"] for each in ids] == [90, 0, 0]


def test_stats_count_the_instances_of_each_label(call: Call, three: tuple[int, list[int]], labels: Json) -> None:
    stats = [call(f"/api/v1/project/{{p}}/file/{each}/file-stats", method="GET").json() for each in three[1]]
    assert [[row["count_instances"] for row in each["file_stats"]] for each in stats] == [[], [1], [2]]
    assert stats[2]["file_stats"][0]["label_file_id"] == labels["car"]


def test_files_are_moved_and_copied(
    call: Call, three: tuple[int, list[int]], new_dataset: Callable[[], int], stored: Callable[[int], list[Json]]
) -> None:
    _, ids = three
    here, there = new_dataset(), new_dataset()
    transfer: Json = {"file_list": [{"id": ids[2]}], "mode": "TRANSFER", "destination_directory_id": here}
    body = {**transfer, "transfer_action": "copy", "copy_instances": True}
    (copy,) = call("/api/v1/project/{p}/file/transfer", body).json()["log"]["info"]["new_file"]
    assert copy["id"] not in ids
    assert [each["x_min"] for each in stored(copy["id"])] == [0, 10]
    links = [
        call(f"/api/project/{{p}}/file/{each}/get-signed-url", method="GET").json() for each in (ids[2], copy["id"])
    ]
    original, copied = (requests.get(each["file"]["image"]["url_signed"], timeout=30) for each in links)
    assert original.content == copied.content
    move: Json = {"file_list": [{"id": copy["id"]}], "mode": "TRANSFER", "transfer_action": "move"}
    move |= {"source_directory_id": here, "destination_directory_id": there}
    assert call("/api/v1/project/{p}/file/transfer", move).json()["log"]["info"] == {str(copy["id"]): True}
    for directory_id, found in ((here, []), (there, [copy["id"]])):
        listed = call(FILES, {"metadata": {"directory_id": directory_id, "file_view_mode": "ids_only"}}).json()
        assert listed["file_list"] == found
    refused = call("/api/v1/project/{p}/file/transfer", {**transfer, "transfer_action": "burn"})
    assert refused.status_code == 400
