"""``tf.train.Example`` and the framing of TFRecord files, without TensorFlow.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these, the content, and the content's masked
CRC-32C. An Example is a protocol buffer: a map from names to lists of bytes, floats or whole numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

import google_crc32c

from diffgram_flows.errors import DatasetError

Values: TypeAlias = Sequence[bytes] | Sequence[float] | Sequence[int]
MAX_RECORD = 1024**3  # bytes; a length beyond it is a damaged file
_BYTES, _FLOATS, _INTEGERS = 1, 2, 3  # the fields of a Feature
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types


def write_record(file: IO[bytes], content: bytes) -> None:
    """Append one record."""
    length = struct.pack("<Q", len(content))
    file.write(length + struct.pack("<I", _masked_crc(length)))
    file.write(content + struct.pack("<I", _masked_crc(content)))


def read_records(path: Path) -> Iterator[bytes]:
    """The records of a file, one after the other.

    Raises:
        DatasetError: It cannot be read, is cut short or damaged; the message names the record.
    """
    try:
        with path.open("rb") as file:
            number = 0
            while header := file.read(12):
                yield _record(file, header, f"record {number} of {path}")
                number += 1
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}.", cure="Check the path.") from error


def encode(features: Mapping[str, Values]) -> bytes:
    """An Example of these features, in order of their names. Lists of floats must hold floats only."""
    entries = []
    for name in sorted(features):
        entry = _field(1, name.encode()) + _field(2, _feature(features[name]))
        entries.append(_field(1, entry))
    return _field(1, b"".join(entries))


def decode(content: bytes, place: str) -> dict[str, list[Any]]:
    """The features of an Example, by name.

    Raises:
        DatasetError: It is none; ``place`` says which.
    """
    try:
        found: dict[str, list[Any]] = {}
        for _, features in _fields(memoryview(content)):
            for _, entry in _fields(features):
                parts = dict(_fields(entry))
                found[bytes(parts[1]).decode()] = _values(parts.get(2, memoryview(b"")))
        return found
    except (IndexError, KeyError, TypeError, ValueError, struct.error) as error:
        raise DatasetError(f"{place} is no tf.train.Example.", cure="Write the file again.") from error


def _record(file: IO[bytes], header: bytes, place: str) -> bytes:
    intact = len(header) == 12 and _masked_crc(header[:8]) == int.from_bytes(header[8:], "little")
    length = int.from_bytes(header[:8], "little")
    if intact and length <= MAX_RECORD:
        content, check = file.read(length), file.read(4)
        if len(content) == length and int.from_bytes(check, "little") == _masked_crc(content) and len(check) == 4:
            return content
    raise DatasetError(f"{place} is cut short or damaged.", cure="Copy or write the file again.")


def _masked_crc(content: bytes) -> int:
    crc: int = google_crc32c.value(content)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _feature(values: Values) -> bytes:
    if not values:
        return b""  # of no type, so that it is missing, and not of a wrong one
    first = values[0]
    if isinstance(first, bytes):
        return _field(_BYTES, b"".join(_field(1, bytes(value)) for value in values))  # type: ignore[arg-type]
    if isinstance(first, float):
        return _field(_FLOATS, _field(1, struct.pack(f"<{len(values)}f", *values)))
    return _field(_INTEGERS, _field(1, b"".join(_varint(int(value) & (2**64 - 1)) for value in values)))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _values(feature: memoryview) -> list[Any]:
    values: list[Any] = []
    for kind, content in _fields(feature):
        for _, value in _fields(content):
            values += _unpacked(kind, value)
    return values


def _unpacked(kind: int, value: memoryview | int) -> list[Any]:
    """The values in one field of a list: one, or many that are packed."""
    if kind == _BYTES:
        return [bytes(value)] if isinstance(value, memoryview) else []
    if isinstance(value, int):  # not packed, which is allowed
        return list(struct.unpack("<f", value.to_bytes(4, "little"))) if kind == _FLOATS else [_signed(value)]
    if kind == _FLOATS:
        return list(struct.unpack(f"<{len(value) // 4}f", value))
    numbers, place = [], 0
    while place < len(value):
        number, place = _read_varint(value, place)
        numbers.append(_signed(number))
    return numbers


def _fields(content: memoryview | int) -> Iterator[tuple[int, Any]]:
    """The fields of a message: number, and a slice of it or a number.

    Raises:
        ValueError, IndexError, TypeError: It is none.
    """
    if isinstance(content, int):
        raise TypeError("a number in place of a message")
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        wire = key & 7
        if wire == _VARINT:
            value, place = _read_varint(content, place)
            yield key >> 3, value
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(wire, -1)
        if wire == _LENGTH:
            size, place = _read_varint(content, place)
        if size < 0 or place + size > len(content):
            raise ValueError("a field beyond the end")
        part = content[place : place + size]
        yield key >> 3, part if wire == _LENGTH else int.from_bytes(part, "little")
        place += size


def _read_varint(content: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value
