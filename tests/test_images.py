from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import check_pixels, image_size


def encoded(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", orientation: int = 0) -> bytes:
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    out = io.BytesIO()
    # Noise, so that the pixels fill the file and a part of it is not all of it.
    Image.effect_noise(size, 90).convert(mode).save(out, kind, **({"exif": exif} if orientation else {}))
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    claim = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    chunks = [struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part)) for part in (claim, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_reads_the_size(kind: str, mode: str) -> None:
    if mode == "CMYK" and kind != "JPEG":
        mode = "RGB"
    assert image_size(encoded(kind, mode=mode), name="it") == (60, 40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("orientation", "size"), [(1, (60, 40)), (3, (60, 40)), (6, (40, 60)), (8, (40, 60))])
def test_the_size_is_that_of_the_upright_image(kind: str, orientation: int, size: tuple[int, int]) -> None:
    assert image_size(encoded(kind, orientation=orientation), name="it") == size


@pytest.mark.parametrize("orientation", [9, 77])
def test_a_nonsense_orientation_is_ignored(orientation: int) -> None:
    assert image_size(encoded("JPEG", orientation=orientation), name="it") == (60, 40)


def test_reads_files_and_the_beginning_of_files(tmp_path: Path) -> None:
    data = encoded("JPEG", size=(500, 300))
    (tmp_path / "it.jpg").write_bytes(data)
    assert image_size(tmp_path / "it.jpg", name="it.jpg") == (500, 300)
    assert image_size(data[:2_000], name="it.jpg") == (500, 300)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        pytest.param(b"", "not an image", id="empty"),
        pytest.param(b"just a text", "not an image", id="text"),
        pytest.param(b"\xff\xd8\xff", "not an image", id="three bytes"),
        pytest.param(encoded("TIFF"), "supported types", id="TIFF"),
        pytest.param(png_header(20_000, 20_000), "400000000 pixels", id="bomb"),
        pytest.param(png_header(11_000, 10_000), "11000 x 10000 pixels", id="too large"),
        pytest.param(png_header(2**31 - 1, 2**31 - 1), "pixels", id="absurd"),
        pytest.param(Path("there/is/none.jpg"), "No such file", id="missing"),
        pytest.param(Path("/"), "directory", id="folder"),
    ],
)
def test_refuses_by_name(source: Path | bytes, said: str) -> None:
    with pytest.raises(ImageRejected, match="holiday") as caught:
        image_size(source, name="holiday")
    assert said.lower() in str(caught.value).lower()
    assert caught.value.cure


def test_the_limit_is_the_callers() -> None:
    data = encoded("PNG", size=(100, 100))
    assert image_size(data, name="it", max_pixels=10_000) == (100, 100)
    with pytest.raises(ImageRejected, match="9,999"):
        image_size(data, name="it", max_pixels=9_999)


def test_a_size_just_above_pillows_own_limit_is_fine() -> None:
    assert image_size(png_header(9_999, 10_000), name="it") == (9_999, 10_000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_finds_damage_behind_the_header(kind: str) -> None:
    data = encoded(kind, size=(300, 300))
    check_pixels(data, name="it")
    with pytest.raises(ImageRejected, match="it"):
        check_pixels(data[: len(data) // 2], name="it")
