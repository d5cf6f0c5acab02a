"""Packets, uploads and import rows against recorded replies."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient, ImportRow, Packet, maybe_delivered
from diffgram_flows.errors import InvalidRequest, ServerUnreachable, UnexpectedReply

Server = Any  # conftest.ScriptedServer
RowMaker = Callable[..., dict[str, Any]]

CLEAN = {"error": {}, "info": {}, "success": False}
WRONG_LABEL = (
    "Instance List Error:{'valid_label_file': 'Label File ID9999does not belong to project contract-project. "
    "Ensure you are using the correct label_file_id (and not the label ID). They are different!'} "
    "On SDK?: Some types of errors may be resolved by updating to latest."
)


def test_a_packet_goes_to_its_place(server: Server, client: DiffgramClient) -> None:
    server.answer({"input_id": None, "log": {"error": {}, "info": {}, "success": True}})
    client.send_packet(Packet(2, url="http://images.local/img/a8.jpg?x=1", file_name="a8.jpg"))
    assert (server.last.method, server.last.path) == ("POST", "/api/walrus/v1/project/contract-project/input/packet")
    assert server.last.json["media"]["url"] == "http://images.local/img/a8.jpg?x=1"
    assert server.last.json["directory_id"] == 2
    assert "instance_list" not in server.last.json


def test_a_refused_packet_names_its_file(server: Server, client: DiffgramClient) -> None:
    server.answer({"log": {"error": {"directory": "'directory_id' not supplied"}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match=r"a8\.jpg.*dataset 2.*not supplied") as caught:
        client.send_packet(Packet(2, url="http://images.local/img/a8.jpg", file_name="a8.jpg"))
    assert caught.value.fields == {"directory": "'directory_id' not supplied"}


def test_the_list_of_imports(server: Server, client: DiffgramClient, input_row: RowMaker) -> None:
    sent = {"list": [{"label_file_id": 4, "type": "box", "x_max": 110, "x_min": 10, "y_max": 120, "y_min": 20}]}
    good = input_row(
        id=42, status="success", file_id=37, status_text="Version: 1.0.0", update_log=CLEAN, instance_list=sent
    )
    server.answer({"input_list": [input_row(), good], "success": True})
    failed, row = client.imports(limit=2, status="All", file_id=7)
    assert server.last.path == "/api/walrus/v1/project/contract-project/input/view/list"
    assert server.last.json == {"limit": 2, "status_filter": "All", "file_id": 7}
    assert (failed.finished, failed.succeeded, failed.existing_file_id) == (True, False, 7)
    assert failed.reason == "Filename a1.jpg Already Exists in Dir. Existing ID is:7"
    assert (row.finished, row.succeeded, row.reason, row.existing_file_id) == (True, True, "", None)
    assert (row.file_id, row.directory_id, row.instances) == (37, 2, sent["list"])
    assert row.created_time == datetime(2026, 11, 22, 6, 36, 49, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "reason", "expired"),
    [
        pytest.param(
            {"status_text": "Exceeded retry limit, no valid response (403) from http://a/b?c=d Response: denied"},
            "Exceeded retry limit, no valid response (403) from http://a/b?<hidden> Response: denied",
            True,
            id="403",
        ),
        pytest.param(
            {"status_text": "Exceeded retry limit, no valid response (400) from http://a/b Response: ExpiredToken"},
            "Exceeded retry limit, no valid response (400) from http://a/b Response: ExpiredToken",
            True,
            id="expired",
        ),
        pytest.param(
            {"status_text": "Exceeded retry limit, no valid response (404) from http://a/b Response: no such"},
            "Exceeded retry limit, no valid response (404) from http://a/b Response: no such",
            False,
            id="404",
        ),
        pytest.param(
            {
                "status_text": "Error downloading media.",
                "update_log": {
                    "download_media": "Max retries exceeded with url: /c5.jpg?sig=abc (Connection refused)",
                    "error": {"process_one_image": "expected str", "trace": "Traceback ..."},
                },
            },
            "Error downloading media; expected str; "
            "Max retries exceeded with url: /c5.jpg?<hidden> (Connection refused)",
            False,
            id="nobody listens",
        ),
        pytest.param(
            {
                "status_text": "Version: snapshot-2024-10-13",
                "update_log": {"error": {"process_one_image": "Instance cannot be None", "trace": "Traceback"}},
            },
            "Instance cannot be None",
            False,
            id="reason in the log only",
        ),
        pytest.param({"status_text": WRONG_LABEL, "update_log": CLEAN, "file_id": 9}, WRONG_LABEL, False, id="label"),
        pytest.param({"status_text": None, "update_log": None}, "The server gave no reason.", False, id="no reason"),
        pytest.param({"status_text": "", "update_log": {"error": "plain"}}, "plain", False, id="plain text"),
    ],
)
def test_why_an_import_failed(input_row: RowMaker, changes: dict[str, Any], reason: str, expired: bool) -> None:
    row = ImportRow.model_validate(input_row(**({"update_log": CLEAN} | changes)))
    assert row.reason == reason
    assert row.url_expired is expired
    assert row.existing_file_id is None


def test_the_existing_file_of_an_upload_is_in_the_log(input_row: RowMaker) -> None:
    row = ImportRow.model_validate(input_row(update_log={"error": {"existing_file_id": 71}}, status_text=None))
    assert row.existing_file_id == 71


@pytest.mark.parametrize("status", ["init", "local_processing_queue", "processing", "downloaded", "retrying", ""])
def test_an_unfinished_import_has_no_reason(input_row: RowMaker, status: str) -> None:
    row = ImportRow.model_validate(input_row(status=status, status_text="Version: 1.0.0", update_log=CLEAN))
    assert (row.finished, row.succeeded, row.reason, row.url_expired) == (False, False, "", False)


def test_a_row_full_of_nulls_and_news_can_be_read(input_row: RowMaker) -> None:
    row = ImportRow.model_validate(dict.fromkeys(input_row()) | {"id": 3, "of_a_later_version": {"a": 1}})
    assert (row.id, row.status, row.file_id, row.update_log, row.instances) == (3, "", None, {}, [])


def test_one_import(server: Server, client: DiffgramClient, input_row: RowMaker) -> None:
    server.answer({"input": input_row(id=8), "success": True})
    assert client.import_row(8).id == 8
    assert server.last.path == "/api/walrus/v1/project/contract-project/input/view/8"
    assert server.last.method == "POST"


def test_an_unknown_import(server: Server, client: DiffgramClient) -> None:
    server.answer({"error": "'NoneType' object has no attribute 'project_id'"}, status=500)
    with pytest.raises(InvalidRequest, match=r"import 99999.*ids"):
        client.import_row(99999)
    assert len(server.sent) == 1


@pytest.mark.parametrize(
    "answer",
    [{"success": True}, {"input_list": {"id": 1}}, {"input_list": [{"id": "many"}]}, [], "text", None],
    ids=["no list", "no list but a row", "id of another type", "list", "string", "null"],
)
def test_a_reply_of_another_shape_is_named(server: Server, client: DiffgramClient, answer: Any) -> None:
    server.answer(answer)
    with pytest.raises(UnexpectedReply, match="list of imports"):
        client.imports()


def test_retry_is_good_although_the_server_does_not_say_so(server: Server, client: DiffgramClient) -> None:
    server.answer({"log": {"error": {}, "info": {}, "success": False}})
    client.retry_imports([12, 13])
    assert server.last.json == {"id_list": [12, 13], "mode": "RETRY"}
    client.archive_imports([12])
    assert server.last.json == {"id_list": [12], "mode": "ARCHIVE"}
    client.archive_imports([])
    assert len(server.sent) == 2


def test_retry_of_unknown_imports(server: Server, client: DiffgramClient) -> None:
    server.answer({"log": {"error": {"id_list": "None found."}, "info": {}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match=r"999999.*None found"):
        client.retry_imports([999999])


@pytest.mark.parametrize("from_file", [True, False], ids=["file", "bytes"])
def test_an_upload(
    server: Server, client: DiffgramClient, input_row: RowMaker, tmp_path: Path, from_file: bool
) -> None:
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
    path = tmp_path / "x"
    path.write_bytes(content)
    row = input_row(id=97, file_id=71, status="success", status_text=None, update_log=CLEAN)
    server.answer({"file": {"id": 71, "hash": "1ff8"}, "input": row, "log": {"success": True}})
    box = {"type": "box", "label_file_id": 4, "x_min": 1, "y_min": 2, "x_max": 50, "y_max": 60}
    made = client.upload(path if from_file else content, name="loc_1.png", directory_id=2, instances=[box])
    assert (made.file_id, made.succeeded) == (71, True)
    parts = server.last.parts
    assert parts["file"] == ("loc_1.png", content)
    assert json.loads(parts["json"][1]) == {"directory_id": 2, "instance_list": [box]}


def test_an_upload_of_a_name_that_exists(server: Server, client: DiffgramClient, input_row: RowMaker) -> None:
    row = input_row(
        original_filename="loc_1.png",
        status_text="Filename loc_1.png Already Exists in Dir. Existing ID is:71",
        update_log={"error": {"existing_file_id": 71}},
    )
    server.answer({"input": row, "log": {"error": {}, "info": {}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match=r"loc_1\.png.*Already Exists") as caught:
        client.upload(b"x", name="loc_1.png", directory_id=2)
    assert caught.value.fields["existing_file_id"] == "71"


def test_an_upload_of_another_kind_of_file(server: Server, client: DiffgramClient, input_row: RowMaker) -> None:
    row = dict.fromkeys(input_row()) | {"status": "failed", "status_text": "Invalid file type: .xyz"}
    server.answer({"input": row, "log": {"error": {}, "info": {}, "success": False}}, status=400)
    with pytest.raises(InvalidRequest, match=r"Invalid file type: \.xyz"):
        client.upload(b"x", name="loc_7.xyz", directory_id=2)


def test_an_upload_that_failed_with_200(server: Server, client: DiffgramClient, input_row: RowMaker) -> None:
    row = input_row(file_id=73, status_text=WRONG_LABEL, update_log=CLEAN, percent_complete=100.0)
    server.answer({"file": {"id": 73}, "input": row, "log": {"error": {}, "info": {}, "success": True}})
    with pytest.raises(InvalidRequest, match=r"loc_3\.png.*9999") as caught:
        client.upload(b"x", name="loc_3.png", directory_id=2)
    assert caught.value.fields["file_id"] == "73"


def test_a_corrupt_image_is_not_blamed_on_ids_alone(server: Server, client: DiffgramClient) -> None:
    server.answer({"error": "'NoneType' object has no attribute 'parent_id'"}, status=500)
    with pytest.raises(InvalidRequest, match=r"loc_8\.png.*image"):
        client.upload(b"x", name="loc_8.png", directory_id=2)
    assert len(server.sent) == 1


def test_an_upload_that_may_have_arrived_is_not_repeated(server: Server, client: DiffgramClient) -> None:
    server.answer(reset=True)
    with pytest.raises(ServerUnreachable) as caught:
        client.upload(b"x", name="loc_9.png", directory_id=2)
    assert maybe_delivered(caught.value)
    assert len(server.sent) == 1


def test_a_file_that_is_not_there(client: DiffgramClient, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"loc_1\.png.*No such file") as caught:
        client.upload(tmp_path / "nothing", name="loc_1.png", directory_id=2)
    assert caught.value.__context__ is None
