"""The state of a training on disk: one file, replaced as a whole, that holds numbers and JSON and no program."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.disk import write_file

_RECORD = "record"


class Checkpoint(NamedTuple):
    """A state.

    Attributes:
        arrays: Weights, slots, averages and counters, by name.
        record: What is no array, as JSON knows it.
    """

    arrays: dict[str, NDArray[Any]]
    record: dict[str, Any]


def write_checkpoint(path: Path, arrays: Mapping[str, NDArray[Any]], record: Mapping[str, Any]) -> None:
    """Replace the state; a crash leaves the old one or the new one."""
    content = BytesIO()
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    named: dict[str, Any] = {_RECORD: text, **arrays}
    np.savez(content, **named)
    write_file(path, content.getvalue())


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The state, ``None`` where there is none or a disk has damaged it: then the training begins anew."""
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return Checkpoint(arrays, json.loads(arrays.pop(_RECORD).tobytes()))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
