"""Every kind of file that calls itself an image: seen as a person sees it, or refused by its name."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diffgram_flows.brains import Brain, BrainRecord
from diffgram_flows.images import as_rgb
from diffgram_flows.models import Box, Picture, Prediction, Sample, Snapshot
from diffgram_flows.project import read_image

GREEN = Image.new("RGB", (96, 96), (0, 255, 0))
STORED_AS = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation to the Image.Transpose that stores it


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def palette(image: Image.Image) -> Image.Image:
    return image.convert("P", palette=Image.Palette.ADAPTIVE)


def half_transparent(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(128)
    return image


def png_of_16_bits(image: Image.Image) -> bytes:
    """Three channels of 16 bits, which Pillow cannot write."""
    values = np.asarray(image).astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    head = b"IHDR" + struct.pack(">IIBBBBB", image.width, image.height, 16, 2, 0, 0, 0)
    chunks = (head, b"IDAT" + zlib.compress(rows), b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


def moving(kind: str) -> Callable[[Image.Image], bytes]:
    return lambda image: encoded(image, kind, save_all=True, append_images=[GREEN, GREEN], lossless=True)


COLOURED: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG of 16 bits": png_of_16_bits,
    "PNG with alpha": lambda image: encoded(half_transparent(image), "PNG"),
    "PNG with palette": lambda image: encoded(palette(image), "PNG"),
    "PNG with transparent palette": lambda image: encoded(palette(image), "PNG", transparency=0),
    "CMYK JPEG": lambda image: encoded(image.convert("CMYK"), "JPEG", quality=95),
    "progressive JPEG": lambda image: encoded(image, "JPEG", quality=95, progressive=True),
    "GIF": lambda image: encoded(palette(image), "GIF"),
    "moving GIF": moving("GIF"),
    "WebP": lambda image: encoded(image, "WEBP", quality=95),
    "WebP with alpha": lambda image: encoded(half_transparent(image), "WEBP", lossless=True),
    "moving WebP": moving("WEBP"),
    "BMP": lambda image: encoded(image, "BMP"),
    "BMP with palette": lambda image: encoded(palette(image), "BMP"),
    "BMP with alpha": lambda image: encoded(half_transparent(image), "BMP"),
}
GREY: dict[str, Callable[[Image.Image], bytes]] = {
    "PNG": lambda image: encoded(image, "PNG"),
    "PNG of 16 bits": lambda image: encoded(Image.fromarray(np.asarray(image).astype(np.uint16) * 257), "PNG"),
    "PNG with alpha": lambda image: encoded(image.convert("LA"), "PNG"),
    "BMP": lambda image: encoded(image, "BMP"),
    "WebP": lambda image: encoded(image, "WEBP", lossless=True),
}


@pytest.fixture(scope="module")
def brain(learned: BrainRecord) -> Brain:
    return Brain.load(learned)


@pytest.fixture(scope="module")
def sample(snapshot: Snapshot) -> Sample:
    return snapshot.split("train")[0]


@pytest.fixture(scope="module")
def image(sample: Sample) -> Image.Image:
    with Image.open(sample.path) as opened:
        return opened.convert("RGB")


@pytest.mark.parametrize("name", COLOURED)
def test_colours_and_places_are_those_that_people_see(
    brain: Brain, sample: Sample, image: Image.Image, name: str
) -> None:
    content = COLOURED[name](image)
    (seen,) = brain.predict([Picture(name, content)])
    assert (seen.error, seen.width, seen.height) == ("", 96, 96)
    assert_same_boxes(seen, sample.boxes)
    drawn_on = np.asarray(read_image(content)).astype(int)
    assert np.abs(drawn_on - np.asarray(image)).mean() < 12  # what people are shown is the same image


@pytest.mark.parametrize("name", GREY)
def test_grey_is_grey_however_it_is_stored(
    brain: Brain, image: Image.Image, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = shown_to(brain, monkeypatch)
    grey = image.convert("L")
    content = GREY[name](grey)
    pictures = [Picture("plain", encoded(grey.convert("RGB"), "PNG")), Picture("odd", content)]
    assert [seen.error for seen in brain.predict(pictures)] == ["", ""]
    assert np.array_equal(shown[0], shown[1])
    assert read_image(content).tobytes() == grey.convert("RGB").tobytes()


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_black_and_white(brain: Brain, image: Image.Image, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = shown_to(brain, monkeypatch)
    bits = image.convert("1")
    pictures = [Picture("odd", encoded(bits, kind)), Picture("plain", encoded(bits.convert("RGB"), "PNG"))]
    assert [seen.error for seen in brain.predict(pictures)] == ["", ""]
    assert np.array_equal(shown[0], shown[1])


@pytest.mark.parametrize("tile", ["never", "auto"])
def test_images_of_any_shape(brain: Brain, image: Image.Image, tile: Any) -> None:
    sizes = [(1, 1), (1, 2), (20_000, 1), (1, 20_000), (5_000, 3), (96, 96)]
    pictures = [
        Picture(f"{size} {kind}", encoded(image.resize(size), kind)) for size in sizes for kind in ("PNG", "JPEG")
    ]
    found = list(brain.predict(pictures, score_threshold=0.0, tile=tile))
    assert [seen.key for seen in found] == [picture.key for picture in pictures]
    for seen, size in zip(found[::2] + found[1::2], sizes * 2, strict=True):
        assert (seen.error, (seen.width, seen.height)) == ("", size)
        assert all(box.clipped(*size) == box for box in seen.boxes)


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM"])
def test_what_is_not_supported_is_refused_by_name(
    brain: Brain, sample: Sample, image: Image.Image, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / f"shot.{kind.lower()}"
    image.save(path, kind)
    bad, good = brain.predict([Picture(path.name, path), Picture("good", sample.path)])
    assert f"{path.name} is not an image, or not of a supported type" in bad.error
    assert "Supported types are JPEG, PNG" in bad.error
    assert_same_boxes(good, sample.boxes)


@pytest.mark.parametrize("tile", ["never", "auto"])
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_boxes_are_where_people_see_them_whichever_way_the_camera_was_held(
    brain: Brain, sample: Sample, image: Image.Image, kind: str, tile: Any
) -> None:
    upright = image.resize((336, 192))  # not a square, and large enough for tiles of the network's 64 pixels
    pictures = []
    for orientation, method in STORED_AS.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = upright if method is None else upright.transpose(Image.Transpose(method))
        content = encoded(stored, kind, exif=exif, quality=95)
        assert read_image(content).size == upright.size
        pictures.append(Picture(str(orientation), content))
    whole = [Box(box.label_file_id, *scaled(box, 3.5, 2.0)) for box in sample.boxes]
    for seen in brain.predict(pictures, tile=tile):
        assert (seen.error, seen.width, seen.height) == ("", 336, 192)
        for box in whole:
            best = max(seen.boxes, key=box.iou)
            assert best.iou(box) > 0.5, seen.key
            assert best.label_file_id == box.label_file_id


def test_16_bits_in_memory_are_not_cut_at_255() -> None:
    values = np.array([[0, 256, 65_535]], np.uint16)
    deep = Image.fromarray(values)
    shallow = Image.fromarray(np.array([[0, 7, 255]], np.int32))
    shown = [np.asarray(as_rgb(image))[0, :, 1].tolist() for image in (deep, deep.convert("I"), shallow)]
    assert shown == [[0, 1, 255], [0, 1, 255], [0, 7, 255]]


def shown_to(brain: Brain, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The pixels that reach the network from now on, an entry an image."""
    shown: list[Any] = []
    answer = brain.model.answer

    def watched(images: Any, *more: Any) -> Any:
        shown.extend(images)
        return answer(images, *more)

    monkeypatch.setattr(brain.model, "answer", watched)
    return shown


