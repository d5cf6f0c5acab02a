"""What an image file says about itself in its first bytes: read before anything decodes it."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from diffgram_flows.errors import ImageRejected
from diffgram_flows.perceptual import perceptual_hash

MAX_PIXELS = 100_000_000
# What both Pillow and TensorFlow decode.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "GIF": ".gif"}
_ORIENTATION_TAG = 0x0112
_BYTE = 255
_BITS_24 = b"\x18\x00"
_JPEG, _SCAN, _END, _MAX_SCANS = b"\xff\xd8\xff", b"\xff\xda", b"\xff\xd9", 100
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]", re.DOTALL)  # not the data's own FF, nor a restart


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image that was decoded.

    Attributes:
        suffix: Of its format: ``.jpg``.
        width, height: Pixels, upright.
        phash: See :func:`~diffgram_flows.perceptual.perceptual_hash`.
    """

    suffix: str
    width: int
    height: int
    phash: int


def image_size(source: Path | bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Width and height in pixels of the upright image (EXIF orientation applied), from the header alone.

    Args:
        source: The file, or its bytes.
        name: What the error calls the image.
        max_pixels: The largest accepted width x height; a small file can claim a huge image. Pillow's own limit of
            179 million holds as well.

    Raises:
        ImageRejected: Unreadable, not an image, of an unsupported type, or too large.
    """
    width, height, turn = header(source, name=name, max_pixels=max_pixels)
    return upright_size(width, height, turn)


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height after an EXIF orientation was undone: 5 to 8 lie on their side."""
    return (height, width) if orientation >= 5 else (width, height)


def header(source: Path | bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> tuple[int, int, int]:
    """Width and height in pixels as stored, and the EXIF orientation (1 to 8, 1 is upright).

    Args:
        source: The file, or its bytes.
        name: What the error calls the image.
        max_pixels: The largest accepted width x height.

    Raises:
        ImageRejected: Unreadable, not an image, of an unsupported type, or too large.
    """
    image = _open(source, name, max_pixels)
    with image:
        turn = _orientation(image)
        return image.width, image.height, turn


def check_pixels(source: Path | bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Decode the whole image, which finds what the header cannot show: a file that was cut short.

    Args:
        source: The file, or its bytes.
        name: What the error calls the image.
        max_pixels: The largest accepted width x height.

    Raises:
        ImageRejected: As :func:`image_size`, or the pixels are damaged.
    """
    with _open(source, name, max_pixels) as image:
        _decode(image, name)


def image_facts(source: Path | bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> ImageFacts:
    """Decode the whole image once, and tell what is worth knowing of it. Arguments and errors as of `check_pixels`."""
    with _open(source, name, max_pixels) as image:
        suffix = _SUFFIXES[image.format or ""]
        turn = _orientation(image)
        _decode(image, name)
        width, height = upright_size(image.width, image.height, turn)
        return ImageFacts(suffix, width, height, perceptual_hash(image, turn))


def as_rgb(image: Image.Image) -> Image.Image:
    """Red, green and blue; of 16 bits a channel the upper 8, which Pillow itself would cut at 255; without alpha."""
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if image.mode.startswith("I;16") or values.max() > _BYTE:
            return Image.fromarray((values >> 8).clip(0, _BYTE).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")


def as_bmp(source: Path | bytes | Image.Image, *, name: str) -> bytes:
    """The same pixels as a BMP of 24 bits, which every decoder reads alike; the first frame of what moves.

    An EXIF orientation is neither kept nor applied.

    Raises:
        ImageRejected: As :func:`check_pixels`.
    """
    image = source if isinstance(source, Image.Image) else _open(source, name, MAX_PIXELS)
    _decode(image, name)
    content = io.BytesIO()
    as_rgb(image).save(content, "BMP")
    return content.getvalue()


def refuse_endless(content: bytes, *, name: str) -> None:
    """Refuse a JPEG that takes hours to decode: each of its scans is one pass over all pixels and costs a few bytes.

    Cameras write one scan, programs that prepare images for the web some ten.

    Raises:
        ImageRejected: It has more than a hundred.
    """
    # What looks like scans may be in a film after the image, as phones append it: counted well where there are many.
    if not content.startswith(_JPEG):
        return
    codes = np.frombuffer(content, np.uint8)  # five times as fast as bytes.count, and without the interpreter's lock
    found = np.count_nonzero((codes[:-1] == _SCAN[0]) & (codes[1:] == _SCAN[1]))
    if found > _MAX_SCANS and (scans := _scans(content)) > _MAX_SCANS:
        raise ImageRejected(
            f"The JPEG {name} has {scans:,} scans, the limit is {_MAX_SCANS}.",
            cure="Write it anew with an image program, or remove it.",
        )


def _scans(content: bytes) -> int:
    """How many scans the first image of a JPEG has: markers of ITU T.81, B.1.1, up to its end."""
    scans, at = 0, len(_JPEG) - 1
    while (marker := _MARKER.search(content, at)) and marker[0] != _END:
        scans += marker[0] == _SCAN
        length = content[marker.end() : marker.end() + 2]  # of the segment that follows, these two bytes included
        at = marker.end() + int.from_bytes(length, "big")
    return scans


def is_odd_bmp(content: bytes) -> bool:
    """Whether it is a BMP with a palette, a mask or an alpha channel: TensorFlow shows such in wrong colours."""
    return content[:2] == b"BM" and content[28:30] != _BITS_24


def _decode(image: Image.Image, name: str) -> None:
    try:
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRejected(f"The image {name} is damaged ({error}).", cure="Restore or remove the file.") from error


def _open(source: Path | bytes, name: str, max_pixels: int) -> Image.Image:
    """The opened image, its header read and its claims within bounds."""
    if isinstance(source, bytes):
        refuse_endless(source, name=name)
    try:
        # Pillow has a bomb limit of its own, below or above ours, as a warning and an error: ours decides.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    except UnidentifiedImageError as error:
        raise ImageRejected(
            f"{name} is not an image, or not of a supported type.",
            cure=f"Supported types are {', '.join(FORMATS)}; convert or remove the file.",
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageRejected(
            f"The image {name} claims too many pixels ({error}).", cure="Scale it down or remove it."
        ) from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRejected(
            f"The image {name} cannot be read ({_reason(error)}).", cure="Restore or remove the file."
        ) from error
    if not 0 < image.width * image.height <= max_pixels:
        claim = f"{image.width} x {image.height}"
        image.close()
        raise ImageRejected(
            f"The image {name} claims {claim} pixels, more than the limit of {max_pixels:,}.",
            cure="Scale it down, or raise the limit if such images are expected.",
        )
    return image


def _reason(error: Exception) -> str:
    """Without the path, which the name already tells."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 where it is missing or nonsense: a damaged tag does not spoil a good image."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole file to look for EXIF behind the pixels
    try:
        turn = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # Pillow's EXIF parser raises whatever its struct calls do
        return 1
    return turn if isinstance(turn, int) and 1 <= turn <= 8 else 1
