"""Downloads of exports that break off, lose their links, or change under way."""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import ServerError, ServerUnreachable, UnexpectedReply

Server = Any  # conftest.ScriptedServer
CONTENT = bytes(range(256)) * 40
HALF = len(CONTENT) // 2


def head(status: str, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode()


def first_half(*headers: str) -> dict[str, Any]:
    """The first half of the content, and then nothing more."""
    return {"raw": head("200 OK", f"Content-Length: {len(CONTENT)}", *headers) + CONTENT[:HALF]}


def rest_from(start: int, **more: str) -> dict[str, Any]:
    headers = {"Content-Range": f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}", **more}
    return {"status": 206, "headers": headers, "content": CONTENT[start:]}


WHOLE = {"content": CONTENT, "headers": {"ETag": '"abc"'}}
REFUSED = {"status": 403, "content": b"<Code>AccessDenied</Code>"}


@pytest.fixture
def link(server: Server, store: Server) -> str:
    url = f"{store.url}/export/13.json?X-Amz-Signature=5ec3e7"
    server.answer(url)
    return url


def saved(client: DiffgramClient) -> bytes:
    file = io.BytesIO(b"what was there before" * 1000)
    assert client.save_export(13, file) == len(file.getvalue())
    return file.getvalue()


def ranges(store: Server) -> list[str | None]:
    return [sent.headers.get("Range") for sent in store.sent]


@pytest.mark.usefixtures("link")
def test_it_goes_on_where_it_broke_off(store: Server, client: DiffgramClient) -> None:
    third = 2 * len(CONTENT) // 3
    part = head("206 OK", f"Content-Length: {len(CONTENT) - HALF}", 'ETag: "abc"',
                f"Content-Range: bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}")  # fmt: skip
    store.answer(**first_half('ETag: "abc"')).answer(raw=part + CONTENT[HALF:third]).answer(**rest_from(third))
    assert saved(client) == CONTENT
    assert ranges(store) == [None, f"bytes={HALF}-", f"bytes={third}-"]
    assert store.last.headers["If-Range"] == '"abc"'
    assert "Authorization" not in store.last.headers


@pytest.mark.usefixtures("link")
@pytest.mark.parametrize(
    ("headers", "second", "asked"),
    [
        pytest.param((), WHOLE, None, id="a store that does not say by what to go on"),
        pytest.param(('ETag: W/"abc"',), WHOLE, None, id="a weak mark"),
        pytest.param(('ETag: "abc"',), WHOLE, f"bytes={HALF}-", id="a store that knows no ranges"),
        pytest.param(('ETag: "abc"',), WHOLE | {"headers": {"ETag": '"new"'}}, f"bytes={HALF}-", id="new content"),
    ],
)
def test_it_begins_again_where_it_cannot_go_on(
    store: Server, client: DiffgramClient, headers: tuple[str, ...], second: dict[str, Any], asked: str | None
) -> None:
    store.answer(**first_half(*headers)).answer(**second)
    assert saved(client) == CONTENT
    assert ranges(store) == [None, asked]


@pytest.mark.usefixtures("link")
def test_a_range_that_cannot_be_given_begins_again(store: Server, client: DiffgramClient) -> None:
    store.answer(**first_half('ETag: "abc"')).answer(status=416).answer(**WHOLE)
    assert saved(client) == CONTENT
    assert ranges(store) == [None, f"bytes={HALF}-", None]


@pytest.mark.usefixtures("link")
def test_a_link_that_expires_meanwhile_is_replaced(server: Server, store: Server, client: DiffgramClient) -> None:
    server.answer(f"{store.url}/export/13.json?X-Amz-Signature=fre5h")
    store.answer(**first_half('ETag: "abc"')).answer(**REFUSED).answer(**rest_from(HALF))
    assert saved(client) == CONTENT
    assert [sent.query["X-Amz-Signature"] for sent in store.sent] == ["5ec3e7", "5ec3e7", "fre5h"]
    assert ranges(store) == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


@pytest.mark.usefixtures("link")
@pytest.mark.parametrize(
    ("answer", "kind", "calls"),
    [
        pytest.param(REFUSED, UnexpectedReply, 4, id="every link refused"),
        pytest.param({"status": 404}, UnexpectedReply, 1, id="nothing there"),
        pytest.param({"status": 503}, ServerError, 3, id="down"),
        pytest.param({"reset": True}, ServerUnreachable, 3, id="broken"),
        pytest.param(first_half(), ServerUnreachable, 3, id="always half"),
    ],
)
def test_it_is_given_up_with_an_error_that_holds_no_secret(
    store: Server, make_client: Callable[..., DiffgramClient], answer: dict[str, Any], kind: type[Exception], calls: int
) -> None:
    store.answer(**answer)
    with pytest.raises(kind, match="export 13") as caught:
        make_client(retries=2).save_export(13, io.BytesIO())
    assert len(store.sent) == calls
    assert caught.value.__context__ is None
    assert "5ec3e7" not in "".join(traceback.format_exception(caught.value))
