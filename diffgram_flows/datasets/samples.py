"""The samples of a snapshot, read from its Parquet files when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from diffgram_flows.datasets.columns import SPLITS, TYPES, attribute_pairs, codes_of
from diffgram_flows.models import Annotation, Sample, Split

_KEPT = 2  # row groups of each file that stay in memory: whoever goes back goes back a little


class SampleSequence(Sequence[Sample]):
    """Samples in order of file id, of which only a few thousand are in memory.

    Going through it from the front reads each part of the files once; an index in the middle reads its part. Safe to
    hand to another process, not to share between threads that read at the same time.

    Args:
        images: The Parquet file of the images.
        instances: The Parquet file of their annotations.
        folder: The image cache, to which paths are relative.
        snapshot_id: What it is equal by: the same content and the same cache.
    """

    def __init__(self, images: Path, instances: Path, folder: Path, snapshot_id: str) -> None:
        self._images_path, self._instances_path = images, instances
        self._folder, self._id = folder, snapshot_id
        self._open()

    def _open(self) -> None:
        self._images = RowGroups(self._images_path)
        self._instances = RowGroups(self._instances_path)
        table = self._images.columns("split", "annotations")
        self._splits = codes_of(table.column("split"), SPLITS)
        counts = table.column("annotations").to_numpy().astype(np.int64)
        self._ends = np.cumsum(counts)

    def __reduce__(self) -> tuple[Any, ...]:
        return SampleSequence, (self._images_path, self._instances_path, self._folder, self._id)

    def __len__(self) -> int:
        return len(self._splits)

    def __iter__(self) -> Iterator[Sample]:
        return self._in_order(np.arange(len(self)))

    def split(self, name: Split) -> Iterator[Sample]:
        """The samples of one split; the annotations of the others are not looked at."""
        return self._in_order(np.flatnonzero(self._splits == SPLITS.index(name)))

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...
    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        if isinstance(index, slice):
            return tuple(self._in_order(np.arange(len(self))[index]))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return next(self._in_order(np.array([place])))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, SampleSequence) and (self._id, self._folder) == (other._id, other._folder):
            return True
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((self._id, self._folder))

    def __repr__(self) -> str:
        return f"<{len(self)} samples of snapshot {self._id}>"

    def tables(self, *, images: list[str] | None = None) -> Iterator[tuple[Any, Any]]:
        """Images and their annotations as Arrow tables, a few thousand images at a time: for whole columns at once.

        Args:
            images: Which columns of the images; all by default.
        """
        for number, (first, end) in enumerate(self._images.bounds()):
            start = int(self._ends[first - 1]) if first else 0
            yield self._images.table(number, images), self._instances.rows(start, int(self._ends[end - 1]))

    def _in_order(self, places: npt.NDArray[np.int64]) -> Iterator[Sample]:
        """The samples at these places."""
        for number, inside in self._images.parts(places):
            first = self._images.bounds()[number][0]
            row_of = self._images.decoded(number, _image_rows)
            for place in (inside + first).tolist():
                start = int(self._ends[place - 1]) if place else 0
                yield self._sample(row_of, place - first, self._annotations(start, int(self._ends[place])))

    def _sample(self, columns: dict[str, list[Any]], row: int, annotations: tuple[Annotation, ...]) -> Sample:
        return Sample(
            file_id=columns["file_id"][row],
            file_name=columns["file_name"][row],
            uri=columns["uri"][row],
            sha256=columns["sha256"][row],
            path=self._folder / columns["path"][row],
            width=columns["width"][row],
            height=columns["height"][row],
            split=columns["split"][row],
            annotations=annotations,
            modified=columns["modified"][row],
            group=columns["group"][row],
        )

    def _annotations(self, start: int, end: int) -> tuple[Annotation, ...]:
        found: tuple[Annotation, ...] = ()
        while start < end:
            number = self._instances.home(start)
            first, last = self._instances.bounds()[number]
            make = self._instances.decoded(number, _Annotations)
            found += make(start - first, min(end, last) - first)
            start = last
        return found


class RowGroups:
    """A Parquet file, of which a few row groups stay in memory."""

    def __init__(self, path: Path) -> None:
        self._file = parquet.ParquetFile(path)
        meta = self._file.metadata
        self._ends = np.cumsum([meta.row_group(number).num_rows for number in range(meta.num_row_groups)])
        ends = [int(end) for end in self._ends]
        self._bounds = list(zip([0, *ends], ends, strict=False))
        self._kept: OrderedDict[int, Any] = OrderedDict()

    def bounds(self) -> list[tuple[int, int]]:
        """First row and end of every row group."""
        return self._bounds

    def home(self, row: int) -> int:
        """Which row group a row is in."""
        return int(np.searchsorted(self._ends, row, side="right"))

    def columns(self, *names: str) -> Any:
        """Some columns as a whole."""
        return self._file.read(columns=list(names))

    def table(self, number: int, columns: list[str] | None = None) -> Any:
        """A row group, or some columns of it."""
        return self._file.read_row_group(number, columns=columns)

    def tables(self) -> Iterator[Any]:
        """All row groups, one after the other."""
        return (self.table(number) for number in range(len(self._bounds)))

    def rows(self, start: int, end: int) -> Any:
        """Rows from ``start`` on, before ``end``, as one table."""
        wanted = [number for number, (first, last) in enumerate(self._bounds) if first < end and last > start]
        if not wanted:
            return self._file.schema_arrow.empty_table()
        tables = [self._table_kept(number) for number in wanted]
        first = self._bounds[wanted[0]][0]
        return pa.concat_tables(tables).slice(start - first, end - start)

    def parts(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """Rows by their row groups, with their places in these; neighbours of one row group together."""
        homes = np.searchsorted(self._ends, rows, side="right")
        for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(homes)) + 1):
            if len(part):
                number = int(homes[part[0]])
                yield number, rows[part] - self._bounds[number][0]

    def decoded(self, number: int, decode: Any) -> Any:
        """What ``decode`` makes of a row group; kept for a while."""
        return self._keep(number, lambda: decode(self.table(number)))

    def _table_kept(self, number: int) -> Any:
        return self._keep(-1 - number, lambda: self.table(number))

    def _keep(self, key: int, make: Any) -> Any:
        if key in self._kept:
            self._kept.move_to_end(key)
        else:
            self._kept[key] = make()
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


class _Annotations:
    """The annotations of a row group, made when they are asked for."""

    def __init__(self, table: Any) -> None:
        names = list(TYPES)
        self._types = [names[code] for code in codes_of(table.column("type"), TYPES).tolist()]
        self._labels = table.column("label_file_id").to_pylist()
        points = table.column("points").combine_chunks()
        flat = points.flatten().to_numpy().tolist()
        self._points = list(zip(flat[::2], flat[1::2], strict=True))
        self._starts = ((points.offsets.to_numpy() - points.offsets[0].as_py()) // 2).tolist()
        self._attributes = attribute_pairs(table.column("attributes"))

    def __call__(self, start: int, end: int) -> tuple[Annotation, ...]:
        types, labels, points, starts, attributes = (
            self._types,
            self._labels,
            self._points,
            self._starts,
            self._attributes,
        )
        return tuple(
            [
                Annotation(types[row], labels[row], tuple(points[starts[row] : starts[row + 1]]), attributes(row))
                for row in range(start, end)
            ]
        )


def _image_rows(table: Any) -> dict[str, list[Any]]:
    return {name: table.column(name).to_pylist() for name in table.schema.names}
