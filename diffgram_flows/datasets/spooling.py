"""Annotations on their way into a snapshot: taken in the order of the export, given back in the order of the files.

An export is sorted by its keys as texts, so file 1000 comes before file 999. What is drawn is written to disk as it
comes, uncompressed and in pieces, and read back piece by piece: at no time are all annotations in memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from diffgram_flows.datasets.columns import INSTANCES, instance_batch
from diffgram_flows.models import Annotation

ROWS = 65_536
"""Annotations in a table on their way out, about: a file's are never torn apart."""

_WAITING = 8192  # annotations that wait as Python objects, about 500 bytes each, until they are a piece on disk
_PIECES = 32  # kept in memory while they are read back: exports are mostly in order


class Spool:
    """Annotations of many files on disk. A context manager; add everything, then read once.

    Args:
        path: A file that may be written; whoever owns the folder removes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._file, INSTANCES)
        self._pieces: list[int] = []
        self._waiting: list[Annotation] = []
        self._owners: list[tuple[int, int]] = []

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._close()
            return
        with suppress(OSError, pa.ArrowException):  # the disk may be full; what is told is the first error
            self._close()

    def add(self, file_id: int, annotations: Sequence[Annotation]) -> None:
        """Take the annotations of a file."""
        self._owners.append((file_id, len(annotations)))
        self._waiting.extend(annotations)
        if len(self._waiting) >= _WAITING:
            self._flush()

    def sorted(self, counts: npt.NDArray[np.int64], order: npt.NDArray[np.int64]) -> Iterator[Any]:
        """Everything as tables of about :data:`ROWS` rows; ends the taking.

        Args:
            counts: How many annotations each file has, in the order in which they were added.
            order: The places of the files in that order, as they are wanted.
        """
        self._flush()
        self._close()
        starts = (np.cumsum(counts) - counts)[order]
        counts = counts[order]
        ends = np.cumsum(counts)
        with pa.OSFile(str(self._path), "rb") as file:
            pieces = _Pieces(pa.ipc.open_file(file), self._pieces)
            first = 0
            while first < len(order):
                done = ends[first - 1] if first else 0
                last = max(first + 1, int(np.searchsorted(ends, done + ROWS, side="right")))
                rows = _ranges(starts[first:last], counts[first:last])
                if len(rows):
                    yield pieces.take(rows)
                first = last

    def _close(self) -> None:
        if not self._file.closed:
            self._writer.close()
            self._file.close()

    def _flush(self) -> None:
        if self._waiting:
            ids, counts = zip(*self._owners, strict=True)
            self._writer.write_batch(instance_batch(self._waiting, np.repeat(np.array(ids, np.int64), counts)))
            self._pieces.append(len(self._waiting))
        self._waiting, self._owners = [], []


class _Pieces:
    """Rows of a file of batches by number, of which the batches used last stay in memory."""

    def __init__(self, reader: Any, lengths: Sequence[int]) -> None:
        self._reader = reader
        self._ends = np.cumsum(np.array(lengths, np.int64))
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def take(self, rows: npt.NDArray[np.int64]) -> Any:
        """These rows as a table, in this order."""
        home = np.searchsorted(self._ends, rows, side="right")
        parts, places = [], []
        for number in np.unique(home).tolist():
            mine = np.flatnonzero(home == number)
            start = self._ends[number - 1] if number else 0
            parts.append(self._piece(number).take(pa.array(rows[mine] - start)))
            places.append(mine)
        table = pa.Table.from_batches(parts)
        if len(parts) == 1:
            return table
        return table.combine_chunks().take(pa.array(np.argsort(np.concatenate(places))))

    def _piece(self, number: int) -> Any:
        if number in self._kept:
            self._kept.move_to_end(number)
        else:
            self._kept[number] = self._reader.get_batch(number)
            if len(self._kept) > _PIECES:
                self._kept.popitem(last=False)
        return self._kept[number]


def _ranges(starts: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers from each start on, as many as its count, one range after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(int(counts.sum()))
