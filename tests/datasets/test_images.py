from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from servers.shelf import Shelf

from diffgram_flows.datasets import ImageCache
from diffgram_flows.errors import DiffgramError, ImageRejected, ObjectNotFound


@pytest.fixture
def url(shelf: Shelf) -> Iterator[str]:
    """A signed URL of an image, from a server of its own."""
    shelf.draw("served.png")
    (stored,) = shelf.store.iter_objects("served.png")
    yield shelf.store.lease(stored, timedelta(minutes=5)).url
    (shelf.folder / "served.png").unlink()


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels in a few bytes."""
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    chunks = (struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_an_image_is_read_once(shelf: Shelf) -> None:
    shelf.draw("a.jpg")
    first = shelf.cache.fetch(shelf.row("a.jpg"), shelf.store)
    again = ImageCache(shelf.cache.folder).fetch(shelf.row("a.jpg"), shelf.store)
    assert first == again == shelf.cache.path(shelf.row("a.jpg").file_name)
    assert first.read_bytes() == (shelf.folder / "a.jpg").read_bytes()
    assert shelf.store.reads == ["a.jpg"]


def test_a_file_of_the_wrong_size_is_fetched_again(shelf: Shelf) -> None:
    shelf.draw("a.jpg")
    path = shelf.cache.fetch(shelf.row("a.jpg"), shelf.store)
    path.write_bytes(b"cut")
    assert shelf.cache.fetch(shelf.row("a.jpg"), shelf.store).read_bytes() == (shelf.folder / "a.jpg").read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("a.jpg", b"this is a text", "not an image", id="text"),
        pytest.param("a.png", bomb(), "claims too many pixels", id="bomb"),
        pytest.param("a.jpg", None, "damaged", id="cut short"),
    ],
)
def test_what_cannot_be_decoded_is_not_kept(shelf: Shelf, name: str, content: bytes | None, message: str) -> None:
    if content is None:
        shelf.draw("whole.jpg", (400, 300))
        content = (shelf.folder / "whole.jpg").read_bytes()[:-300]
        (shelf.folder / "whole.jpg").unlink()
    (shelf.folder / name).write_bytes(content)
    with pytest.raises(ImageRejected, match=message):
        shelf.cache.fetch(shelf.row(name), shelf.store)
    assert not shelf.cache.folder.exists()


def test_an_object_that_changed_is_not_taken_for_the_old_one(shelf: Shelf) -> None:
    shelf.draw("a.jpg")
    row = shelf.row("a.jpg")
    shelf.draw("a.jpg", (10, 10))
    with pytest.raises(ObjectNotFound, match="changed"):
        shelf.cache.fetch(row, shelf.store)


def test_many_images_come_with_a_list_of_those_that_did_not(shelf: Shelf) -> None:
    for number in range(6):
        shelf.draw(f"{number}.png")
    (shelf.folder / "3.png").write_bytes(b"no image")
    rows = [shelf.row(f"{number}.png") for number in range(6)]
    told: list[tuple[int, int]] = []
    found, failures = shelf.cache.fetch_many(
        rows, shelf.store, threads=3, progress=lambda done, total, note="": told.append((done, total))
    )
    assert list(found) == [row.file_name for row in rows if row.object.key != "3.png"]
    assert [failure.name for failure in failures] == [rows[3].file_name]
    assert "not an image" in failures[0].reason
    assert told == [(done, 6) for done in range(1, 7)]


def test_an_image_behind_a_url_is_downloaded_once(shelf: Shelf, url: str) -> None:
    path = shelf.cache.fetch_url("7/served.png", url)
    assert path.read_bytes() == (shelf.folder / "served.png").read_bytes()
    assert shelf.cache.fetch_url("7/served.png", "http://127.0.0.1:9/nobody") == path


def test_a_refused_url_is_not_in_the_error(shelf: Shelf, url: str) -> None:
    with pytest.raises(DiffgramError, match=r"the image 7/served\.png") as caught:
        shelf.cache.fetch_url("7/served.png", url + "0")
    assert url.split("?")[1] not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_a_download_has_a_limit(shelf: Shelf, url: str) -> None:
    with pytest.raises(ImageRejected, match="larger than 50 bytes"):
        ImageCache(shelf.cache.folder, max_bytes=50).fetch_url("served.png", url)
    assert not shelf.cache.folder.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a/b/c.jpg",
        "x" * 300 + ".jpg",
        "größe 1.JPG",
        "..",
        "a.b/c",
        "\udcff.jpg",
        "",
    ],
    ids=["up", "absolute", "slashes", "long", "unicode", "dots", "dot in a folder", "no text", "empty"],
)
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    cache = ImageCache(tmp_path / "images")
    path = cache.path(name)
    assert path.parent.parent == cache.folder
    assert len(path.name) < 60
    assert path != cache.path(name + "x")
