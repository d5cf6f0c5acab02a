from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from diffgram_flows.importing import inspect, scan
from diffgram_flows.ledger import Ledger
from diffgram_flows.storage import ObjectStore


def encoded(kind: str, size: tuple[int, int] = (40, 30), **options: object) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, (200, 30, 60)).save(data, kind, **options)
    return data.getvalue()


def noise(kind: str) -> bytes:
    data = io.BytesIO()
    Image.effect_noise((500, 400), 90).convert("RGB").save(data, kind, quality=95)
    return data.getvalue()


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def verdict(ledger: Ledger, folder: Path, store: ObjectStore, name: str, content: bytes) -> str:
    (folder / name).write_bytes(content)
    scan(store, "", ledger)
    (row,) = ledger.objects.rows()
    return inspect(store, row)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("a.jpg", encoded("JPEG"), id="jpeg"),
        pytest.param("a.png", encoded("PNG"), id="png"),
        pytest.param("a.bmp", encoded("BMP"), id="bmp"),
        pytest.param("a.webp", noise("WEBP"), id="webp of more than 64 kB"),
        pytest.param("a.jpg", noise("JPEG"), id="jpeg of more than 64 kB"),
        pytest.param("a.jpg", encoded("JPEG", icc_profile=bytes(300_000)), id="header of more than 64 kB"),
        pytest.param("a.jpg", encoded("PNG"), id="another format than the name says"),
    ],
)
def test_a_good_image_passes(ledger: Ledger, folder: Path, store: ObjectStore, name: str, content: bytes) -> None:
    assert verdict(ledger, folder, store, name, content) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"Dear Sir or Madam, " * 10, "is not an image", id="text named jpg"),
        pytest.param(encoded("JPEG")[:20], "is not an image", id="cut short in the header"),
        pytest.param(png(20_000, 20_000), "pixels", id="bomb"),
    ],
)
def test_a_bad_image_is_refused_by_name(
    ledger: Ledger, folder: Path, store: ObjectStore, content: bytes, reason: str
) -> None:
    said = verdict(ledger, folder, store, "bad.jpg", content)
    assert "bad.jpg" in said
    assert reason in said


def test_an_object_that_was_deleted_since_it_was_listed(ledger: Ledger, folder: Path, store: ObjectStore) -> None:
    (folder / "a.jpg").write_bytes(encoded("JPEG"))
    scan(store, "", ledger)
    (folder / "a.jpg").unlink()
    assert "a.jpg" in inspect(store, ledger.objects.rows()[0])
