"""The columns of a snapshot: how images and annotations lie in Arrow, and what its id is made of.

Imports pyarrow; only what makes or reads snapshots imports this, and only when it does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from diffgram_flows.models import Annotation, AnnotationType, LabelMap, Split

# The place in these tuples is what the id is made of: append, never reorder.
TYPES: tuple[AnnotationType, ...] = get_args(AnnotationType)
SPLITS: tuple[Split, ...] = get_args(Split)
_TYPE_CODES = {name: code for code, name in enumerate(TYPES)}
_SPLIT_CODES = {name: code for code, name in enumerate(SPLITS)}

INSTANCES = pa.schema(
    [
        pa.field("file_id", pa.int64(), nullable=False),
        pa.field("type", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("label_file_id", pa.int64(), nullable=False),
        pa.field("points", pa.list_(pa.int32()), nullable=False),
        pa.field("attributes", pa.map_(pa.int64(), pa.string()), nullable=False),
    ]
)
IMAGES = pa.schema(
    [
        pa.field("file_id", pa.int64(), nullable=False),
        pa.field("file_name", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("phash", pa.uint64()),
        pa.field("modified", pa.float64()),
        pa.field("group", pa.string(), nullable=False),
        pa.field("split", pa.dictionary(pa.int8(), pa.string()), nullable=False),
        pa.field("annotations", pa.int32(), nullable=False),
    ]
)
# What is looked up (where the image lies) or computed from the image (phash) says nothing new about the content.
_NOT_CONTENT = {"path", "phash"}


def instance_batch(annotations: Sequence[Annotation], file_ids: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Annotations, each of the file at its place in ``file_ids``, as rows of :data:`INSTANCES`."""
    count = len(annotations)
    types, label_ids, drawn, attributes, _ = zip(*annotations, strict=True) if count else ((), (), (), (), ())
    codes = np.fromiter(map(_TYPE_CODES.__getitem__, types), np.int8, count)
    labels = np.array(label_ids, np.int64)
    lengths = np.fromiter(map(len, drawn), np.int64, count)
    points = np.fromiter(chain.from_iterable(chain.from_iterable(drawn)), np.int32, 2 * int(lengths.sum()))
    columns = [
        pa.array(file_ids),
        coded(codes, TYPES),
        pa.array(labels),
        pa.ListArray.from_arrays(_offsets(2 * lengths), pa.array(points)),
        _attributes(attributes),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=INSTANCES)


def image_batch(columns: Mapping[str, Sequence[Any]]) -> pa.RecordBatch:
    """Columns of :data:`IMAGES` by name; ``split`` as names."""
    arrays = []
    for field in IMAGES:
        values = columns[field.name]
        if field.name == "split":
            arrays.append(coded(np.array([_SPLIT_CODES[one] for one in values], np.int8), SPLITS))
        elif field.type == pa.string():
            arrays.append(pa.array(map(_text, values), pa.string()))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=IMAGES)


def coded(codes: npt.NDArray[np.int8], names: Sequence[str]) -> pa.DictionaryArray:
    """Places in ``names`` as a column of these names."""
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names, pa.string()))


def codes_of(column: Any, names: Sequence[str]) -> npt.NDArray[np.int8]:
    """The place of every value in ``names``, whatever dictionary the column came with."""
    column = _whole(column)
    place = {name: code for code, name in enumerate(names)}
    translation = np.array([place[name] for name in column.dictionary.to_pylist()] or [0], np.int8)
    return cast(npt.NDArray[np.int8], translation[column.indices.to_numpy(zero_copy_only=False)])


