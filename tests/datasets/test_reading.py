from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers.shelf import Shelf

from diffgram_flows.datasets import ImageCache, ImageSource, latest_snapshot, load_snapshot
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Box, Snapshot

CAR = Box(4, 5, 6, 30, 40)


@pytest.fixture
def snapshot(shelf: Shelf) -> Snapshot:
    shelf.finish("a.jpg", CAR)
    shelf.finish("größe 1.jpg", Box(7, 1, 2, 3, 4))
    return shelf.snapshot()[0]


@pytest.mark.parametrize("name", ["images.parquet", "instances.parquet", "labels.json", "manifest.json"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda content: content[:9] + bytes([content[9] ^ 1]) + content[10:], id="a bit"),
        pytest.param(lambda content: content[:-20], id="cut"),
        pytest.param(lambda content: b"", id="emptied"),
        pytest.param(lambda content: b"\xff\xfe", id="binary"),
    ],
)
def test_an_altered_file_is_named(
    snapshot: Snapshot, shelf: Shelf, name: str, change: Callable[[bytes], bytes]
) -> None:
    path = snapshot.folder / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DatasetError, match=rf"{name} was altered"):
        load_snapshot(snapshot.folder, shelf.cache)


@pytest.mark.parametrize("name", ["images.parquet", "instances.parquet", "labels.json", "manifest.json"])
def test_a_missing_file_is_named(snapshot: Snapshot, shelf: Shelf, name: str) -> None:
    (snapshot.folder / name).unlink()
    with pytest.raises(DatasetError, match=rf"{name} of a snapshot cannot be read"):
        load_snapshot(snapshot.folder, shelf.cache)


def test_a_snapshot_under_another_name_is_refused(snapshot: Snapshot, shelf: Shelf) -> None:
    other = snapshot.folder.with_name("0123456789abcdef")
    snapshot.folder.rename(other)
    with pytest.raises(DatasetError, match=r"manifest\.json was altered"):
        load_snapshot(other, shelf.cache)


def test_a_folder_that_is_no_snapshot_is_refused(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(["no", "manifest"]))
    with pytest.raises(DatasetError, match="was altered"):
        load_snapshot(tmp_path, shelf.cache)


def test_an_altered_image_is_named(snapshot: Snapshot, shelf: Shelf) -> None:
    path = snapshot.samples[1].path
    path.write_bytes(path.read_bytes()[:-2] + b"\0\0")
    with pytest.raises(DatasetError, match=rf"{path.name} was altered"):
        load_snapshot(snapshot.folder, shelf.cache)
    assert load_snapshot(snapshot.folder, shelf.cache, check_images=False) == snapshot


def test_a_missing_image_is_fetched_by_the_next_snapshot(snapshot: Snapshot, shelf: Shelf) -> None:
    snapshot.samples[0].path.unlink()
    with pytest.raises(DatasetError, match=r"The image a-.*\.jpg of the snapshot is not at .*Make the snapshot again"):
        load_snapshot(snapshot.folder, shelf.cache)
    assert shelf.snapshot()[0] == load_snapshot(snapshot.folder, shelf.cache)


def test_a_work_folder_may_be_moved(snapshot: Snapshot, shelf: Shelf, tmp_path: Path) -> None:
    moved = shelf.workdir.rename(tmp_path / "moved")
    cache = ImageCache(moved / "images")
    latest = latest_snapshot(shelf.ledger, moved / "snapshots", cache)
    assert latest is not None
    assert latest.id == snapshot.id
    assert {sample.path.parents[1] for sample in latest.samples} == {cache.folder}


def test_the_newest_snapshot_is_the_latest(snapshot: Snapshot, shelf: Shelf) -> None:
    shelf.finish("b.jpg", CAR)
    newer, _ = shelf.snapshot()
    assert newer != snapshot
    assert latest_snapshot(shelf.ledger, shelf.snapshots, shelf.cache) == newer


@pytest.fixture
def elsewhere(shelf: Shelf) -> Iterator[ImageSource]:
    """Where another machine, which has no image yet, gets them."""
    with shelf.nobody() as client:
        yield ImageSource(ImageCache(shelf.workdir / "other"), client, {}, shelf.store)


def test_another_machine_fetches_the_images_that_it_lacks(shelf: Shelf, elsewhere: ImageSource) -> None:
    shelf.finish_many(["a.jpg", "b.jpg"], CAR)
    snapshot, _ = shelf.snapshot()
    source = replace(elsewhere, objects=shelf.ledger.objects.by_file_id())
    cache = source.cache
    with pytest.raises(DatasetError, match=r"is not at"):
        load_snapshot(snapshot.folder, cache)
    shelf.store.reads.clear()
    found = load_snapshot(snapshot.folder, cache, source=source)
    assert [sample.sha256 for sample in found.samples] == [sample.sha256 for sample in snapshot.samples]
    assert all(cache.folder in sample.path.parents and sample.path.is_file() for sample in found.samples)
    assert sorted(shelf.store.reads) == ["a.jpg", "b.jpg"]
    load_snapshot(snapshot.folder, cache, source=source)
    assert len(shelf.store.reads) == 2


def test_an_image_that_was_replaced_meanwhile_is_not_the_snapshots(shelf: Shelf, elsewhere: ImageSource) -> None:
    shelf.finish("a.jpg", CAR)
    snapshot, _ = shelf.snapshot()
    source = replace(elsewhere, objects=shelf.ledger.objects.by_file_id())
    cache = source.cache
    shelf.draw("a.jpg", (63, 48))
    with pytest.raises(DatasetError, match=r"1 images of the snapshot cannot be fetched"):
        load_snapshot(snapshot.folder, cache, source=source)
