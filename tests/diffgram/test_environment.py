"""Proxies and certificate authorities are those of the environment in which the client was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.tls_proxy import Answer, Question, TlsProxy, running_tls_proxy

from diffgram_flows.diffgram import DiffgramClient
from diffgram_flows.errors import ConfigurationError, ServerUnreachable

MakeClient = Callable[..., DiffgramClient]
STAT = {"completed": 4, "in_progress": 0, "in_review": 0, "instances_created": 5, "requires_changes": 0, "total": 6}
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsProxy]:
    """Speaks for https://diffgram.example, with a certificate that nobody knows yet."""

    def answer(question: Question) -> Answer:
        return Answer(200, {"Content-Type": "application/json"}, json.dumps(STAT).encode())

    with running_tls_proxy(tmp_path, ("diffgram.example",), answer) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        yield proxy


def test_calls_go_through_the_proxy(server: Any, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    server.answer(STAT)
    assert make_client(url="http://diffgram.example").job_stat(1).total == 6
    assert server.last.headers["Host"] == "diffgram.example"


def test_hosts_can_be_spared_the_proxy(server: Any, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server.answer(STAT)
    assert make_client().job_stat(1).total == 6


def test_a_dead_proxy_is_named(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", NOBODY)
    with pytest.raises(ServerUnreachable, match=r"diffgram\.example cannot be reached|proxy in front"):
        make_client(url="http://diffgram.example", retries=0).job_stat(1)


def test_a_certificate_authority_of_ones_own_is_trusted(
    https: TlsProxy, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(https.certificate))
    assert make_client(url="https://diffgram.example").job_stat(1).total == 6
    assert https.asked[-1].host == "diffgram.example"


def test_an_unknown_certificate_is_not_trusted(https: TlsProxy, make_client: MakeClient) -> None:
    with pytest.raises(ConfigurationError, match=r"certificate of diffgram\.example is not trusted"):
        make_client(url="https://diffgram.example").job_stat(1)
    assert https.asked == []
