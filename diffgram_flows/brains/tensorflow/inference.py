"""From images to boxes: decode in parallel, batch, prefetch, predict."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from diffgram_flows.brains.tensorflow.pixels import decode_upright, undecodable
from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import header, upright_size
from diffgram_flows.models import Box, LabelMap, Picture, Prediction

# A window of pictures goes through one pipeline: long enough that building it does not count.
_BATCHES_IN_WINDOW = 32


class _Checked(NamedTuple):
    """A picture whose header is fine: what it says, upright."""

    picture: Picture
    width: int
    height: int
    turn: int


class Detector:
    """A loaded detector.

    Args:
        module: The loaded program, kept alive for its function.
        function: Its signature.
        size: Side of the square that it wants.
        label_map: Which of its classes is which label.
    """

    def __init__(self, module: Any, function: Any, *, size: int, label_map: LabelMap) -> None:
        self._module = module
        self._function = function
        self._size = size
        self._label_file_ids = [label_file_id for label_file_id, _ in label_map.labels]

    def predict(self, pictures: Iterable[Picture], *, score_threshold: float, batch_size: int) -> Iterator[Prediction]:
        """One prediction a picture, in their order; a bad picture gives one with an error."""
        remaining = iter(pictures)
        while window := list(islice(remaining, batch_size * _BATCHES_IN_WINDOW)):
            yield from self._predict_window(window, score_threshold, batch_size)

    def _predict_window(self, window: Sequence[Picture], threshold: float, batch_size: int) -> Iterator[Prediction]:
        checked = [_check(picture) for picture in window]
        good = [item for item in checked if isinstance(item, _Checked)]
        answers = self._answers(good, threshold, batch_size)
        answer = next(answers, None)
        position = 0
        for item in checked:
            if isinstance(item, Prediction):
                yield item
                continue
            if answer is not None and answer[0] == position:
                yield answer[1]
                answer = next(answers, None)
            else:  # the decoder dropped it
                picture = item.picture
                yield Prediction(picture.key, item.width, item.height, error=undecodable(picture.source, picture.key))
            position += 1

    def _answers(self, good: Sequence[_Checked], threshold: float, batch_size: int) -> Iterator[tuple[int, Prediction]]:
        """Predictions with the index of their picture, ascending; pictures that cannot be decoded are left out."""
        if not good:
            return
        for indices, images in _batches(good, self._size, batch_size):
            found = {name: values.numpy() for name, values in self._function(images=images).items()}
            for row, index in enumerate(indices.numpy()):
                boxes = self._boxes({name: values[row] for name, values in found.items()}, good[index], threshold)
                yield int(index), Prediction(good[index].picture.key, good[index].width, good[index].height, boxes)

    def _boxes(self, found: dict[str, Any], item: _Checked, threshold: float) -> tuple[Box, ...]:
        """The boxes of one image in its pixels; those that round to nothing are left out."""
        count = int(found["num_detections"])
        corners = found["detection_boxes"][:count] * np.array([item.height, item.width] * 2)
        boxes = []
        for (y_min, x_min, y_max, x_max), score, index in zip(
            np.rint(corners).astype(int).tolist(),
            found["detection_scores"][:count].tolist(),
            found["detection_classes"][:count].tolist(),
            strict=True,
        ):
            box = Box(self._label_file_ids[index], x_min, y_min, x_max, y_max, score).clipped(item.width, item.height)
            if box is not None and score >= threshold:
                boxes.append(box)
        return tuple(boxes)


def _check(picture: Picture) -> _Checked | Prediction:
    """Read the header, so that nothing huge or foreign reaches the decoder."""
    try:
        width, height, turn = header(picture.source, name=picture.key)
    except ImageRejected as error:
        return Prediction(picture.key, 0, 0, error=str(error))
    return _Checked(picture, *upright_size(width, height, turn), turn)


def _batches(good: Sequence[_Checked], size: int, batch_size: int) -> Iterable[tuple[Any, Any]]:
    """Pairs of indices ``[B]`` and images ``[B, S, S, 3]`` uint8, without those that cannot be decoded."""
    if len(good) == 1:
        return _batch_of_one(good[0], size)
    # As tensors: NumPy's own strings would lose zeros at the end of an image's bytes.
    sources = tf.constant([_as_bytes(item.picture.source) for item in good])
    in_memory = [isinstance(item.picture.source, bytes) for item in good]
    turns = [item.turn for item in good]

    def decode(index: Any, source: Any, here: Any, turn: Any) -> tuple[Any, Any]:
        content = tf.cond(here, lambda: source, lambda: tf.io.read_file(source))
        return index, decode_upright(content, turn, size)

    dataset = tf.data.Dataset.from_tensor_slices((np.arange(len(good)), sources, in_memory, turns))
    batches: Iterable[tuple[Any, Any]] = (
        dataset.map(decode, tf.data.AUTOTUNE).ignore_errors().batch(batch_size).prefetch(2)
    )
    return batches


def _batch_of_one(item: _Checked, size: int) -> Iterator[tuple[Any, Any]]:
    """A single image, without a pipeline: building one takes ten times as long as decoding the image."""
    source = item.picture.source
    try:
        content = source if isinstance(source, bytes) else tf.io.read_file(os.fsencode(source))
        image = decode_upright(tf.constant(content), tf.constant(item.turn), size)
    except tf.errors.OpError:
        return
    yield tf.constant([0]), image[None]


def _as_bytes(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else os.fsencode(source)
