"""Nothing that people can read holds a secret."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from diffgram_flows.diffgram import DiffgramClient, Packet
from diffgram_flows.errors import (
    DiffgramError,
)

Server = Any  # conftest.ScriptedServer; folders of tests are no packages to import from
MakeClient = Callable[..., DiffgramClient]

BROKEN = b"HTTP/1.0 0 gkpj\r\n"
SIGNED = "http://storage.local/customer-images/ps_1.jpg?X-Amz-Credential=AKIAKEY&X-Amz-Signature=5ec3e7"


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
    return "\n".join([*seen, *traceback.format_exception(error), repr(pickle.dumps(error))])


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"reset": True}, id="reset"),
        pytest.param({"delay": 0.6}, id="time-out"),
        pytest.param({"raw": BROKEN}, id="broken status line"),
        pytest.param({"status": 400, "json": {"log": {"error": {"media": f"cannot read {SIGNED}"}}}}, id="refused"),
        pytest.param({"status": 500, "json": {"error": f"failed for {SIGNED}"}}, id="failed"),
        pytest.param({"status": 302, "headers": {"Location": SIGNED}}, id="redirect"),
        pytest.param({"content": b"no json"}, id="no JSON"),
    ],
)
def test_no_error_holds_a_secret(server: Server, make_client: MakeClient, answer: dict[str, Any]) -> None:
    server.answer(**answer)
    client = make_client(timeout=0.3, retries=0)
    with pytest.raises(DiffgramError) as caught:
        client.send_packet(packet())
    told = everything_about(caught.value)
    for secret in ("X-Amz-Signature=5", "5ec3e7", "AKIAKEY", "the-client-secret", "dGhlLWNsaWVudC1zZWNyZXQ"):
        assert secret not in told
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_no_representation_holds_a_secret(client: DiffgramClient) -> None:
    assert repr(client) == f"DiffgramClient(url={client.url!r}, project='contract-project')"
    assert "5ec3e7" not in f"{packet()} {packet()!r}"
    assert "ps_1.jpg?<hidden>" in repr(packet())


def test_no_log_holds_a_signed_url(
    server: Server, store: Server, client: DiffgramClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer(f"{store.url}/export/13.json?X-Amz-Signature=5ec3e7")
    store.answer({})
    with caplog.at_level(logging.DEBUG), client.fetch_export(13) as file:
        assert file.read() == b"{}"
    assert "/export/13.json?<hidden>" in caplog.text
    assert "5ec3e7" not in caplog.text
