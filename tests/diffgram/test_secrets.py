"""Nothing that people can read holds a secret."""

from __future__ import annotations

import io
import json
import logging
import pickle
import re
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.scripted import Answer
from servers.tls_proxy import Answer as TlsAnswer
from servers.tls_proxy import Question, running_tls_proxy

from diffgram_flows.diffgram import DiffgramClient, ImportRow, Packet, Prelabel, WebhookEvent, shapes
from diffgram_flows.errors import (
    AuthenticationError,
    ConfigurationError,
    DiffgramError,
    DiffgramFlowsError,
    InvalidRequest,
    UnexpectedReply,
)

Server = Any  # servers.scripted.ScriptedServer
MakeClient = Callable[..., DiffgramClient]

BROKEN = b"HTTP/1.0 0 gkpj\r\n"
QUERY = "X-Amz-Credential=AKIAKEY%2F2026&X-Amz-Expires=3600&X-Amz-Signature=5ec3e7"
SIGNED = f"http://storage.local/customer-images/ps_1.jpg?{QUERY}"
GOOGLE = "https://storage.googleapis.com/photos/a.jpg?GoogleAccessId=me&Expires=1&Signature=g00g1e%2B"
COOKIE = "c00k1e-of-a-person"
TOKEN = "t0ken-of-hooks"
CLIENT_SECRET = "the-client-secret"
SECRETS = (
    *("X-Amz-Signature=5", "5ec3e7", "AKIAKEY", "g00g1e", COOKIE, TOKEN),
    *(CLIENT_SECRET, "dGhlLWNsaWVudC1zZWNyZXQ", "Y2xpZW50LWlkOnRoZS1jbGllbnQtc2VjcmV0"),
)


def packet(**changes: Any) -> Packet:
    fields: dict[str, Any] = {"directory_id": 2, "url": SIGNED, "file_name": "ps_1.jpg"}
    return Packet(**(fields | changes))


def everything_about(error: BaseException) -> str:
    """All that a log, a web page or a pickle could show of an error and of those behind it."""
    seen: list[str] = []
    current: BaseException | None = error
    while current is not None:
        seen += [repr(current), str(current), repr(current.__dict__), repr(current.args)]
        current = current.__cause__ or current.__context__
    pickled = pickle.dumps(error)
    return "\n".join([*seen, *traceback.format_exception(error), repr(pickled), repr(pickle.loads(pickled))])  # noqa: S301


