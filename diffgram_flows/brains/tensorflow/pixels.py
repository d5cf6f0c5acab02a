"""Decoding one image: inside a graph for a ``tf.data`` pipeline, or at once, for whoever has threads of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from diffgram_flows.images import as_bmp, is_odd_bmp, refuse_endless

T = TypeVar("T")
_JPEG, _GIF = b"\xff\xd8\xff", b"GIF8"
# How much smaller than it is a JPEG can be decoded. What is left has half as many more on a side than are asked for.
_REDUCTIONS = (8, 4, 2)


def decode_upright(content: Any, orientation: Any, size: int) -> Any:
    """An image as a person sees it, stretched to a square.

    A JPEG with many times the pixels of the square is decoded at a half, a quarter or an eighth of its size, which is
    faster and smooths what the stretch would otherwise skip. Training and prediction both come through here.

    Args:
        content: Scalar string tensor: the bytes of an image file.
        orientation: Scalar int tensor: the EXIF orientation, 1 to 8; TensorFlow's own decoders ignore it.
        size: Side of the square in pixels.

    Returns:
        ``[size, size, 3]`` uint8, RGB.
    """
    # Turning the square is cheaper than turning the original, and the same: the stretch treats both sides alike.
    return _upright(_stretched(_decoded(content, size), size), orientation)


def decode_squares(content: bytes, orientation: int, sizes: Sequence[int]) -> list[NDArray[np.uint8]]:
    """What :func:`decode_upright` gives, decoded once and stretched to squares of several sizes, ascending.

    Raises:
        tf.errors.OpError: The image cannot be decoded.
    """
    squares = _program(tuple(sizes))(tf.constant(content))
    return [turned(square.numpy(), orientation) for square in squares]


def decode_whole(content: bytes, orientation: int) -> NDArray[np.uint8]:
    """The upright image ``[height, width, 3]``, every pixel of it.

    Raises:
        tf.errors.OpError: The image cannot be decoded.
    """
    image = tf.io.decode_image(content, channels=3, expand_animations=False)
    return np.ascontiguousarray(turned(image.numpy(), orientation))


def stretch(images: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Images ``[B, H, W, 3]`` of one shape, stretched to squares."""
    if images.shape[1:3] == (size, size):
        return images
    stretched: NDArray[np.uint8] = _stretched(tf.constant(images), size).numpy()
    return stretched


def turned(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation; a view of the same pixels."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image[:, ::-1] if orientation in (2, 3, 6, 7) else image


def readable(decode: Callable[[bytes], T], content: bytes, *, name: str) -> T:
    """Decode an image with TensorFlow, or through Pillow what TensorFlow cannot read or shows in wrong colours.

    A GIF is among them: TensorFlow unpacks all its frames to give the first one, and a megabyte can hold a thousand.

    Args:
        decode: Takes the bytes of a file.
        content: The bytes.
        name: What the error calls the image.

    Raises:
        ImageRejected: It is damaged, or would take for ever.
    """
    refuse_endless(content, name=name)
    if is_odd_bmp(content) or content.startswith(_GIF):
        content = as_bmp(content, name=name)
    try:
        return decode(content)
    except tf.errors.OpError:  # damaged, or something that Pillow alone can read: WebP with alpha or frames
        return decode(as_bmp(content, name=name))


@cache
def _program(sizes: tuple[int, ...]) -> Any:
    """One call instead of ten: threads meet less often at the interpreter's lock."""

    def decode(content: Any) -> list[Any]:
        image = _decoded(content, max(sizes))
        return [_stretched(image, size) for size in sizes]

    signature = tf.TensorSpec([], tf.string)
    return tf.function(decode, input_signature=[signature], jit_compile=False).get_concrete_function()


def _decoded(content: Any, size: int) -> Any:
    """``[H, W, 3]`` uint8: as stored, or smaller where ``size`` needs no more."""
    image = tf.cond(
        tf.strings.substr(content, 0, len(_JPEG)) == _JPEG,
        lambda: _reduced(content, size),
        lambda: tf.io.decode_image(content, channels=3, expand_animations=False),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _reduced(content: Any, size: int) -> Any:
    shorter = tf.reduce_min(tf.io.extract_jpeg_shape(content)[:2])

    def decode(ratio: int) -> Callable[[], Any]:
        return lambda: tf.io.decode_jpeg(content, channels=3, ratio=ratio)

    cases = [(2 * shorter >= 3 * ratio * size, decode(ratio)) for ratio in _REDUCTIONS]
    return tf.case(cases, default=decode(1))


def _stretched(image: Any, size: int) -> Any:
    return tf.cast(tf.round(tf.image.resize(image, (size, size))), tf.uint8)


def _upright(image: Any, orientation: Any) -> Any:
    """Undo an EXIF orientation: 5 to 8 are stored with rows and columns exchanged, then mirrored like 1 to 4."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    image = tf.cond(upside_down, lambda: tf.reverse(image, [0]), lambda: image)
    return tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)