class ContentDigest:
    """The SHA-256 of what rows say, in their order, whatever their number in a batch and however they are stored.

    Each column has a hash of its own, fed with the plain values: whole numbers as 8 bytes, little-endian, texts as
    UTF-8 after their lengths, lists as their lengths and their values. Parquet's bytes change with its library.
    """

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}
        self.add("images", IMAGES.empty_table())  # a column without a row counts, too
        self.add("instances", INSTANCES.empty_table())

    def add(self, kind: str, rows: Any) -> None:
        """Feed rows (a batch or a table) of a kind: images or instances."""
        for name in rows.schema.names:
            if name not in _NOT_CONTENT:
                self._column(f"{kind}.{name}", _whole(rows.column(name)))

    def snapshot_id(self, label_map: LabelMap) -> str:
        """The id of a snapshot of these rows and this label map: 16 hex digits."""
        hashes = {name: one.hexdigest() for name, one in self._hashes.items()}
        content = json.dumps([hashes, label_map.digest], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def _column(self, name: str, column: Any) -> None:
        kind = column.type
        if pa.types.is_dictionary(kind):
            self._feed(name, codes_of(column, SPLITS if name.endswith("split") else TYPES))
        elif pa.types.is_map(kind):
            self._feed(f"{name}.length", _map_lengths(column))
            self._column(f"{name}.key", column.keys)
            self._column(f"{name}.value", column.items)
        elif pa.types.is_list(kind):
            self._feed(f"{name}.length", pc.list_value_length(column).to_numpy(zero_copy_only=False))
            self._column(f"{name}.value", pc.list_flatten(column))
        elif pa.types.is_string(kind):
            self._texts(name, column)
        elif pa.types.is_floating(kind):
            self._hash(name).update(column.to_numpy(zero_copy_only=False).astype("<f8").tobytes())
        else:
            self._feed(name, column.to_numpy(zero_copy_only=False))

    def _texts(self, name: str, column: Any) -> None:
        """Feed texts from where they lie: one after the other, from the first one's start to the last one's end."""
        self._feed(f"{name}.length", pc.binary_length(column).to_numpy(zero_copy_only=False))
        _, ends, text = column.buffers()
        if len(column) and text is not None:
            first, last = np.frombuffer(ends, np.int32)[[column.offset, column.offset + len(column)]].tolist()
            self._hash(f"{name}.text").update(memoryview(text)[first:last])
        else:
            self._hash(f"{name}.text")

    def _feed(self, name: str, numbers: npt.NDArray[Any]) -> None:
        self._hash(name).update(numbers.astype("<i8").tobytes())

    def _hash(self, name: str) -> Any:
        if name not in self._hashes:
            self._hashes[name] = hashlib.sha256()
        return self._hashes[name]


def attribute_pairs(column: Any) -> Callable[[int], tuple[tuple[int, str], ...]]:
    """What gives the attributes of a row; most columns have none at all."""
    column = _whole(column)
    lengths = _map_lengths(column)
    if not lengths.any():
        return lambda row: ()
    pairs = list(zip(column.keys.to_pylist(), column.items.to_pylist(), strict=True))
    ends = np.cumsum(lengths).tolist()
    return lambda row: tuple(pairs[ends[row - 1] if row else 0 : ends[row]])


def _attributes(attributes: Sequence[tuple[tuple[int, str], ...]]) -> pa.MapArray:
    lengths = np.fromiter(map(len, attributes), np.int64, len(attributes))
    pairs = list(chain.from_iterable(attributes))
    keys = pa.array([group for group, _ in pairs], pa.int64())
    return pa.MapArray.from_arrays(_offsets(lengths), keys, pa.array([_text(value) for _, value in pairs], pa.string()))


def _offsets(lengths: npt.NDArray[np.int64]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))


def _map_lengths(column: Any) -> npt.NDArray[np.int64]:
    return cast(npt.NDArray[np.int64], np.diff(column.offsets.to_numpy()))


def _whole(column: Any) -> Any:
    """One array of a column that may lie in pieces."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _text(value: str) -> str:
    """Text that UTF-8 can hold: JSON may contain half a surrogate pair."""
    return value if value.isascii() else value.encode(errors="replace").decode()
