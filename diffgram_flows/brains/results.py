"""What a brain saw, on disk: one JSON line an image, in files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import astuple
from pathlib import Path

import orjson

from diffgram_flows.models import Box, Prediction


def write_predictions(path: Path, predictions: Iterable[Prediction], *, brain: str, label_map_digest: str) -> int:
    """Write predictions to ``path``, replacing it in one step; how many there were."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    count = 0
    with half.open("wb") as file:
        for prediction in predictions:
            count += 1
            file.write(orjson.dumps(_line(prediction, brain, label_map_digest), option=orjson.OPT_APPEND_NEWLINE))
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    return count


def read_predictions(folder: Path) -> Iterator[Prediction]:
    """Every prediction in a folder's files, in order of file name."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                row = orjson.loads(line)
                boxes = tuple(Box(*values) for values in row["boxes"])
                yield Prediction(row["key"], row["width"], row["height"], boxes, row["error"])


def _line(prediction: Prediction, brain: str, label_map_digest: str) -> dict[str, object]:
    return {
        "key": prediction.key,
        "width": prediction.width,
        "height": prediction.height,
        "boxes": [astuple(box) for box in prediction.boxes],
        "error": prediction.error,
        "brain": brain,
        "label_map": label_map_digest,
    }
