"""Files in datasets against recorded replies."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import InvalidRequest, UnexpectedReply

Server = Any  # conftest.ScriptedServer

LIST = "/api/project/contract-project/user/sdk/file/list"
TRANSFER = "/api/v1/project/contract-project/file/transfer"


def file(number: int) -> dict[str, Any]:
    return {
        "ann_is_complete": None,
        "created_time": "2026-11-22T06:36:52.568046",
        "id": number,
        "original_filename": f"b{number}.jpg",
        "time_last_updated": "2026-11-22T06:36:52.571355",
        "type": "image",
        "video_id": None,
    }


def page(items: Any, next_page: int | None) -> dict[str, Any]:
    return {"file_list": items, "metadata": {"next_page": next_page, "limit": 2, "file_count": 3}}


def transferred(**info: Any) -> dict[str, Any]:
    return {"log": {"error": {}, "info": info, "success": True}}


def test_files_are_read_page_by_page(server: Server, client: DiffgramClient) -> None:
    server.answer(page([file(38), file(37)], 2)).answer(page([file(36)], None))
    found = client.files(2, search="b3", page_size=2)
    first = next(found)
    assert len(server.sent) == 1
    assert (first.id, first.name, first.type) == (38, "b38.jpg", "image")
    assert first.created == datetime(2026, 11, 22, 6, 36, 52, 568046, tzinfo=UTC)
    assert first.updated == datetime(2026, 11, 22, 6, 36, 52, 571355, tzinfo=UTC)
    assert [row.id for row in found] == [37, 36]
    metadata = [sent.json["metadata"] for sent in server.sent]
    assert [asked["page"] for asked in metadata] == [1, 2]
    assert {asked["file_view_mode"] for asked in metadata} == {"base"}
    assert {(asked["directory_id"], asked["limit"], asked["search_term"]) for asked in metadata} == {(2, 2, "b3")}
    assert server.last.path == LIST


def test_a_file_that_an_import_pushes_to_the_next_page_comes_once(server: Server, client: DiffgramClient) -> None:
    server.answer(page([38, 37], 2)).answer(page([37, 36], None))
    assert list(client.file_ids(2)) == [38, 37, 36]


def test_ids_come_in_pages_of_the_largest_size(server: Server, client: DiffgramClient) -> None:
    server.answer(page([38, 37], None))
    assert list(client.file_ids(2)) == [38, 37]
    assert server.last.json["metadata"]["file_view_mode"] == "ids_only"
    assert server.last.json["metadata"]["limit"] == 25_000


@pytest.mark.parametrize("nothing", [[], False], ids=["empty list", "false"])
def test_an_empty_page_is_the_end(server: Server, client: DiffgramClient, nothing: Any) -> None:
    server.answer(page(nothing, 2))
    assert list(client.files(2)) == []
    assert list(client.file_ids(2)) == []
    assert len(server.sent) == 2


def test_an_unknown_dataset(server: Server, client: DiffgramClient) -> None:
    server.answer("Error with directory", status=400)
    with pytest.raises(InvalidRequest, match=r"dataset 99999.*Error with directory"):
        list(client.files(99999))


def test_ids_that_are_none(server: Server, client: DiffgramClient) -> None:
    server.answer(page([{"id": 1}], None))
    with pytest.raises(UnexpectedReply):
        list(client.file_ids(2))


def test_missing_names(server: Server, client: DiffgramClient) -> None:
    server.answer({"result": {"exists": False, "missing_files": ["zz.jpg"]}})
    assert client.missing_files(["b1.jpg", "zz.jpg"], 2) == {"zz.jpg"}
    assert server.last.json == {"file_id_list": ["b1.jpg", "zz.jpg"], "directory_id": 2}
    assert server.last.path == "/api/v1/project/contract-project/file/exists"


def test_missing_ids_in_parts(server: Server, client: DiffgramClient) -> None:
    server.answer({"result": {"exists": False, "missing_files": [5, 1005]}})
    assert client.missing_files(range(2000), 2) == {5, 1005}
    assert [len(sent.json["file_id_list"]) for sent in server.sent] == [1000, 1000]
    assert client.missing_files([], 2) == set()
    assert len(server.sent) == 2


def test_mirroring(server: Server, client: DiffgramClient) -> None:
    server.answer(transferred(**{"10": True, "9": True}))
    client.mirror_files([10, 9], 3)
    assert server.last.path == TRANSFER
    assert server.last.json == {
        "file_list": [{"id": 10}, {"id": 9}],
        "destination_directory_id": 3,
        "mode": "TRANSFER",
        "transfer_action": "mirror",
    }


def test_files_that_were_not_mirrored_are_named(server: Server, client: DiffgramClient) -> None:
    server.answer(transferred(**{"10": True, "9": False}))
    with pytest.raises(InvalidRequest, match="files 9 into dataset 3"):
        client.mirror_files([10, 9], 3)


def test_removing(server: Server, client: DiffgramClient) -> None:
    server.answer(transferred(remove="Removed 1 file(s)."))
    client.remove_files([36], 2)
    assert server.last.json == {
        "file_list": [{"id": 36}],
        "destination_directory_id": 2,
        "source_directory_id": 2,
        "mode": "REMOVE",
    }
    client.remove_files([], 2)
    assert len(server.sent) == 1


def test_a_signed_url(server: Server, client: DiffgramClient) -> None:
    image = {"height": 240, "url_signed": "http://storage.local/images/1/4?sig=1", "width": 320}
    server.answer({"file": {"image": image, "type": "image"}, "log": {"error": {}, "info": {}, "success": False}})
    assert client.signed_url(10) == "http://storage.local/images/1/4?sig=1"
    assert (server.last.method, server.last.path) == ("GET", "/api/project/contract-project/file/10/get-signed-url")


def test_a_file_without_an_image(server: Server, client: DiffgramClient) -> None:
    server.answer({"file": {"image": {"url_signed": None}, "type": "image"}})
    with pytest.raises(UnexpectedReply, match="file 10"):
        client.signed_url(10)


IMAGE = {"width": 320, "height": 240, "rotation_degrees": 90, "url_signed": "http://a/b?X-Amz-Signature=5ec3e7"}


def test_one_file(server: Server, client: DiffgramClient) -> None:
    server.answer({"file": file(10) | {"image": IMAGE, "ordinal": 3}})
    found = client.file(10)
    assert (found.id, found.name, found.width, found.height) == (10, "b10.jpg", 320, 240)
    assert (found.rotation_degrees, found.ordinal) == (90, 3)
    assert server.last.json == {"file_id": 10, "project_string_id": "contract-project"}
    assert "5ec3e7" not in repr(found)


def test_a_few_names_are_searched_for_exactly(server: Server, client: DiffgramClient) -> None:
    server.answer(page([file(11) | {"original_filename": "ab1.jpg"}, file(12), file(1)], None))
    assert {name: row.id for name, row in client.find_files(["b1.jpg"], 2).items()} == {"b1.jpg": 1}
    assert client.find_files(["b9.jpg"], 2) == {}
    assert server.last.json["metadata"]["search_term"] == "b9.jpg"


def test_many_names_are_found_in_the_list_and_no_page_is_read_in_vain(server: Server, client: DiffgramClient) -> None:
    server.answer(page([file(number) for number in range(1, 41)], 2)).answer(page([file(50)], None))
    found = client.find_files([f"b{number}.jpg" for number in range(1, 31)], 2)
    assert sorted(row.id for row in found.values()) == list(range(1, 31))
    assert len(server.sent) == 1
    assert len(client.find_files([f"b{number}.jpg" for number in range(11, 51)], 2)) == 1
    assert server.last.json["metadata"]["search_term"] is None


def test_what_a_query_finds_comes_with_its_instances(server: Server, client: DiffgramClient) -> None:
    box = {"id": 2, "type": "box", "label_file_id": 4, "x_min": 1, "y_min": 2, "x_max": 50, "y_max": 60}
    server.answer(page([file(10) | {"image": IMAGE, "instance_list": [box]}], 2)).answer(page(False, 3))
    found = list(client.query_files("labels.car > 0"))
    assert [(each.file.id, each.width, each.raw) for each in found] == [(10, 320, [box])]
    assert {sent.json["metadata"]["file_view_mode"] for sent in server.sent} == {"explorer"}
    assert {sent.json["metadata"]["query"] for sent in server.sent} == {"labels.car > 0"}
    assert "5ec3e7" not in repr(found)


def test_a_server_that_repeats_a_page_is_not_asked_for_ever(server: Server, client: DiffgramClient) -> None:
    server.answer(page([file(10)], 2))
    assert [row.id for row in client.files(2)] == [10]
    assert len(server.sent) == 2


def test_the_counts_of_a_file(server: Server, client: DiffgramClient) -> None:
    row = {"id": 2, "file_id": 10, "label_file_id": 4, "count_instances": 1, "attribute_template_group_id": None}
    server.answer({"file_stats": [row], "log": {"success": True}})
    assert [(stat.label_file_id, stat.count) for stat in client.file_stats(10)] == [(4, 1)]
    assert server.last.path == "/api/v1/project/contract-project/file/10/file-stats"


def test_rotation_and_place_are_all_that_can_be_changed(server: Server, client: DiffgramClient) -> None:
    server.answer({"file": file(10) | {"image": IMAGE, "ordinal": 3}})
    assert client.rotate_file(10, 90).rotation_degrees == 90
    assert client.set_ordinal(10, 3).ordinal == 3
    assert [(sent.method, sent.json) for sent in server.sent] == [
        ("PUT", {"rotation_degrees": 90}),
        ("PUT", {"ordinal": 3}),
    ]
    with pytest.raises(InvalidRequest, match="turned by 45"):
        client.rotate_file(10, 45)  # type: ignore[arg-type]
    assert len(server.sent) == 2


def test_copies_as_the_official_sdk_asks_for_them(server: Server, client: DiffgramClient) -> None:
    server.answer(transferred(new_file=[file(90), file(91)]))
    assert [row.id for row in client.copy_files([10, 9], 3, with_instances=True)] == [90, 91]
    assert server.last.path == TRANSFER
    assert server.last.json == {
        "file_list": [{"id": 10}, {"id": 9}],
        "destination_directory_id": 3,
        "mode": "TRANSFER",
        "transfer_action": "copy",
        "copy_instances": True,
        "select_from_meta_data": False,
        "metadata_proposed": {},
    }


def test_copies_that_are_made_later_are_not_told(server: Server, client: DiffgramClient) -> None:
    server.answer(transferred(copy="soon"))
    assert client.copy_files([10], 3) == []


def test_files_are_moved_by_the_two_halves_that_were_recorded(server: Server, client: DiffgramClient) -> None:
    server.answer(transferred(**{"10": True})).answer(transferred(remove="Removed 1 file(s)."))
    client.move_files([10], 3, source_directory_id=2)
    steps = [(s.json["mode"], s.json.get("transfer_action"), s.json["destination_directory_id"]) for s in server.sent]
    assert steps == [("TRANSFER", "mirror", 3), ("REMOVE", None, 2)]


def test_what_could_not_be_mirrored_is_not_removed(server: Server, client: DiffgramClient) -> None:
    server.answer(transferred(**{"10": True, "9": False}))
    with pytest.raises(InvalidRequest, match="files 9 into dataset 3"):
        client.move_files([10, 9], 3, source_directory_id=2)
    assert len(server.sent) == 1
