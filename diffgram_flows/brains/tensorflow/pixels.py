"""Decoding one image inside a ``tf.data`` pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import check_pixels


def decode_upright(content: Any, orientation: Any, size: int) -> Any:
    """An image as a person sees it, stretched to a square.

    Args:
        content: Scalar string tensor: the bytes of an image file.
        orientation: Scalar int tensor: the EXIF orientation, 1 to 8; TensorFlow's own decoders ignore it.
        size: Side of the square in pixels.

    Returns:
        ``[size, size, 3]`` uint8, RGB.
    """
    image = tf.io.decode_image(content, channels=3, expand_animations=False)
    square = tf.image.resize(tf.ensure_shape(image, [None, None, 3]), (size, size))
    # Turning the square is cheaper than turning the original, and the same: the stretch treats both sides alike.
    return tf.cast(tf.round(_upright(square, orientation)), tf.uint8)


def undecodable(source: Path | bytes, name: str) -> str:
    """Why :func:`decode_upright` failed on an image whose header is fine."""
    try:
        check_pixels(source, name=name)
    except ImageRejected as error:
        return str(error)
    return f"TensorFlow cannot decode the image {name}. Save it again as an ordinary JPEG or PNG."


def _upright(image: Any, orientation: Any) -> Any:
    """Undo an EXIF orientation: 5 to 8 are stored with rows and columns exchanged, then mirrored like 1 to 4."""
    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    upside_down = tf.reduce_any(orientation == [3, 4, 7, 8])
    mirrored = tf.reduce_any(orientation == [2, 3, 6, 7])
    image = tf.cond(upside_down, lambda: tf.reverse(image, [0]), lambda: image)
    return tf.cond(mirrored, lambda: tf.reverse(image, [1]), lambda: image)
