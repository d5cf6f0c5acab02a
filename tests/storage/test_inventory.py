"""Inventories in the layouts that Amazon and Google write, read from a folder and from a real S3 server."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pyarrow as pa
import pytest
import requests
from pyarrow import orc, parquet
from servers.s3 import S3Server
from storage.conftest import S3Shelf

from diffgram_flows.errors import ConfigurationError, ObjectNotFound, StorageError
from diffgram_flows.models import StoredObject
from diffgram_flows.storage import StorageSettings, list_parallel, open_store, sorting

TIME = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SCHEMA = (
    "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass, "
    "IntelligentTieringAccessTier"
)
KEYS = ("2026/a b+c%20.jpg", "2026/1.jpg", "2025/z.jpg", "2026/ü/日本.jpg", '2026/q"uote,\n.jpg')
Write = Callable[[Path, list[dict[str, Any]]], Path]


def rows(keys: tuple[str, ...] = KEYS) -> list[dict[str, Any]]:
    return [row(key) for key in keys]


def row(key: str, **more: Any) -> dict[str, Any]:
    usual = {
        "bucket": "photos",
        "key": key,
        "version_id": "",
        "is_latest": True,
        "is_delete_marker": False,
        "size": 10,
        "last_modified_date": TIME,
        "e_tag": "abc",
        "storage_class": "STANDARD",
        "intelligent_tiering_access_tier": "",
    }
    return usual | more


def write_csv(path: Path, content: list[dict[str, Any]]) -> Path:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    for one in content:
        values = [quote_plus(value) if name == "key" else value for name, value in one.items()]
        writer.writerow(
            f"{value:%Y-%m-%dT%H:%M:%S.000Z}"
            if isinstance(value, datetime)
            else str(value).lower()
            if isinstance(value, bool)
            else value
            for value in values
        )
    path = path.with_suffix(".csv.gz")
    path.write_bytes(gzip.compress(out.getvalue().encode()))
    return path


def write_parquet(path: Path, content: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".parquet")
    parquet.write_table(pa.Table.from_pylist(content), path)
    return path


def write_orc(path: Path, content: list[dict[str, Any]]) -> Path:
    path = path.with_suffix(".orc")
    orc.write_table(pa.Table.from_pylist(content), path)
    return path


def amazon(root: Path, parts: list[list[dict[str, Any]]], write: Write = write_csv, day: str = "2026-11-23") -> Path:
    """An inventory as S3 writes it below ``inv/photos/daily``; gives the folder of its manifest."""
    config = root / "inv/photos/daily"
    (config / "data").mkdir(parents=True, exist_ok=True)
    files = []
    for number, part in enumerate(parts):
        path = write(config / "data" / f"{day}-{number}", part)
        md5 = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        files.append({"key": str(path.relative_to(root)), "size": path.stat().st_size, "MD5checksum": md5})
    kind = {"write_csv": "CSV", "write_parquet": "Parquet", "write_orc": "ORC"}[write.__name__]
    manifest = {
        "sourceBucket": "photos",
        "destinationBucket": "arn:aws:s3:::dest",
        "version": "2016-11-30",
        "creationTimestamp": "1763859600000",
        "fileFormat": kind,
        "fileSchema": SCHEMA if kind == "CSV" else "message s3.inventory { ... }",
        "files": files,
    }
    folder = config / f"{day}T01-00Z"
    folder.mkdir()
    content = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    (folder / "manifest.checksum").write_text(hashlib.md5(content, usedforsecurity=False).hexdigest())
    return folder


def listed(root: Path, prefix: str = "", uri: str = "s3://photos", **filters: Any) -> list[StoredObject]:
    store, _ = open_store(uri, StorageSettings(inventory=f"file://{root}"))
    with store:
        return list(store.iter_objects(prefix, **filters))


@pytest.mark.parametrize("write", [write_csv, write_parquet, write_orc])
def test_reads_what_amazon_writes(tmp_path: Path, write: Write) -> None:
    content = [
        *rows(),
        row("old.jpg", is_latest=False),
        row("deleted.jpg", is_delete_marker=True, size=0),
        row("frozen.jpg", storage_class="GLACIER"),
        row("tiered.jpg", storage_class="INTELLIGENT_TIERING", intelligent_tiering_access_tier="DEEP_ARCHIVE_ACCESS"),
    ]
    amazon(tmp_path, [content[:4], content[4:]], write)
    told: list[str] = []
    found = listed(tmp_path, on_skip=lambda obj, reason: told.append(f"{obj.key}: {reason.value}"))
    assert [obj.key for obj in found] == sorted(KEYS, key=str.encode)
    assert told == ["frozen.jpg: in an archive storage class", "tiered.jpg: in an archive storage class"]
    assert found[0] == StoredObject("s3://photos", "2025/z.jpg", 10, "abc", TIME)
    assert [obj.key for obj in listed(tmp_path, "2026/", after="2026/1.jpg", until="2026/q")] == ["2026/a b+c%20.jpg"]


def test_the_newest_complete_inventory_counts(tmp_path: Path) -> None:
    amazon(tmp_path, [[row("old.jpg")]], day="2026-11-21")
    amazon(tmp_path, [[row("new.jpg")]], day="2026-11-22")
    unfinished = amazon(tmp_path, [[row("unfinished.jpg")]], day="2026-11-23")
    (unfinished / "manifest.checksum").unlink()
    assert [obj.key for obj in listed(tmp_path)] == ["new.jpg"]


def test_a_copy_of_the_configurations_folder_is_enough(tmp_path: Path) -> None:
    amazon(tmp_path, [rows()])
    assert len(listed(tmp_path / "inv/photos/daily")) == len(KEYS)


def test_a_file_that_was_changed_is_refused(tmp_path: Path) -> None:
    folder = amazon(tmp_path, [rows()])
    write_csv(folder.parent / "data/2026-11-23-0", rows(("other.jpg",)))
    with pytest.raises(StorageError, match="not what its manifest says"):
        listed(tmp_path)
    (folder / "manifest.json").write_bytes((folder / "manifest.json").read_bytes() + b" ")
    with pytest.raises(StorageError, match="not what its checksum says"):
        listed(tmp_path)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    folder = amazon(tmp_path, [rows()])
    (folder.parent / "data/2026-11-23-0.csv.gz").unlink()
    with pytest.raises(ObjectNotFound, match=r"2026-11-23-0\.csv\.gz"):
        listed(tmp_path)


def test_the_inventory_of_another_bucket_is_refused(tmp_path: Path) -> None:
    amazon(tmp_path, [rows()])
    with pytest.raises(ConfigurationError, match=r"are of photos, not of s3://pictures"):
        listed(tmp_path, uri="s3://pictures")


def test_no_inventory_is_no_empty_bucket(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no complete inventory"):
        listed(tmp_path)
    store, _ = open_store("s3://photos", StorageSettings(inventory=f"file://{tmp_path}"))
    with store:
        assert "no complete inventory" in store.preflight().findings[0].what


def test_a_field_that_is_missing_is_asked_for(tmp_path: Path) -> None:
    content = [{name: value for name, value in row("1.jpg").items() if name != "e_tag"}]
    amazon(tmp_path, [content], write_parquet)
    with pytest.raises(ConfigurationError, match="ETag"):
        listed(tmp_path)


def test_sorts_more_than_fits_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUN", 70)
    monkeypatch.setattr(sorting, "STEP", 10)
    keys = [f"{number:04}.jpg" for number in range(1000)]
    shuffled = random.Random(1).sample(keys, len(keys))  # noqa: S311 - reproducible
    again = row("0500.jpg", e_tag="newer", last_modified_date=TIME + timedelta(days=1))
    amazon(tmp_path, [[row(key) for key in shuffled[start : start + 300]] for start in range(0, 1000, 300)] + [[again]])
    store, _ = open_store("s3://photos", StorageSettings(inventory=f"file://{tmp_path}"))
    with store:
        objects = list(store.iter_objects())
        assert [obj.key for obj in objects] == keys
        assert objects[500].version == "newer"
        for start in ("0000.jpg", "0009.jpg", "0010.jpg", "0555", "0999.jpg"):
            assert [obj.key for obj in store.iter_objects(after=start)] == [key for key in keys if key > start]
        for prefix, n in (("", 8), ("05", 4), ("0999", 3), ("x", 3)):
            ranges = store.plan_ranges(prefix, n)
            parts = [[obj.key for obj in store.iter_objects(prefix, after=a, until=u)] for a, u in ranges]
            assert all(parts)
            assert [key for part in parts for key in part] == [key for key in keys if key.startswith(prefix)]
            assert all(len(part) <= 1.2 * sum(map(len, parts)) / n for part in parts) or prefix == "0999"
        assert sorted(obj.key for obj in list_parallel(store, threads=3)) == keys


def test_signs_and_reads_through_the_bucket_itself(
    s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = S3Shelf(s3_server, monkeypatch)
    keys = ("1.jpg", "a b+c%20.jpg")
    etags = {}
    for key in keys:
        shelf.put(key, key.encode())
        etags[key] = next(shelf.store.iter_objects(key)).version
    root = tmp_path / "dest"
    amazon(root, [[row(key, bucket=shelf.name, size=len(key), e_tag=etags[key]) for key in keys]])
    dest = S3Shelf(s3_server, monkeypatch)
    for path in root.rglob("*"):
        if path.is_file():
            data = path.read_bytes().replace(b'"photos"', f'"{shelf.name}"'.encode())
            if path.name == "manifest.checksum":
                manifest = path.with_name("manifest.json").read_bytes()
                changed = manifest.replace(b'"photos"', f'"{shelf.name}"'.encode())
                data = hashlib.md5(changed, usedforsecurity=False).hexdigest().encode()
            dest.put(str(path.relative_to(root)), data)
    settings = StorageSettings(
        s3_endpoint=s3_server.endpoint, s3_region=s3_server.region, inventory=f"s3://{dest.name}/inv/photos/daily/"
    )
    store, prefix = open_store(f"s3://{shelf.name}", settings)
    with store:
        assert store.preflight(prefix, ttl=timedelta(hours=1)).ok
        objects = list(store.iter_objects(prefix))
        assert [store.read(obj).decode() for obj in objects] == list(keys)
        leases = list(store.sign_many(objects, timedelta(hours=1)))
        assert [requests.get(lease.url, timeout=10).text for lease in leases] == list(keys)


GOOGLE = [
    {"bucket": "photos", "name": key, "size": 10, "updated": "2026-11-22T10:00:00.000000Z", "storageClass": "ARCHIVE",
     "generation": 1763805600000000, "timeDeleted": ""}
    for key in KEYS
]  # fmt: skip


def google(
    root: Path, shards: list[list[dict[str, Any]]], *, header: bool = True, processed: int | None = None
) -> None:
    """A report as Google writes it."""
    stem = "fc95c52f-157a-494f-af4a-d4a53a69ba66_2026-11-23T00:00_"
    names = []
    for number, shard in enumerate(shards):
        names.append(f"{stem}{number}.csv")
        with (root / names[-1]).open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(GOOGLE[0]))
            if header:
                writer.writeheader()
            writer.writerows(shard)
    manifest(root, stem, names, sum(map(len, shards)) if processed is None else processed)


def manifest(root: Path, stem: str, names: list[str], processed: int) -> None:
    report = {
        "report_config": {
            "name": "projects/p/locations/us/reportConfigs/fc95c52f",
            "csv_options": {"delimiter": ",", "header_required": True},
            "object_metadata_report_options": {"metadata_fields": list(GOOGLE[0])},
        },
        "records_processed": str(processed),
        "snapshot_time": "2026-11-23T00:00:00Z",
        "shard_count": str(len(names)),
        "report_shards_file_names": names,
    }
    (root / f"{stem}manifest.json").write_text(json.dumps(report))


@pytest.mark.parametrize("header", [True, False])
def test_reads_what_google_writes(tmp_path: Path, header: bool) -> None:
    gone = GOOGLE[0] | {"name": "gone.jpg", "timeDeleted": "2026-11-22T11:00:00Z"}
    google(tmp_path, [GOOGLE[:2], [*GOOGLE[2:], gone]], header=header)
    found = listed(tmp_path, uri="gs://photos")
    assert [obj.key for obj in found] == sorted(KEYS, key=str.encode)
    assert found[0] == StoredObject("gs://photos", "2025/z.jpg", 10, "1763805600000000", TIME)
    assert found[0].storage_class == "ARCHIVE"


def test_reads_googles_parquet(tmp_path: Path) -> None:
    stem = "fc95c52f-157a-494f-af4a-d4a53a69ba66_2026-11-23T00:00_"
    table = pa.Table.from_pylist([one | {"updated": TIME} for one in GOOGLE])
    parquet.write_table(table, tmp_path / f"{stem}0.parquet")
    manifest(tmp_path, stem, [f"{stem}0.parquet"], len(GOOGLE))
    assert len(listed(tmp_path, uri="gs://photos")) == len(KEYS)


def test_a_report_that_lacks_rows_is_refused(tmp_path: Path) -> None:
    google(tmp_path, [GOOGLE], processed=6)
    with pytest.raises(StorageError, match="6 objects, but 5"):
        listed(tmp_path, uri="gs://photos")


def test_a_line_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    google(tmp_path, [GOOGLE], header=False)
    (path,) = tmp_path.glob("*_0.csv")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(StorageError, match="cannot be read"):
        listed(tmp_path, uri="gs://photos")


def test_googles_report_on_another_bucket_is_refused(tmp_path: Path) -> None:
    google(tmp_path, [GOOGLE])
    with pytest.raises(ConfigurationError, match="of photos, not of pictures"):
        listed(tmp_path, uri="gs://pictures")


def test_temporary_files_go_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    amazon(tmp_path / "root", [rows()])
    store, _ = open_store("s3://photos", StorageSettings(inventory=f"file://{tmp_path}/root"))
    with store:
        next(store.iter_objects())
        assert list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "tmp").iterdir())
