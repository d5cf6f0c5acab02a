"""Which inventory is the newest, of which files it consists, and those files on this machine, checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from diffgram_flows.errors import ConfigurationError, ObjectNotFound, StorageError
from diffgram_flows.models import StoredObject
from diffgram_flows.storage.base import ObjectStore

CHUNK = 8 * 2**20
"""Bytes of an inventory's file that are read at a time."""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d[-:]\d\d")


@dataclass(frozen=True, slots=True)
class InventoryFile:
    """A data file of an inventory.

    Attributes:
        key: As the manifest names it.
        places: Keys under which it may lie in the store that is read.
        md5: Of its bytes, in hexadecimal, empty where the manifest does not tell.
    """

    key: str
    places: tuple[str, ...]
    md5: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an inventory consists of.

    Attributes:
        uri: Of the manifest.
        time: When it was made, as its name says.
        format: ``csv``, ``parquet`` or ``orc``.
        columns: Of CSV files without a header.
        encoded: Whether keys are URL-encoded.
        delimiter: Between the fields of CSV.
        records: How many rows there must be, if it is told.
        files: In no order.
    """

    uri: str
    time: str
    format: str
    columns: tuple[str, ...]
    encoded: bool
    delimiter: str
    records: int | None
    files: tuple[InventoryFile, ...]

    def check_count(self, read: int) -> None:
        """Make sure that all rows were read.

        Raises:
            StorageError: There are more or less than the manifest says.
        """
        if self.records is not None and read != self.records:
            raise StorageError(f"{self.uri} speaks of {self.records} objects, but {read} are listed.", cure=_AGAIN)


_AGAIN = "Wait for the next inventory, or list the bucket itself."


def newest_manifest(shelf: ObjectStore, folder: str, bucket: str) -> Manifest:
    """The newest complete inventory of a bucket.

    Args:
        shelf: Where inventories lie.
        folder: Where in it; or the key of a manifest.
        bucket: Root URI of the bucket that it must be of.

    Raises:
        ConfigurationError: There is none, or none of this bucket.
        StorageError: It is not what its checksum says, or the store cannot be read.
    """
    found = [obj for obj in shelf.iter_objects(folder) if obj.key.endswith(("/manifest.json", "_manifest.json"))]
    others = set()
    for obj in sorted(found, key=lambda obj: _time(obj.key), reverse=True):
        content = shelf.read(obj)
        if obj.key.endswith("/manifest.json") and not _complete(shelf, obj, content):
            continue
        told = _parsed(obj, content)
        source = told.get("sourceBucket")
        if source is None or source == bucket.rpartition("/")[2]:
            return _from_amazon(obj, told) if "files" in told else _from_google(obj, told)
        others.add(source)
    where = f"{shelf.bucket}/{folder}"
    if others:
        raise ConfigurationError(
            f"The inventories in {where} are of {', '.join(sorted(others))}, not of {bucket}.",
            cure="Name the folder of this bucket's inventory, or that bucket.",
        )
    raise ConfigurationError(
        f"There is no complete inventory in {where}.",
        cure="Name the folder in which its manifests are; the first one is made a day or two after it was set up.",
    )


def download(shelf: ObjectStore, file: InventoryFile, path: Path) -> None:
    """Fetch a data file, never more than a chunk of it in memory.

    Raises:
        StorageError: It is missing, or not what the manifest says.
    """
    obj = next((found for place in file.places if (found := _find(shelf, place))), None)
    if obj is None:
        raise ObjectNotFound(f"The inventory's file {shelf.bucket}/{file.places[0]} does not exist.", cure=_AGAIN)
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as out:
        for start in range(0, obj.size, CHUNK):
            chunk = shelf.read(obj, start=start, length=CHUNK)
            digest.update(chunk)
            out.write(chunk)
    if file.md5 and digest.hexdigest() != file.md5.lower():
        raise StorageError(f"The inventory's file {obj.uri} is not what its manifest says.", cure=_AGAIN)


def _find(shelf: ObjectStore, key: str) -> StoredObject | None:
    found = next(iter(shelf.iter_objects(key, until=key)), None)
    return found if found and found.key == key else None


def _time(key: str) -> str:
    """The last time in a key, in a form that can be compared."""
    times = _TIME.findall(key)
    return times[-1].replace(":", "-") if times else ""


def _complete(shelf: ObjectStore, obj: StoredObject, content: bytes) -> bool:
    """Whether the checksum is there, which Amazon writes last.

    Raises:
        StorageError: It is another manifest's.
    """
    told = _find(shelf, obj.key.removesuffix("json") + "checksum")
    if told is None:
        return False
    wanted = shelf.read(told).decode(errors="replace").strip().lower()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != wanted:
        raise StorageError(f"{obj.uri} is not what its checksum says.", cure=_AGAIN)
    return True


def _parsed(obj: StoredObject, content: bytes) -> Mapping[str, Any]:
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise StorageError(f"{obj.uri} is no JSON.", cure=_AGAIN) from error
    if not isinstance(told, dict) or not ("files" in told or "report_shards_file_names" in told):
        raise StorageError(f"{obj.uri} is no manifest of an inventory.", cure="Name the folder of the inventory.")
    return told


def _from_amazon(obj: StoredObject, told: Mapping[str, Any]) -> Manifest:
    config = obj.key.rpartition("/")[0].rpartition("/")[0]  # a copy may lie elsewhere than the manifest says
    copy = f"{config}/data/" if config else "data/"
    schema = str(told.get("fileSchema", ""))
    file_format = str(told.get("fileFormat", "CSV")).lower()
    return Manifest(
        uri=obj.uri,
        time=_time(obj.key),
        format=file_format,
        columns=tuple(name.strip() for name in schema.split(",")) if file_format == "csv" else (),
        encoded=file_format == "csv",
        delimiter=",",
        records=None,
        files=tuple(
            InventoryFile(
                file["key"], (file["key"], copy + file["key"].rpartition("/")[2]), file.get("MD5checksum", "")
            )
            for file in told["files"]
        ),
    )


def _from_google(obj: StoredObject, told: Mapping[str, Any]) -> Manifest:
    names = told["report_shards_file_names"]
    folder = obj.key.rpartition("/")[0]
    here = f"{folder}/" if folder else ""
    config = told.get("report_config", {})
    options = _either(config, "csv_options", "csvOptions")
    report = _either(config, "object_metadata_report_options", "objectMetadataReportOptions")
    fields = _either(report, "metadata_fields", "metadataFields")
    records = told.get("records_processed")
    return Manifest(
        uri=obj.uri,
        time=str(told.get("snapshot_time", _time(obj.key))),
        format="parquet" if names and names[0].endswith(".parquet") else "csv",
        columns=tuple(fields),
        encoded=False,
        delimiter=_either(options, "delimiter") or ",",
        records=None if records is None else int(records),
        files=tuple(InventoryFile(name, (here + name, name)) for name in names),
    )


def _either(told: Any, *names: str) -> Any:
    """The value under the first of the names that is there; Google writes JSON in both spellings."""
    return next((told[name] for name in names if isinstance(told, dict) and name in told), {})