def failure_of(call: Callable[[], Any]) -> DiffgramError | None:
    try:
        call()
    except DiffgramError as error:
        return error
    return None


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.fixture
def logs(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Everything that any logger says, from DEBUG on."""
    with caplog.at_level(logging.DEBUG):
        yield lambda: "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)


FAULTS = {
    "reset": {"reset": True},
    "time-out": {"delay": 0.6},
    "broken status line": {"raw": BROKEN},
    "refused": {"status": 400, "json": {"log": {"error": {"media": f"cannot read {SIGNED} and {GOOGLE}"}}}},
    "plain text": {"status": 400, "json": f"cannot read {SIGNED}"},
    "forbidden": {"status": 403, "json": {"error": f"403 Forbidden: {SIGNED} is not yours"}},
    "not logged in": {"status": 401, "json": {"error": f"401 Unauthorized: {GOOGLE}"}},
    "unknown": {"status": 404, "json": {"error": f"404: {SIGNED}"}},
    "too many": {"status": 429, "json": {"error": f"429 for {SIGNED}"}, "headers": {"Retry-After": "0"}},
    "failed": {"status": 500, "json": {"error": f"failed for {SIGNED}"}},
    "tripped": {"status": 500, "json": {"error": f"'NoneType' object has no attribute 'a' {SIGNED}"}},
    "proxy's page": {"status": 502, "content": f"<html>{SIGNED}</html>".encode()},
    "redirect": {"status": 302, "headers": {"Location": SIGNED}},
    "no JSON": {"content": f"no json {SIGNED}".encode()},
    "another shape": {"json": [SIGNED]},
    "store's own words": {
        "status": 400,
        "json": {
            "log": {
                "error": "<Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIAKEY</AWSAccessKeyId>"
                "<StringToSign>AWS4\n5ec3e7</StringToSign><SignatureProvided>5ec3e7</SignatureProvided>"
            }
        },
    },
}
BOX = shapes.box(4, 1, 2, 50, 60)
CALLS: dict[str, Callable[[DiffgramClient, Path], Any]] = {
    "packet": lambda client, _: client.send_packet(packet()),
    "instances": lambda client, _: client.send_packet(Packet(2, file_id=8, mode="update", instances=[BOX])),
    "upload": lambda client, _: client.upload(b"x", name="a.jpg", directory_id=2),
    "pieces": lambda client, folder: client.upload_in_chunks(folder / "a.jpg", directory_id=2),
    "batch": lambda client, _: client.new_batch(2, {"a.jpg": Prelabel(metadata={"note": SIGNED})}),
    "append": lambda client, _: client.append_to_batch(6, {"a.jpg": Prelabel(metadata={"note": SIGNED})}),
    "import": lambda client, _: client.import_row(8),
    "imports": lambda client, _: client.imports(),
    "retry": lambda client, _: client.retry_imports([8]),
    "project": lambda client, _: client.view_project(),
    "labels": lambda client, _: client.ensure_labels(1, ["car"]),
    "attributes": lambda client, _: client.ensure_attribute_group(1, "occluded"),
    "job": lambda client, _: client.new_job("a", schema_id=1, member_ids=[1]),
    "tasks": lambda client, _: list(client.tasks(1)),
    "task": lambda client, _: client.task(1),
    "files": lambda client, _: list(client.files(2)),
    "query": lambda client, _: list(client.query_files("labels.car > 0")),
    "annotations": lambda client, _: client.annotations(10),
    "save": lambda client, _: client.save_annotations(10, [BOX]),
    "signed URL": lambda client, _: client.signed_url(10),
    "export": lambda client, _: client.start_export(job_id=1),
    "export now": lambda client, _: client.export_now(job_id=1),
    "link": lambda client, _: client.export_link(13),
    "fetch": lambda client, _: client.fetch_export(13).__enter__(),
    "saved export": lambda client, _: client.save_export(13, io.BytesIO()),
    "connections": lambda client, _: client.connections(),
}
CONTENT = ("packet", "instances", "pieces", "retry")


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_no_error_and_no_log_holds_a_secret_whatever_is_called(
    server: Server, make_client: MakeClient, fault: dict[str, Any], logs: Callable[[], str], tmp_path: Path
) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    server.answer(**(fault | {"headers": {"Set-Cookie": f"session={COOKIE}; Path=/"} | fault.get("headers", {})}))
    # Silence is tried with two calls only: every one of them takes its time.
    calls = {name: CALLS[name] for name in (("packet", "imports") if "delay" in fault else CALLS)}
    client = make_client(timeout=0.3 if "delay" in fault else 5, retries=0)
    for name, call in calls.items():
        error = failure_of(lambda call=call: call(client, tmp_path))  # type: ignore[misc]
        if error is None:  # a few calls are content with any JSON
            assert (fault, name) in [(FAULTS["another shape"], each) for each in CONTENT]
            continue
        assert leaks(everything_about(error)) == [], name
        assert error.__cause__ is None, name
        assert error.__context__ is None, name
        assert "\n" not in str(error), name
    assert leaks(logs()) == []


def test_the_store_of_an_export_that_refuses_tells_no_secret(
    server: Server, store: Server, make_client: MakeClient, logs: Callable[[], str]
) -> None:
    link = f"{store.url}/export/13.json?{QUERY}"
    for fault in ({"status": 403, "content": SIGNED.encode()}, {"status": 500}, {"reset": True}, {"raw": BROKEN}):
        server.reset()
        store.reset()
        server.answer(link)
        store.answer(**fault)
        with pytest.raises(DiffgramError) as caught, make_client(retries=0).fetch_export(13):
            pass
        assert leaks(everything_about(caught.value)) == []
    for unusable in (f"ftp://a/b?{QUERY}", f"http://[{QUERY}", QUERY):
        server.reset()
        server.answer(unusable)
        with pytest.raises(DiffgramFlowsError) as wrong, make_client(retries=0).fetch_export(13):
            pass
        assert leaks(everything_about(wrong.value)) == []
    assert leaks(logs()) == []


def test_wrong_credentials_are_not_told(server: Server, make_client: MakeClient, logs: Callable[[], str]) -> None:
    said = "403 Forbidden: (Project Scope) No access. [Basic Auth Based] Failed API Permissions."
    server.answer({"error": said}, status=403)
    with pytest.raises(AuthenticationError) as caught:
        make_client().view_project()
    assert "Y2xpZW50LWlkOnRoZS1jbGllbnQtc2VjcmV0" in server.last.headers["Authorization"]  # it was really sent
    assert leaks(everything_about(caught.value)) == []
    assert leaks(logs()) == []


@pytest.mark.parametrize("url", ["http://me:the-client-secret@a", f"http://a?{QUERY}", f"http://a:{TOKEN}"])
def test_a_malformed_url_of_the_server_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        DiffgramClient(url, "contract-project", "client-id", CLIENT_SECRET)
    assert leaks(everything_about(caught.value)) == []


def test_a_broken_certificate_tells_no_secret(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logs: Callable[[], str]
) -> None:
    def answer(question: Question) -> TlsAnswer:
        raise AssertionError("nothing is asked over a connection that is not trusted")

    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    with running_tls_proxy(tmp_path, ("diffgram.example",), answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ConfigurationError) as caught:
            make_client(url="https://diffgram.example").send_packet(packet())
    assert leaks(everything_about(caught.value)) == []
    assert leaks(logs()) == []


FAILED = [
    f"Exceeded retry limit, no valid response (403) from {SIGNED} Response: <Error><AWSAccessKeyId>AKIAKEY",
    f"HTTPConnectionPool(host='storage.local'): Max retries exceeded with url: /a.jpg?{QUERY} (Connection refused)",
    f"Could not open {GOOGLE}",
]


@pytest.mark.parametrize("text", FAILED, ids=["refused", "unreachable", "Google"])
def test_a_failed_import_whose_reason_quotes_a_signed_url(server: Server, client: DiffgramClient, text: str) -> None:
    row = {
        "id": 8,
        "status": "failed",
        "status_text": text,
        "original_filename": "ps_1.jpg",
        "update_log": {"error": {"status_text": text}, "download_media": text},
        "instance_list": {"list": [{"note": text}]},
    }
    server.answer({"input": row})
    found = client.import_row(8)
    told = f"{found!r} {found} {found.reason} {found.failure} {found.status_text} {found.update_log}"
    assert "<hidden>" in told
    assert leaks(told) == []
    server.reset()
    server.answer({"input": row, "log": {"success": True}})
    with pytest.raises(InvalidRequest) as caught:
        client.upload(b"x", name="ps_1.jpg", directory_id=2)
    assert leaks(everything_about(caught.value)) == []


def test_a_url_that_cannot_be_imported_is_refused_without_its_query() -> None:
    for url in (f"s3://a/b.jpg?{QUERY}", f"http://a/b?{QUERY}", f"http://a/{'L' * 300}.jpg?{QUERY}"):
        with pytest.raises(InvalidRequest) as caught:
            Packet(2, url=url)
        assert leaks(everything_about(caught.value)) == []


def test_no_representation_holds_a_secret(client: DiffgramClient, tmp_path: Path) -> None:
    assert repr(client) == f"DiffgramClient(url={client.url!r}, project='contract-project')"
    assert "ps_1.jpg?<hidden>" in repr(packet())
    body = json.dumps({"kind": "task_created", "token": TOKEN, "task_id": 1})
    objects = [client, client._transport, client._transport._session.auth, packet(), Prelabel(metadata={})]
    told = [f"{thing!r} {thing}" for thing in [*objects, WebhookEvent.parse(body, token=TOKEN)]]
    assert leaks("\n".join(told)) == []


def test_a_webhook_without_the_token_tells_neither(logs: Callable[[], str]) -> None:
    with pytest.raises(AuthenticationError) as caught:
        WebhookEvent.parse(json.dumps({"kind": "a", "token": f"{TOKEN}x"}), token=TOKEN)
    assert leaks(everything_about(caught.value)) == []
    with pytest.raises(UnexpectedReply) as wrong:
        WebhookEvent.parse(json.dumps({"kind": [TOKEN], "token": TOKEN}), token=TOKEN)
    assert leaks(everything_about(wrong.value)) == []


def test_no_log_holds_a_signed_url(
    server: Server, store: Server, client: DiffgramClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer(f"{store.url}/export/13.json?X-Amz-Signature=5ec3e7")
    store.answer({})
    with caplog.at_level(logging.DEBUG), client.fetch_export(13) as file:
        assert file.read() == b"{}"
    assert "/export/13.json?<hidden>" in caplog.text
    assert "5ec3e7" not in caplog.text


def test_the_search_finds_what_it_searches_for() -> None:
    error = ValueError(f"{SIGNED} {COOKIE}")
    assert set(leaks(everything_about(error))) == {"X-Amz-Signature=5", "5ec3e7", "AKIAKEY", COOKIE}
    assert re.search("AKIAKEY", repr(Answer(SIGNED)))
    assert leaks(repr(ImportRow.model_construct(status_text=SIGNED))) != []
