from __future__ import annotations

import http.client
import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from diffgram_flows.storage.file_server import FileServer

SOON = timedelta(minutes=1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FileServer]:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.jpg").write_bytes(b"0123456789")
    (tmp_path / "photos" / "empty.png").write_bytes(b"")
    (tmp_path / "photos" / "out.jpg").symlink_to(tmp_path / "outside.jpg")
    (tmp_path / "outside.jpg").write_bytes(b"secret")
    with FileServer(tmp_path / "photos") as server:
        yield server


def signed(server: FileServer, key: str) -> str:
    return server.sign(key, datetime.now(UTC) + SOON)


def raw(server: FileServer, method: str, target: str) -> tuple[int, bytes]:
    """A request whose path no client library has tidied up."""
    with closing(http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=5)) as connection:
        connection.request(method, target)
        reply = connection.getresponse()
        return reply.status, reply.read()


@pytest.mark.parametrize(
    ("header", "status", "content", "content_range"),
    [
        (None, 200, b"0123456789", None),
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=-50", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=5-500", 206, b"56789", "bytes 5-9/10"),
        ("bytes=0-", 206, b"0123456789", "bytes 0-9/10"),
        ("bytes=10-", 416, b"No such range.\n", "bytes */10"),
        ("bytes=-0", 416, b"No such range.\n", "bytes */10"),
        ("bytes=0-1,4-5", 200, b"0123456789", None),
        ("lines=1-2", 200, b"0123456789", None),
        ("bytes=-", 200, b"0123456789", None),
        ("bytes=" + "9" * 5000 + "-", 200, b"0123456789", None),
    ],
)
def test_ranges(server: FileServer, header: str | None, status: int, content: bytes, content_range: str | None) -> None:
    headers = {"Range": header} if header else {}
    reply = requests.get(signed(server, "1.jpg"), headers=headers, timeout=5)
    assert (reply.status_code, reply.content) == (status, content)
    assert reply.headers.get("Content-Range") == content_range


def test_head_tells_size_and_type_and_sends_nothing(server: FileServer) -> None:
    reply = requests.head(signed(server, "1.jpg"), timeout=5)
    assert reply.status_code == 200
    assert reply.headers["Content-Length"] == "10"
    assert reply.headers["Content-Type"] == "image/jpeg"
    assert reply.headers["ETag"] == requests.get(signed(server, "1.jpg"), timeout=5).headers["ETag"]
    assert reply.content == b""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.JPG", "image/jpeg"),
        ("a.png", "image/png"),
        ("a.webp", "image/webp"),
        ("a.tar.unknown", "application/octet-stream"),
        ("bare", "application/octet-stream"),
    ],
)
def test_the_type_is_told_by_the_suffix(server: FileServer, name: str, kind: str) -> None:
    (server.root / name).write_bytes(b"x")
    assert requests.get(signed(server, name), timeout=5).headers["Content-Type"] == kind


def test_an_empty_file_is_served(server: FileServer) -> None:
    reply = requests.get(signed(server, "empty.png"), timeout=5)
    assert (reply.status_code, reply.content) == (200, b"")


@pytest.mark.parametrize("key", ["../outside.jpg", "x/../../outside.jpg", "out.jpg", "absent.jpg", "", "nul\0"])
def test_even_a_good_signature_does_not_lead_out_of_the_folder(server: FileServer, key: str) -> None:
    parts = urlsplit(signed(server, key))
    status, body = raw(server, "GET", f"{parts.path}?{parts.query}")
    assert status == 404
    assert b"secret" not in body


@pytest.mark.parametrize(
    "target", ["/1.jpg", "/absent.jpg", "/", "/1.jpg?expires=99999999999&signature=00", "/%ff?x=%e9"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_without_a_signature_nothing_is_told(server: FileServer, method: str, target: str) -> None:
    assert raw(server, method, target) == (403, b"" if method == "HEAD" else b"The signature does not match.\n")


def test_only_get_and_head_are_served(server: FileServer) -> None:
    assert requests.put(signed(server, "1.jpg"), data=b"x", timeout=5).status_code == 501
    assert (server.root / "1.jpg").read_bytes() == b"0123456789"


def test_a_secret_of_ones_own_outlives_the_server(tmp_path: Path, server: FileServer) -> None:
    with FileServer(server.root, secret=b"ours") as first:
        url = urlsplit(signed(first, "1.jpg"))
    with FileServer(server.root, secret=b"ours") as second:
        assert raw(second, "GET", f"{url.path}?{url.query}") == (200, b"0123456789")
    assert raw(server, "GET", f"{url.path}?{url.query}")[0] == 403


def test_one_connection_serves_many_requests(server: FileServer) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(signed(server, "1.jpg"), timeout=5).content == b"0123456789"
            assert session.get(f"{server.url}/1.jpg", timeout=5).status_code == 403
            assert session.head(signed(server, "absent"), timeout=5).status_code == 404


def test_query_strings_are_not_logged(server: FileServer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="diffgram_flows"):
        requests.get(signed(server, "1.jpg"), timeout=5)
    assert "GET /1.jpg" in caplog.text
    assert "signature" not in caplog.text
