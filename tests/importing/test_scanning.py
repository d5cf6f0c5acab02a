from __future__ import annotations

import os
from pathlib import Path

import pytest

from diffgram_flows.errors import BucketNotFound, NothingToImport
from diffgram_flows.importing import file_name, scan
from diffgram_flows.ledger import Ledger
from diffgram_flows.storage import ObjectStore, open_store


def test_what_can_be_imported_is_written_down_as_new(ledger: Ledger, folder: Path, store: ObjectStore) -> None:
    for key in ("a.jpg", "b/c.PNG", "b/notes.txt", "z.webp"):
        (folder / key).parent.mkdir(exist_ok=True)
        (folder / key).write_bytes(b"x")
    (folder / "empty.jpg").touch()
    report = scan(store, "", ledger)
    assert (report.listed, report.new, report.known) == (5, 3, 0)
    assert report.skipped == {"unsupported type": 1, "empty": 1}
    rows = ledger.objects.rows("new")
    assert [row.object.key for row in rows] == ["a.jpg", "b/c.PNG", "z.webp"]
    assert all(row.file_name == file_name(row.object) for row in rows)


def test_a_second_scan_finds_only_what_changed(ledger: Ledger, folder: Path, store: ObjectStore) -> None:
    for name in ("a.jpg", "b.jpg"):
        (folder / name).write_bytes(b"x")
    scan(store, "", ledger)
    (folder / "b.jpg").write_bytes(b"another")
    (folder / "c.jpg").write_bytes(b"x")
    report = scan(store, "", ledger)
    assert (report.listed, report.new, report.known) == (3, 2, 1)


def test_pages_are_not_lost_between(ledger: Ledger, folder: Path, store: ObjectStore) -> None:
    for number in range(1003):
        (folder / f"{number:04}.jpg").write_bytes(b"x")
    told: list[int] = []
    report = scan(store, "", ledger, progress=lambda done, total, note="": told.append(done))
    assert (report.new, told) == (1003, [1000, 1003])
    assert scan(store, "", ledger).known == 1003


def test_an_empty_prefix_says_so(ledger: Ledger, store: ObjectStore) -> None:
    with pytest.raises(NothingToImport, match=r"There is no object below file://.*Check bucket and prefix"):
        scan(store, "", ledger)


def test_a_prefix_without_images_says_what_is_there(ledger: Ledger, folder: Path, store: ObjectStore) -> None:
    (folder / "a.txt").write_text("x")
    (folder / "b.csv").write_text("x")
    (folder / "c.jpg").touch()
    with pytest.raises(NothingToImport, match=r"None of the 3 objects.*2 x unsupported type, 1 x empty.*\.jpeg"):
        scan(store, "", ledger)
    assert ledger.objects.counts() == {}


def test_a_bucket_that_does_not_exist_is_no_empty_bucket(ledger: Ledger, tmp_path: Path) -> None:
    store, prefix = open_store(f"file://{tmp_path}/missing")
    with store, pytest.raises(BucketNotFound):
        scan(store, prefix, ledger)


def test_an_object_whose_name_is_taken_is_counted(
    ledger: Ledger, folder: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffgram_flows.importing.scanning.file_name", lambda obj: os.path.basename(obj.key))
    for key in ("a/same.jpg", "b/same.jpg"):
        (folder / key).parent.mkdir()
        (folder / key).write_bytes(b"x")
    assert scan(store, "", ledger).skipped == {"its name is taken by another object": 1}
