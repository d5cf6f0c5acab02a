"""Exports against recorded replies, and the download from a second server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import (
    DiffgramError,
    InvalidRequest,
    ServerError,
    ServerUnreachable,
    UnexpectedReply,
)

Server = Any  # conftest.ScriptedServer
MakeClient = Callable[..., DiffgramClient]


def export(**changes: Any) -> dict[str, Any]:
    return {
        "ann_is_complete": None,
        "created_time": "Sun, 22 Nov 2026 06:42:24 GMT",
        "directory": {"directory_id": 5, "id": 5, "nickname": "job-out"},
        "file_list_length": 11,
        "id": 13,
        "job": {"id": 1, "name": "label cars"},
        "kind": "Annotations",
        "percent_complete": 100.0,
        "source": "job",
        "status": "complete",
        "status_text": None,
        "task": None,
    } | changes


@pytest.mark.parametrize(
    ("source", "only_complete", "sent"),
    [
        pytest.param({"job_id": 1}, True, ("job", True, None, 1), id="finished files of a job"),
        pytest.param({"directory_id": 2}, False, ("directory", None, 2, None), id="dataset"),
    ],
)
def test_starting(
    server: Server, client: DiffgramClient, source: dict[str, Any], only_complete: bool, sent: tuple[Any, ...]
) -> None:
    server.answer({"export": export(status="init", percent_complete=0.0, file_list_length=None), "success": True})
    row = client.start_export(**source, only_complete=only_complete)
    assert (row.id, row.status, row.percent, row.file_count, row.finished) == (13, "init", 0.0, None, False)
    body = server.last.json
    assert server.last.path == "/api/walrus/project/contract-project/export/to_file"
    assert (body["source"], body["ann_is_complete"], body["directory_id"], body["job_id"]) == sent
    assert (body["kind"], body["file_comparison_mode"], body["masks"]) == ("Annotations", "latest", False)
    assert body["wait_for_export_generation"] is False


@pytest.mark.parametrize("sources", [{}, {"job_id": 1, "directory_id": 2}], ids=["none", "two"])
def test_an_export_needs_one_source(client: DiffgramClient, sources: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="either"):
        client.start_export(**sources)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(403, {"error": "403 Forbidden: No job"}, id="job"),
        pytest.param(500, {"error": "'bool' object has no attribute 'id'"}, id="dataset"),
    ],
)
def test_an_unknown_source(server: Server, client: DiffgramClient, status: int, body: Any) -> None:
    server.answer(body, status=status)
    with pytest.raises(InvalidRequest, match="export of directory 99999"):
        client.start_export(directory_id=99999)


def test_the_status(server: Server, client: DiffgramClient) -> None:
    server.answer({"export": export(), "success": True})
    row = client.export_status(13)
    assert (server.last.method, server.last.path) == (
        "GET",
        "/api/walrus/project/contract-project/export/13/status",
    )
    assert (row.finished, row.percent, row.file_count, row.job_id, row.directory_id) == (True, 100.0, 11, 1, 5)


def test_the_list(server: Server, client: DiffgramClient) -> None:
    server.answer({"export_list": [export(id=14), export(job=None)], "success": True})
    assert [(row.id, row.job_id) for row in client.exports()] == [(14, 1), (13, None)]
    assert server.last.path == "/api/walrus/project/contract-project/export/working_dir/list"


def test_a_link(server: Server, client: DiffgramClient) -> None:
    server.answer("http://storage.local/export/13.json?sig=1")
    assert client.export_link(13) == "http://storage.local/export/13.json?sig=1"
    assert server.last.json == {"id": 13, "return_type": "url", "format": "JSON"}


def test_a_link_before_its_time(server: Server, client: DiffgramClient) -> None:
    body = {"error": {"export": "Export not ready yet."}, "export": export(status="init"), "success": False}
    server.answer(body, status=400)
    with pytest.raises(InvalidRequest, match=r"export 17.*not ready yet"):
        client.export_link(17)


def test_no_link(server: Server, client: DiffgramClient) -> None:
    server.answer(None)
    with pytest.raises(UnexpectedReply, match="no link for export 13"):
        client.export_link(13)


def test_an_export_is_streamed_without_the_credential(
    server: Server, store: Server, client: DiffgramClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password of-somebody\n")
    monkeypatch.setenv("NETRC", str(netrc))
    content = json.dumps({str(number): {"instance_list": []} for number in range(50_000)}).encode()
    server.answer(f"{store.url}/export/13.json?X-Amz-Signature=5ec3e7")
    store.answer(content=content)
    with client.fetch_export(13) as file:
        assert file.read(5) == content[:5]
        assert content[:5] + file.read() == content
    assert store.last.query == {"X-Amz-Signature": "5ec3e7"}
    assert "Authorization" not in store.last.headers
    assert "Authorization" in server.last.headers


def test_opening_an_export_is_tried_again(server: Server, store: Server, client: DiffgramClient) -> None:
    server.answer(f"{store.url}/export/13.json")
    store.answer(status=503).answer(reset=True).answer({})
    with client.fetch_export(13) as file:
        assert file.read() == b"{}"
    assert len(store.sent) == 3


@pytest.mark.parametrize(
    ("answer", "kind", "calls"),
    [
        pytest.param({"status": 403, "content": b"<Code>AccessDenied</Code>"}, UnexpectedReply, 1, id="refused"),
        pytest.param({"status": 302, "headers": {"Location": "http://127.0.0.1:9"}}, UnexpectedReply, 1, id="redirect"),
        pytest.param({"status": 503}, ServerError, 3, id="down"),
        pytest.param({"delay": 0.6}, ServerUnreachable, 3, id="silent"),
    ],
)
def test_a_store_that_gives_nothing(
    server: Server,
    store: Server,
    make_client: MakeClient,
    answer: dict[str, Any],
    kind: type[DiffgramError],
    calls: int,
) -> None:
    server.answer(f"{store.url}/export/13.json?X-Amz-Signature=5ec3e7")
    store.answer(**answer)
    with pytest.raises(kind, match="export 13") as caught, make_client(timeout=0.3).fetch_export(13):
        pass
    assert len(store.sent) == calls
    assert "5ec3e7" not in f"{caught.value!r} {caught.value.__context__!r}"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"raw": b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"}, id="cut off"),
        pytest.param({"raw": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"}, id="cut off in a chunk"),
    ],
)
def test_an_export_that_breaks_off_is_not_taken_for_whole(
    server: Server, store: Server, client: DiffgramClient, answer: dict[str, Any]
) -> None:
    server.answer(f"{store.url}/export/13.json?X-Amz-Signature=5ec3e7")
    store.answer(**answer)
    with client.fetch_export(13) as file, pytest.raises(ServerUnreachable, match="export 13") as caught:
        file.read()
    assert caught.value.retryable
    assert caught.value.__context__ is None


@pytest.mark.parametrize("link", ["file:///etc/passwd", "/static/13.json", "http://"], ids=["file", "path", "no host"])
def test_a_link_that_is_no_url(server: Server, client: DiffgramClient, link: str) -> None:
    server.answer(link)
    with pytest.raises(UnexpectedReply, match="not a URL"), client.fetch_export(13):
        pass


def test_an_export_of_a_task(server: Server, client: DiffgramClient) -> None:
    server.answer({"export": {"id": 13, "status": "init"}, "success": True})
    assert client.start_export(task_id=5, masks=True).id == 13
    assert (server.last.json["source"], server.last.json["task_id"], server.last.json["masks"]) == ("task", 5, True)


def test_a_small_export_in_one_call(server: Server, client: DiffgramClient) -> None:
    server.answer({"44": {"instance_list": []}, "label_map": {"4": "car"}})
    assert client.export_now(job_id=1, only_complete=True)["label_map"] == {"4": "car"}
    sent = server.last.json
    assert (sent["wait_for_export_generation"], sent["return_type"], sent["ann_is_complete"]) == (True, "data", True)


@pytest.mark.parametrize("reply", [None, "http://a/b?c=d", []], ids=["null", "URL", "list"])
def test_an_export_without_data_is_named(server: Server, client: DiffgramClient, reply: Any) -> None:
    server.answer(reply)
    with pytest.raises(UnexpectedReply, match="export 13"):
        client.export_data(13)


def test_waiting_for_an_export(server: Server, client: DiffgramClient) -> None:
    server.answer({"export": {"id": 13, "status": "init", "percent_complete": 0.0}})
    server.answer({"export": {"id": 13, "status": "init", "percent_complete": 90.9}})
    server.answer({"export": {"id": 13, "status": "complete", "percent_complete": 100.0}})
    assert client.wait_for_export(13, timeout=5, poll=0.001).finished
    assert len(server.sent) == 3


def test_an_export_that_is_not_complete_in_time(server: Server, client: DiffgramClient) -> None:
    server.answer({"export": {"id": 13, "status": "init", "percent_complete": 40.0}})
    with pytest.raises(ServerUnreachable, match=r"export 13 is not complete after 0.05 s \(status 'init', 40 %\)"):
        client.wait_for_export(13, timeout=0.05, poll=0.02)


def test_an_export_that_failed_is_not_waited_for(server: Server, client: DiffgramClient) -> None:
    server.answer({"export": {"id": 13, "status": "failed", "status_text": "out of memory"}})
    with pytest.raises(InvalidRequest, match="export 13 failed: out of memory"):
        client.wait_for_export(13)


def test_exports_are_archived_one_by_one(server: Server, client: DiffgramClient) -> None:
    server.answer({"error": {}, "info": {}, "success": True})
    client.archive_exports([13, 14])
    assert [sent.json for sent in server.sent] == [{"id": 13, "mode": "ARCHIVE"}, {"id": 14, "mode": "ARCHIVE"}]
