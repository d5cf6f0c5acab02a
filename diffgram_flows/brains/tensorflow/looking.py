"""From pictures to squares of pixels, for models that look at them: decode in parallel, batch, predict, in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.methods.protocol import Answer, Model
from diffgram_flows.brains.tensorflow.pixels import decode_squares, decode_whole, readable, stretch
from diffgram_flows.brains.tiling import Tile, Tiling, merged, tiles_of
from diffgram_flows.errors import ImageRejected
from diffgram_flows.images import header, upright_size
from diffgram_flows.models import Picture, Prediction

Squares = dict[int | None, NDArray[np.uint8]]

_BATCHES_AHEAD = 3
_MAX_BYTES = 1 << 30
# An image of more pixels is not decoded at full size ahead of its turn: few of them would fill the memory.
_PIXELS_AHEAD = 4_000_000


class _Seen(NamedTuple):
    """A picture that was opened.

    Attributes:
        picture: What was asked for.
        width, height: Pixels, upright.
        turn: Its EXIF orientation.
        squares: Its pixels by the size that a model wants (``None`` is the image's own), those decoded so far.
        error: Why it cannot be looked at.
    """

    picture: Picture
    width: int
    height: int
    turn: int
    squares: Squares
    error: str = ""


def look(
    models: Sequence[Model],
    pictures: Iterable[Picture],
    *,
    score_thresholds: Sequence[float],
    batch_size: int,
    tiling: Tiling | None = None,
) -> Iterator[tuple[Prediction, ...]]:
    """What each of the models sees in each picture, which is decoded once for all of them.

    Holds a few batches in memory, however many pictures there are. A single picture is looked at in this thread.

    Args:
        models: What looks.
        pictures: Read as the predictions are asked for, in the thread that asks.
        score_thresholds: The lowest score of each model's boxes.
        batch_size: Images that go through a model together.
        tiling: How images that are much larger than a model's square are looked at piece by piece; ``None`` never.

    Yields:
        One prediction a model for each picture, in the order of the pictures; a bad picture gives one with an error.
    """
    pairs = zip(models, score_thresholds, strict=True)
    looks = [_Look(model, threshold, batch_size, tiling) for model, threshold in pairs]
    remaining = iter(pictures)
    first = list(islice(remaining, 2))
    if len(first) < 2:
        for picture in first:
            yield from _at(looks, [_complete(_open(picture, looks), looks)])
        return
    cores = len(os.sched_getaffinity(0))
    with _threads(cores, "decode") as decoding, _threads(cores, "network") as computing:
        begun: deque[Future[list[tuple[Prediction, ...]]]] = deque()
        for window in _windows(_opened(chain(first, remaining), looks, batch_size, decoding), batch_size):
            # A network alone does not keep all cores busy: it has parts that only one of them can do.
            begun.append(computing.submit(_at, looks, window))
            while begun and (len(begun) >= cores or _is_large(window[-1])):
                yield from begun.popleft().result()
        while begun:
            yield from begun.popleft().result()


@contextmanager
def _threads(count: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads that end with the block, without the work that was not begun."""
    threads = ThreadPoolExecutor(count, name)
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def _windows(opened: Iterable[_Seen], batch_size: int) -> Iterator[list[_Seen]]:
    """Batches of pictures; one that fills the memory ends its batch."""
    window: list[_Seen] = []
    for seen in opened:
        window.append(seen)
        if len(window) == batch_size or _is_large(seen):
            yield window
            window = []
    if window:
        yield window


def _at(looks: Sequence[_Look], window: Sequence[_Seen]) -> list[tuple[Prediction, ...]]:
    return list(zip(*(look.at(window) for look in looks), strict=True))


class _Look:
    """One model's part in a run."""

    def __init__(self, model: Model, threshold: float, batch_size: int, tiling: Tiling | None) -> None:
        self.size = model.size
        self._model = model
        self._threshold = threshold
        self._batch_size = batch_size
        self._tiling = tiling if model.tileable and model.size else None

    def tiles(self, width: int, height: int) -> list[Tile]:
        """The pieces in which an image is looked at beside the whole; none for most images."""
        return tiles_of(width, height, self.size, self._tiling) if self._tiling and self.size else []

    def at(self, window: Sequence[_Seen]) -> list[Prediction]:
        """What it sees in decoded pictures, and in those that are too large to be decoded ahead."""
        answers: dict[int, Answer] = {}
        shapes: dict[tuple[int, ...], list[int]] = {}
        for row, seen in enumerate(window):
            if not seen.error:
                shapes.setdefault(seen.squares[self.size].shape, []).append(row)
        for rows in shapes.values():
            images = (window[row].squares[self.size] for row in rows)
            sizes = [(window[row].width, window[row].height) for row in rows]
            answers |= zip(rows, self._answers(images, sizes), strict=True)
        return [self._prediction(seen, answers.get(row)) for row, seen in enumerate(window)]

    def _answers(self, images: Iterable[NDArray[np.uint8]], sizes: Sequence[tuple[int, int]]) -> Iterator[Answer]:
        remaining = iter(images)
        for start in range(0, len(sizes), self._batch_size):
            part = sizes[start : start + self._batch_size]
            yield from self._model.answer(np.stack(list(islice(remaining, len(part)))), part, self._threshold)

    def _prediction(self, seen: _Seen, answer: Answer | None) -> Prediction:
        picture, width, height = seen.picture, seen.width, seen.height
        if answer is None:
            return Prediction(picture.key, width, height, error=seen.error)
        if self.size and None in seen.squares and (tiles := self.tiles(width, height)):
            answer = self._piecewise(seen.squares[None], tiles, answer)
        return Prediction(picture.key, width, height, answer.boxes, answer.annotations)

    def _piecewise(self, image: NDArray[np.uint8], tiles: Sequence[Tile], whole: Answer) -> Answer:
        size = self.size or 0
        pieces = (stretch(tile.cut(image)[None], size)[0] for tile in tiles)
        answers = self._answers(pieces, [(tile.width, tile.height) for tile in tiles])
        found = [(tile, answer.boxes) for tile, answer in zip(tiles, answers, strict=True)]
        height, width = image.shape[:2]
        return Answer(merged(whole.boxes, found, width, height), whole.annotations)


def _is_large(seen: _Seen) -> bool:
    """Whether all its pixels are in memory, and many."""
    return None in seen.squares and seen.width * seen.height > _PIXELS_AHEAD


def _opened(
    pictures: Iterable[Picture], looks: Sequence[_Look], batch_size: int, threads: ThreadPoolExecutor
) -> Iterator[_Seen]:
    """The pictures with their pixels, a few of them ahead of who asks, in order."""
    ahead: deque[Future[_Seen]] = deque()
    for picture in pictures:
        ahead.append(threads.submit(_open, picture, looks))
        if len(ahead) > _BATCHES_AHEAD * batch_size:
            yield _complete(ahead.popleft().result(), looks)
    while ahead:
        yield _complete(ahead.popleft().result(), looks)


def _open(picture: Picture, looks: Sequence[_Look]) -> _Seen:
    """Read the header, so that nothing huge or foreign reaches the decoder, and decode what fits."""
    try:
        stored_width, stored_height, turn = header(picture.source, name=picture.key)
    except ImageRejected as error:
        return _Seen(picture, 0, 0, 1, {}, str(error))
    width, height = upright_size(stored_width, stored_height, turn)
    seen = _Seen(picture, width, height, turn, {})
    whole = any(look.size is None or look.tiles(width, height) for look in looks)
    return seen if whole and width * height > _PIXELS_AHEAD else _decoded(seen, looks, whole)


def _complete(seen: _Seen, looks: Sequence[_Look]) -> _Seen:
    """The same with its pixels, if it was left for later."""
    return seen if seen.squares or seen.error else _decoded(seen, looks, whole=True)


def _decoded(seen: _Seen, looks: Sequence[_Look], whole: bool) -> _Seen:
    key, turn = seen.picture.key, seen.turn
    sizes = sorted({look.size for look in looks if look.size is not None})
    try:
        content = _content(seen.picture)
        squares = readable(lambda content: _squares(content, turn, sizes, whole), content, name=key)
    except ImageRejected as error:
        return seen._replace(error=str(error))
    return seen._replace(squares=squares)


def _squares(content: bytes, turn: int, sizes: Sequence[int], whole: bool) -> Squares:
    squares: Squares = {None: decode_whole(content, turn)} if whole else {}
    return squares | dict(zip(sizes, decode_squares(content, turn, sizes), strict=True)) if sizes else squares


def _content(picture: Picture) -> bytes:
    """The bytes of a file.

    Raises:
        ImageRejected: It cannot be read, or there are too many.
    """
    source = picture.source
    if isinstance(source, bytes):
        return source
    try:
        return _read(source, picture.key)
    except OSError as error:
        raise ImageRejected(
            f"The image {picture.key} cannot be read ({error.strerror}).", cure="Restore or remove the file."
        ) from error


def _read(path: Path, name: str) -> bytes:
    with path.open("rb") as file:
        if (size := os.fstat(file.fileno()).st_size) > _MAX_BYTES:
            raise ImageRejected(
                f"The file of the image {name} has {size:,} bytes, the limit is {_MAX_BYTES:,}.",
                cure="Scale the image down or remove it.",
            )
        return file.read(_MAX_BYTES)
