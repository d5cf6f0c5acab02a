"""Images as scripts and notebooks have them: a path, a URL, bytes, a decoded image or an array."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import MAX_PIXELS, as_bmp, as_rgb, image_size
from diffgram_flows.project.fetching import fetch_image

ImageLike: TypeAlias = Path | str | bytes | Image.Image | NDArray[np.uint8]
_BEFORE = "diffgram_flows.before"  # in Pillow's info, which copies keep


def read_image(source: Path | str | bytes) -> Image.Image:
    """Decode an image once, so that any number of brains can look at it and draw on it.

    Args:
        source: The file, a URL of one, or the bytes of one.

    Returns:
        The upright RGB image.

    Raises:
        ImageRejected: It cannot be read, is no image, is damaged or too large.
    """
    name = name_of(source)
    place = source if isinstance(source, bytes) else _place(source)
    image_size(place, name=name)  # refuses what is too large to decode
    try:
        with Image.open(io.BytesIO(place) if isinstance(place, bytes) else place) as image:
            return as_rgb(ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRejected(f"The image {name} is damaged ({error}).", cure="Restore or remove the file.") from error


def name_of(image: ImageLike) -> str:
    """What errors call an image; what is signed in a URL is left out."""
    if _is_url(image):
        return "from the URL"
    if isinstance(image, (str, Path)):
        return Path(image).name or "without a name"
    return "in memory"


def picture_source(image: ImageLike) -> Path | bytes:
    """An image as brains take it: a file or the bytes of one.

    A decoded image gets the header of a BMP before its pixels, which costs a copy and loses nothing.

    Raises:
        ImageRejected: It is an array of another shape or type, or something else altogether.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, Path)):
        return _place(image)
    decoded = image if isinstance(image, Image.Image) else _from_array(image)
    if not 0 < decoded.width * decoded.height <= MAX_PIXELS:
        raise ImageRejected(
            f"The image in memory has {decoded.width} x {decoded.height} pixels, the limit is {MAX_PIXELS:,}.",
            cure="Scale it down.",
        )
    return as_bmp(decoded, name="in memory")


def decoded_image(image: ImageLike) -> Image.Image:
    """An image to draw on; a decoded one stays as it is.

    Raises:
        ImageRejected: It cannot be decoded, or is nothing that holds an image.
    """
    if isinstance(image, Image.Image):
        return image
    return read_image(image) if isinstance(image, (str, Path, bytes)) else _from_array(image)


def digests_of(image: Image.Image) -> frozenset[str]:
    """A digest of the pixels of an image, and of those that it had each time before a brain drew on it."""
    before: frozenset[str] = image.info.get(_BEFORE, frozenset())
    return before | {hashlib.sha256(as_rgb(image).tobytes()).hexdigest()}


def drawn_on(image: Image.Image, before: frozenset[str]) -> Image.Image:
    """The image, after it was told what it had been before somebody drew on it."""
    image.info[_BEFORE] = before
    return image


def _is_url(image: ImageLike) -> bool:
    return isinstance(image, str) and image.partition("://")[0].lower() in {"http", "https"}


def _place(source: Path | str) -> Path | bytes:
    """The file, or what a URL gives."""
    return fetch_image(str(source)) if _is_url(source) else Path(source).expanduser()


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    found = f"{type(array).__name__}"
    if isinstance(array, np.ndarray):
        if array.dtype == np.uint8 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
            return Image.fromarray(array)
        found = f"{array.dtype} array of the shape {list(array.shape)}"
    raise ImageRejected(
        f"The image in memory is a {found}.",
        cure="Give a path, bytes, a Pillow image, or a uint8 array [height, width, 3] in the order red, green, blue.",
    )
