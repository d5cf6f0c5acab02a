"""Samples as squares of pixels: decoded once, kept in a file that a training which is taken up again finds there."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.tensorflow.pixels import decode_squares, readable
from diffgram_flows.disk import write_file
from diffgram_flows.errors import ImageRejected, NotEnoughData
from diffgram_flows.images import header
from diffgram_flows.models import Failure, Sample, Snapshot

_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Decoded:
    """Images that can be decoded.

    Attributes:
        images: ``[N, S, S, 3]`` uint8, upright RGB stretched to the square; a file on disk that is read where needed.
        samples: Those in the images, in their order.
        skipped: Those that cannot be decoded, and why.
    """

    images: NDArray[np.uint8]
    samples: tuple[Sample, ...]
    skipped: tuple[Failure, ...]


def decode_for_training(snapshot: Snapshot, size: int, folder: Path) -> tuple[Decoded, Decoded]:
    """The ``train`` and the ``val`` images of a snapshot, as of :func:`decode_samples`.

    Raises:
        NotEnoughData: None of the training images can be decoded.
    """
    train = decode_samples(snapshot.split("train"), size, folder / "train")
    if not train.samples:
        raise NotEnoughData(
            f"None of the {len(train.skipped)} training images of the snapshot {snapshot.id} can be decoded: "
            f"{train.skipped[0].reason}",
            cure="Look at the listed images.",
        )
    return train, decode_samples(snapshot.split("val"), size, folder / "val")


def decode_samples(samples: Sequence[Sample], size: int, cache: Path) -> Decoded:
    """Decode samples into squares, or find them decoded.

    Args:
        samples: Which; always the same ones for one cache.
        size: Side of the square in pixels.
        cache: What the names of the two cache files begin with.
    """
    index, pixels = cache.with_suffix(".json"), cache.with_suffix(".pixels")
    found = _read_index(index, pixels, size)
    if found is None:
        cache.parent.mkdir(parents=True, exist_ok=True)
        found = _decode(samples, size, pixels)
        rows, skipped = found
        # Written last: it says that the pixels are complete.
        write_file(index, json.dumps({"rows": rows, "skipped": [asdict(failure) for failure in skipped]}).encode())
    rows, skipped = found
    shape = (len(rows), size, size, 3)
    images = np.memmap(pixels, np.uint8, "r", shape=shape) if rows else np.zeros(shape, np.uint8)
    return Decoded(images, tuple(samples[row] for row in rows), tuple(skipped))


def _read_index(index: Path, pixels: Path, size: int) -> tuple[list[int], list[Failure]] | None:
    try:
        value = json.loads(index.read_bytes())
        rows = [int(row) for row in value["rows"]]
        complete = pixels.stat().st_size == len(rows) * size * size * 3
        return (rows, [Failure(**failure) for failure in value["skipped"]]) if complete else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _decode(samples: Sequence[Sample], size: int, pixels: Path) -> tuple[list[int], list[Failure]]:
    """Write the pixels of all samples that have some; the rows of these samples, and the others."""
    rows: list[int] = []
    skipped: list[Failure] = []
    # Not through a memory map: a full disk would end the process instead of raising.
    with pixels.open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
        for first in range(0, len(samples), _AT_ONCE):
            some = samples[first : first + _AT_ONCE]
            for row, square in enumerate(pool.map(partial(_square, size=size), some), first):
                if isinstance(square, Failure):
                    skipped.append(square)
                else:
                    file.write(square.tobytes())
                    rows.append(row)
        file.flush()
        os.fsync(file.fileno())
    return rows, skipped


def _square(sample: Sample, size: int) -> NDArray[np.uint8] | Failure:
    try:
        turn = header(sample.path, name=sample.file_name)[2]
        content = sample.path.read_bytes()
        return readable(lambda content: decode_squares(content, turn, [size]), content, name=sample.file_name)[0]
    except ImageRejected as error:
        return Failure(sample.file_name, str(error))
