"""The rows of an inventory's data files: CSV, Parquet and ORC. Imports pyarrow where it is needed."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote_plus

from diffgram_flows.errors import ConfigurationError, StorageError
from diffgram_flows.storage.inventory_manifest import Manifest
from diffgram_flows.storage.sorting import Row

_KEY, _SIZE, _VERSION = ("key", "name"), ("size",), ("generation", "etag")
_MODIFIED, _CLASS = ("lastmodifieddate", "updated"), ("storageclass",)
_LATEST, _MARKER, _TIER, _BUCKET = ("islatest",), ("isdeletemarker",), ("intelligenttieringaccesstier",), ("bucket",)
_DELETED = ("timedeleted",)
_ALL = {*_KEY, *_SIZE, *_VERSION, *_MODIFIED, *_CLASS, *_LATEST, *_MARKER, *_TIER, *_BUCKET, *_DELETED}
_BATCH = 10_000


def read_rows(path: Path, key: str, manifest: Manifest, bucket: str) -> Iterator[Row | None]:
    """The rows of a data file; ``None`` for what is no object any more: old versions and delete markers.

    Args:
        path: The file on this machine.
        key: Its name in the inventory, for errors.
        manifest: How to read it.
        bucket: Root URI of the bucket that every row must be of.

    Raises:
        ConfigurationError: The inventory lacks a field or is of another bucket.
        StorageError: The file is broken.
    """
    name = bucket.rpartition("/")[2]
    readers = {"csv": _csv, "parquet": _parquet, "orc": _orc}
    if manifest.format not in readers:
        raise StorageError(f"{manifest.uri} is in the format {manifest.format!r}.", cure="Use CSV, Parquet or ORC.")
    try:
        for fields in readers[manifest.format](path, manifest):
            yield _row(fields, manifest, name)
    except (ValueError, EOFError, OSError, csv.Error, UnicodeDecodeError) as error:  # pyarrow's are ValueErrors
        raise StorageError(
            f"The inventory's file {key} cannot be read ({type(error).__name__}).",
            cure="Wait for the next inventory, or list the bucket itself.",
        ) from error


def _row(fields: Mapping[str, Any], manifest: Manifest, name: str) -> Row | None:
    bucket = _field(fields, _BUCKET)
    if bucket and bucket != name:
        raise ConfigurationError(f"{manifest.uri} is an inventory of {bucket}, not of {name}.", cure="Name its own.")
    if _is(fields, _LATEST, "false") or _is(fields, _MARKER, "true") or _field(fields, _DELETED):
        return None
    key, size, version = _field(fields, _KEY), _field(fields, _SIZE), _field(fields, _VERSION)
    if key is None or size is None or version is None:
        raise ConfigurationError(
            f"{manifest.uri} lacks a field: it needs the key, the size, and the ETag (S3) or generation (Google).",
            cure="Add them to the inventory's configuration; add storage class and time of change as well.",
        )
    return (
        unquote_plus(key) if manifest.encoded else str(key),
        int(size),
        str(version).strip('"'),
        _time(_field(fields, _MODIFIED)),
        str(_field(fields, _TIER) or _field(fields, _CLASS) or ""),
    )


def _field(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of the fields that is there and not empty."""
    return next((fields[name] for name in names if fields.get(name) not in (None, "")), None)


def _is(fields: Mapping[str, Any], names: Sequence[str], value: str) -> bool:
    return str(_field(fields, names)).lower() == value


def _time(value: Any) -> datetime | None:
    if not value:
        return None
    time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _plain(name: str) -> str:
    """One spelling of ``LastModifiedDate`` and ``last_modified_date``."""
    return name.strip().replace("_", "").lower()


def _csv(path: Path, manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    columns = [_plain(name) for name in manifest.columns]
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with ExitStack() as files:
        raw = files.enter_context(path.open("rb"))
        plain = files.enter_context(gzip.GzipFile(fileobj=raw)) if packed else raw
        text = files.enter_context(io.TextIOWrapper(cast(BinaryIO, plain), encoding="utf-8", newline=""))
        for number, values in enumerate(csv.reader(text, delimiter=manifest.delimiter)):
            names = [_plain(value) for value in values]
            if number == 0 and "size" in names and ("name" in names or "key" in names):
                columns = names  # a header, and no object
            elif values and len(values) < len(columns):
                raise ValueError("a line is cut off")
            elif values:
                yield dict(zip(columns, values, strict=False))


def _parquet(path: Path, manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        columns = {name: _plain(name) for name in file.schema_arrow.names if _plain(name) in _ALL}
        for batch in file.iter_batches(_BATCH, columns=list(columns)):
            yield from _named(batch.to_pylist(), columns)


def _orc(path: Path, manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    from pyarrow import orc

    with path.open("rb") as source:
        file = orc.ORCFile(cast(BinaryIO, source))
        columns = {name: _plain(name) for name in file.schema.names if _plain(name) in _ALL}
        for stripe in range(file.nstripes):
            for batch in _slices(file.read_stripe(stripe, columns=list(columns))):
                yield from _named(batch.to_pylist(), columns)


def _slices(batch: Any) -> Iterator[Any]:
    for start in range(0, batch.num_rows, _BATCH):
        yield batch.slice(start, _BATCH)


def _named(rows: list[dict[str, Any]], columns: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        yield {columns[name]: value for name, value in row.items()}
