"""What every folder promises, on a disk, on a real S3 server and on a Google Cloud Storage that checks who asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from servers.places import Open, opened, slow_to_settle

from diffgram_flows.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from diffgram_flows.storage import Folder, StorageSettings, open_folder

__all__ = ["opened", "slow_to_settle"]


@pytest.fixture
def folder(opened: Open) -> Folder:
    return opened()


in_a_bucket = pytest.mark.parametrize("opened", ["s3", "gcs"], indirect=True)


def test_what_is_put_is_listed_read_and_downloaded(folder: Folder, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"weights" * 300_000)
    folder.put("digits/1/model.keras", source)
    folder.put("digits/1/manifest.json", b"{}")
    folder.put("empty", b"")
    assert list(folder.list()) == ["digits/1/manifest.json", "digits/1/model.keras", "empty"]
    assert (folder.read("digits/1/manifest.json"), folder.read("empty")) == (b"{}", b"")
    target = tmp_path / "cache" / "model.keras"
    folder.download("digits/1/model.keras", target)
    assert target.read_bytes() == source.read_bytes()
    assert sorted(target.parent.iterdir()) == [target]


def test_a_name_is_listed_by_its_beginning_in_the_order_of_bytes(folder: Folder) -> None:
    names = ["a-b", "a/1", "a/10", "a/2/x", "aé", "a b", "a", "b/" + "deep/" * 20 + "x"]
    kept = [name for name in names if not (folder.uri.startswith("file:") and name == "a")]  # a disk has one of the two
    for name in kept:
        folder.put(name, name.encode())
    assert list(folder.list()) == sorted(kept, key=str.encode)
    assert list(folder.list("a/1")) == ["a/1", "a/10"]
    assert list(folder.list("a/")) == ["a/1", "a/10", "a/2/x"]
    assert list(folder.list("c")) == []
    assert [folder.read(name) for name in kept] == [name.encode() for name in kept]


def test_pages_of_a_listing_are_turned(folder: Folder) -> None:
    names = [f"n/{number:03}" for number in range(13)]  # Swift's page is 5 here
    for name in names:
        folder.put(name, b"x")
    assert list(folder.list("n/")) == names


def test_put_replaces_and_delete_removes(folder: Folder) -> None:
    folder.put("a", b"1")
    folder.put("a", b"2")
    assert folder.read("a") == b"2"
    folder.delete("a")
    folder.delete("a")
    assert list(folder.list()) == []
    with pytest.raises(ObjectNotFound, match="a"):
        folder.read("a")


def test_what_is_missing_is_said_and_leaves_nothing(folder: Folder, tmp_path: Path) -> None:
    assert list(folder.list()) == []
    with pytest.raises(ObjectNotFound, match="absent"):
        folder.download("x/absent", tmp_path / "out" / "file")
    assert [path for path in tmp_path.rglob("*") if path.is_file() and "out" in path.parts] == []


def test_more_than_the_limit_is_not_read(folder: Folder) -> None:
    folder.put("a", b"12345")
    assert folder.read("a", limit=5) == b"12345"
    with pytest.raises(StorageError, match="more than 4 bytes"):
        folder.read("a", limit=4)


def test_put_new_never_replaces(folder: Folder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"second")
    assert folder.put_new("log/1", b"first")
    assert not folder.put_new("log/1", other)
    assert folder.put_new("log/2", other)
    assert (folder.read("log/1"), folder.read("log/2")) == (b"first", b"second")
    assert list(folder.list()) == ["log/1", "log/2"]


@pytest.mark.usefixtures("slow_to_settle")
def test_of_many_who_put_the_same_new_name_one_is_told_so(opened: Open) -> None:
    folders = [opened() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        for turn in range(2):
            contents = [f"{turn}-{writer}".encode() for writer in range(8)]
            wrote = list(
                pool.map(
                    lambda at, turn=turn, contents=contents: folders[at % 4].put_new(f"n/{turn}", contents[at]),
                    range(8),
                )
            )
            assert wrote.count(True) == 1
            assert folders[0].read(f"n/{turn}") == contents[wrote.index(True)]


def test_a_child_is_a_folder_of_its_own(folder: Folder) -> None:
    child = folder.child("brains").child("digits")
    child.put("1", b"x")
    assert child.uri == f"{folder.uri}/brains/digits"
    assert (list(child.list()), list(folder.list())) == (["1"], ["brains/digits/1"])
    assert child.put_new("2", b"y")
    assert folder.read("brains/digits/2") == b"y"


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../up", "a/../../up", "a//b", "a\\b", "a\nb", "a/", "./a"])
def test_no_name_leads_out(name: str, tmp_path: Path) -> None:
    folder = open_folder(tmp_path / "store")
    for call in (
        folder.read,
        folder.delete,
        folder.child,
        lambda n: folder.put(n, b""),
        lambda n: folder.put_new(n, b""),
    ):
        with pytest.raises(ConfigurationError):
            call(name)
    assert list(tmp_path.iterdir()) == []


@in_a_bucket
def test_who_may_do_nothing_is_told_so(opened: Open) -> None:
    opened().put("a", b"1")
    guest = opened(guest=True)
    for call in (guest.read, lambda name: list(guest.list(name)), lambda name: guest.put(name, b"")):
        with pytest.raises(AccessDenied):
            call("a")
    with pytest.raises(AccessDenied, match=r"PutObject|objects\.create"):
        guest.put_new("b", b"")


@in_a_bucket
def test_a_bucket_that_is_not_there_is_named(opened: Open) -> None:
    absent = opened(bucket="absent-bucket")
    for call in (lambda: list(absent.list()), lambda: absent.put("a", b""), lambda: absent.put_new("a", b"")):
        with pytest.raises(BucketNotFound, match="absent-bucket"):
            call()


def test_parts_of_unfinished_writes_are_not_listed(tmp_path: Path) -> None:
    folder = open_folder(str(tmp_path))
    folder.put("a", b"1")
    (tmp_path / ".part-xyz").write_bytes(b"half")
    assert list(folder.list()) == ["a"]


@pytest.mark.parametrize("place", ["ftp://a/b", "s3://", "gs:///x", "file://relative"])
def test_a_place_that_cannot_be_a_folder_is_refused(place: str) -> None:
    with pytest.raises(ConfigurationError):
        open_folder(place)


class Heedless(BaseHTTPRequestHandler):
    """An S3 server as there are some: it takes ``If-None-Match`` and overwrites."""

    protocol_version = "HTTP/1.1"
    broken = 0

    def do_HEAD(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def do_GET(self) -> None:
        """Half of what is promised, so often as it is told."""
        if type(self).broken:
            type(self).broken -= 1
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"01234")
            self.close_connection = True
        else:
            self._answer(b"0123456789")

    def _answer(self, body: bytes = b"") -> None:
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def heedless(monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with ThreadingHTTPServer(("127.0.0.1", 0), Heedless) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        settings = StorageSettings(s3_endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        with open_folder("s3://bucket/store", settings) as folder:
            yield folder
        server.shutdown()
        thread.join()


def test_a_store_that_ignores_the_condition_is_refused(heedless: Folder) -> None:
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="conditional write"):
            heedless.put_new("a", b"1")


def test_a_transfer_that_breaks_off_is_made_again(heedless: Folder, tmp_path: Path) -> None:
    Heedless.broken = 2
    heedless.download("a", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"0123456789"
    Heedless.broken = 9
    with pytest.raises(StorageUnavailable, match="s3://bucket/store/a"):
        heedless.read("a")
    Heedless.broken = 0