def scaled(box: Box, x: float, y: float) -> tuple[int, int, int, int]:
    return round(box.x_min * x), round(box.y_min * y), round(box.x_max * x), round(box.y_max * y)


def assert_same_boxes(seen: Prediction, expected: tuple[Box, ...]) -> None:
    assert len(seen.boxes) == len(expected)
    for box in expected:
        best = max(seen.boxes, key=box.iou)
        assert best.label_file_id == box.label_file_id
        assert best.iou(box) > 0.6


def test_one_frame_of_a_gif_is_unpacked_and_not_all(brain: Brain) -> None:
    content = encoded(Image.new("P", (2_000, 2_000)), "GIF", optimize=False)
    frame = content.index(b"\x2c\0\0\0\0")  # of 4 MB; 100 of them are half a megabyte on disk
    film = content[:frame] + content[frame:-1] * 100 + b";"
    assert len(film) < 1 << 20
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = memory("VmHWM")
    (seen,) = brain.predict([Picture("film", film)])
    assert (seen.error, seen.width, seen.height) == ("", 2_000, 2_000)
    assert memory("VmHWM") - before < 150 << 20


@pytest.mark.parametrize("from_file", [False, True])
def test_a_jpeg_that_takes_hours_is_refused(brain: Brain, image: Image.Image, tmp_path: Path, from_file: bool) -> None:
    content = encoded(image, "JPEG", progressive=True)
    last, end = content.rindex(b"\xff\xda"), content.rindex(b"\xff\xd9")
    endless = content[:end] + content[last:end] * 100 + content[end:]  # the last pass over all pixels again and again
    path = tmp_path / "endless.jpg"
    path.write_bytes(endless)
    bad, good = brain.predict([Picture(path.name, path if from_file else endless), Picture("good", content)])
    assert "endless.jpg has 110 scans, the limit is 100" in bad.error
    assert good.error == ""


def test_a_film_behind_a_jpeg_or_a_thumbnail_in_it_has_no_scans(brain: Brain, image: Image.Image) -> None:
    content = encoded(image, "JPEG")
    bytes_of_a_film = b"\xff\xda" * 200
    notes = b"\xff\xe1" + (len(bytes_of_a_film) + 2).to_bytes(2, "big") + bytes_of_a_film
    pictures = [
        Picture("plain", content),
        Picture("behind", content + bytes_of_a_film),
        Picture("inside", content[:2] + notes + content[2:]),
    ]
    plain, behind, inside = brain.predict(pictures)
    assert (plain.error, behind.error, inside.error) == ("", "", "")
    assert plain.boxes == behind.boxes == inside.boxes


def memory(field: str) -> int:
    """Bytes of this process."""
    rows = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
    return int(rows[field].split()[0]) * 1024
