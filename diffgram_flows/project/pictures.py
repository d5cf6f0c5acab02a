"""Images as scripts and notebooks have them: a path, bytes, a decoded image or an array."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import MAX_PIXELS, image_size

ImageLike: TypeAlias = Path | str | bytes | Image.Image | NDArray[np.uint8]


def read_image(source: Path | str | bytes) -> Image.Image:
    """Decode an image once, so that any number of brains can look at it and draw on it.

    Args:
        source: The file, or the bytes of one.

    Returns:
        The upright RGB image.

    Raises:
        ImageRejected: It cannot be read, is no image, is damaged or too large.
    """
    name = name_of(source)
    place = source if isinstance(source, bytes) else _path(source)
    image_size(place, name=name)  # refuses what is too large to decode
    try:
        with Image.open(io.BytesIO(place) if isinstance(place, bytes) else place) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRejected(f"The image {name} is damaged ({error}).", cure="Restore or remove the file.") from error


def name_of(image: ImageLike) -> str:
    """What errors call an image."""
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
        return _path(image)
    decoded = image if isinstance(image, Image.Image) else _from_array(image)
    if not 0 < decoded.width * decoded.height <= MAX_PIXELS:
        raise ImageRejected(
            f"The image in memory has {decoded.width} x {decoded.height} pixels, the limit is {MAX_PIXELS:,}.",
            cure="Scale it down.",
        )
    content = io.BytesIO()
    decoded.convert("RGB").save(content, "BMP")
    return content.getvalue()


def decoded_image(image: ImageLike) -> Image.Image:
    """An image to draw on; a decoded one stays as it is.

    Raises:
        ImageRejected: It cannot be decoded, or is nothing that holds an image.
    """
    if isinstance(image, Image.Image):
        return image
    return read_image(image) if isinstance(image, (str, Path, bytes)) else _from_array(image)


def _path(source: Path | str) -> Path:
    if isinstance(source, str) and source.partition("://")[0].lower() in {"http", "https"}:
        raise ImageRejected(
            "A URL was given where an image on this machine belongs.", cure="Use brain.predict_from_url for a URL."
        )
    return Path(source).expanduser()


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
