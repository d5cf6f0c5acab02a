from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from servers.shelf import SIZE, Shelf

from diffgram_flows.datasets import ImageCache
from diffgram_flows.datasets.image_index import INDEX
from diffgram_flows.errors import DiffgramError, ImageRejected, ObjectNotFound
from diffgram_flows.perceptual import FEATURELESS


@pytest.fixture
def url(shelf: Shelf) -> Iterator[str]:
    """A signed URL of an image, from a server of its own."""
    shelf.draw("served.png")
    (stored,) = shelf.store.iter_objects("served.png")
    yield shelf.store.lease(stored, timedelta(minutes=5)).url
    (shelf.folder / "served.png").unlink()


def blobs(shelf: Shelf) -> list[Path]:
    """The images that the cache keeps."""
    return [path for path in shelf.cache.folder.glob("??/*") if path.is_file()]


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
    content = (shelf.folder / "a.jpg").read_bytes()
    assert first == again
    assert first.path.read_bytes() == content
    assert first.sha256 == hashlib.sha256(content).hexdigest()
    assert first.path == shelf.cache.folder / first.sha256[:2] / f"{first.sha256}.jpg"
    assert (first.width, first.height) == SIZE
    assert shelf.store.reads == ["a.jpg"]


@pytest.mark.parametrize("damage", ["cut", "missing"])
def test_a_file_that_is_missing_or_of_the_wrong_size_is_fetched_again(shelf: Shelf, damage: str) -> None:
    shelf.draw("a.jpg")
    path = shelf.cache.fetch(shelf.row("a.jpg"), shelf.store).path
    if damage == "cut":
        path.write_bytes(b"cut")
    else:
        path.unlink()
    again = shelf.cache.fetch(shelf.row("a.jpg"), shelf.store)
    assert again.path.read_bytes() == (shelf.folder / "a.jpg").read_bytes()
    assert shelf.store.reads == ["a.jpg", "a.jpg"]


def test_the_same_bytes_under_two_names_lie_here_once(shelf: Shelf) -> None:
    shelf.draw("a.jpg")
    (shelf.folder / "b.JPEG").write_bytes((shelf.folder / "a.jpg").read_bytes())
    found, _ = shelf.cache.fetch_many([shelf.row("a.jpg"), shelf.row("b.JPEG")], shelf.store)
    assert len({image.path for image in found.values()}) == 1
    assert len(blobs(shelf)) == 1


@pytest.mark.parametrize("trouble", ["deleted", "damaged"])
def test_the_index_is_made_again_by_use(shelf: Shelf, trouble: str) -> None:
    shelf.draw("a.jpg")
    cache = shelf.cache
    first = cache.fetch(shelf.row("a.jpg"), shelf.store)
    index = shelf.cache.folder / INDEX
    if trouble == "deleted":
        for path in shelf.cache.folder.glob(f"{INDEX}*"):
            path.unlink()
    else:
        index.write_bytes(b"nonsense" * 1000)
    for one in (cache, shelf.cache):
        assert one.fetch(shelf.row("a.jpg"), shelf.store) == first
    assert len(blobs(shelf)) == 1
    assert len(shelf.store.reads) <= 3


def test_an_image_that_was_not_upright_has_the_facts_of_the_upright_one(shelf: Shelf) -> None:
    spots = np.random.default_rng(3).integers(0, 255, (6, 9), np.uint8)
    photo = Image.fromarray(spots).resize((90, 60), Image.Resampling.BICUBIC)
    photo.save(shelf.folder / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.transpose(Image.Transpose.ROTATE_90).save(shelf.folder / "turned.png", exif=exif)
    upright = shelf.cache.fetch(shelf.row("upright.png"), shelf.store)
    turned = shelf.cache.fetch(shelf.row("turned.png"), shelf.store)
    assert (turned.width, turned.height) == (upright.width, upright.height) == (90, 60)
    assert upright.phash != FEATURELESS
    assert (turned.phash ^ upright.phash).bit_count() <= 2


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
    assert blobs(shelf) == []


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
    image = shelf.cache.fetch_url("7/served.png", "served.png", lambda: url)
    assert image.path.read_bytes() == (shelf.folder / "served.png").read_bytes()

    def refuse() -> str:
        raise AssertionError("Nobody needs a URL for what is here.")

    assert shelf.cache.fetch_url("7/served.png", "served.png", refuse) == image


def test_a_refused_url_is_not_in_the_error(shelf: Shelf, url: str) -> None:
    with pytest.raises(DiffgramError, match=r"the image served\.png") as caught:
        shelf.cache.fetch_url("7/served.png", "served.png", lambda: url + "0")
    assert url.split("?")[1] not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


def test_a_download_has_a_limit(shelf: Shelf, url: str) -> None:
    with pytest.raises(ImageRejected, match="larger than 50 bytes"):
        ImageCache(shelf.cache.folder, max_bytes=50).fetch_url("7", "served.png", lambda: url)
    assert blobs(shelf) == []


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
def test_no_name_leads_out_of_the_folder(shelf: Shelf, url: str, name: str) -> None:
    image = shelf.cache.fetch_url(name, name, lambda: url)
    assert [image.path] == blobs(shelf)
    assert shelf.cache.known([name]) == {name: image}
    assert shelf.cache.known([name + "x"]) == {}
