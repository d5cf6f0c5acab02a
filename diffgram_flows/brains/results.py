"""What a brain saw, on disk: one JSON line an image, in files that are there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple
from pathlib import Path

import orjson

from diffgram_flows.disk import write_file
from diffgram_flows.models import Box, Prediction


def write_predictions(path: Path, predictions: Iterable[Prediction], *, brain: str, label_map_digest: str) -> None:
    """Write predictions to ``path``; a file of that name is replaced."""
    lines = [
        orjson.dumps(_line(seen, brain, label_map_digest), option=orjson.OPT_APPEND_NEWLINE) for seen in predictions
    ]
    write_file(path, b"".join(lines))


def read_predictions(folder: Path) -> Iterator[Prediction]:
    """Every prediction in a folder's files, in order of file name."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for line in file:
                row = orjson.loads(line)
                boxes = tuple(Box(*values) for values in row["boxes"])
                yield Prediction(row["key"], row["width"], row["height"], boxes, error=row["error"])


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
