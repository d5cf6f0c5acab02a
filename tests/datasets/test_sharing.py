"""Snapshots below a prefix of a bucket: on a disk, on a real S3 server and on a Google Cloud Storage."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from PIL import Image
from servers.gcs import gcs_server
from servers.places import Open, opened
from servers.s3 import s3_server
from servers.shelf import Shelf

from diffgram_flows.datasets import SnapshotOptions, latest_snapshot, load_snapshot
from diffgram_flows.datasets.catalogue import find_snapshot, list_snapshots
from diffgram_flows.datasets.sharing import share, shared_ids
from diffgram_flows.errors import DatasetError
from diffgram_flows.models import Box

__all__ = ["gcs_server", "opened", "s3_server"]

CAR = Box(4, 5, 6, 30, 40)


def test_a_shared_snapshot_is_read_on_another_machine(shelf: Shelf, opened: Open) -> None:
    shared = opened().child("snapshots")
    shelf.finish_many(["a.jpg", "b.jpg"], CAR)
    snapshot, _ = shelf.snapshot(shared=shared)
    assert shared_ids(shared) == [snapshot.id]
    assert shelf.ledger.history.snapshots()[-1].folder == f"{shared.uri}/{snapshot.id}"
    assert not share(snapshot.folder, shared)
    elsewhere = shelf.workdir / "elsewhere"
    other = latest_snapshot(shelf.ledger, elsewhere, shelf.cache, shared=opened().child("snapshots"))
    assert other is not None
    assert (other.folder, list(other.samples)) == (elsewhere / snapshot.id, list(snapshot.samples))
    assert [path.name for path in elsewhere.iterdir()] == [snapshot.id]


def test_a_snapshot_is_shared_when_its_manifest_is(shelf: Shelf, opened: Open) -> None:
    shared = opened().child("snapshots")
    shelf.finish("a.jpg", CAR)
    snapshot, _ = shelf.snapshot()
    shared.child(snapshot.id).put("images.0123.parquet", b"of a machine that died")
    assert shared_ids(shared) == []
    with pytest.raises(DatasetError, match=f"There is no snapshot {snapshot.id}"):
        load_snapshot(shelf.workdir / "elsewhere" / snapshot.id, shelf.cache, shared=shared)
    again, report = shelf.snapshot(shared=shared)
    assert (again.id, report.new, shared_ids(shared)) == (snapshot.id, False, [snapshot.id])


def test_a_file_that_was_altered_in_the_bucket_is_not_taken_over(shelf: Shelf, opened: Open) -> None:
    shared = opened().child("snapshots")
    shelf.finish("a.jpg", CAR)
    snapshot, _ = shelf.snapshot(shared=shared)
    there = shared.child(snapshot.id)
    for name in list(there.list()):
        content = there.read(name)
        there.put(name, content[:-2] + b"??")
        elsewhere = shelf.workdir / "elsewhere"
        with pytest.raises(DatasetError, match="was altered"):
            load_snapshot(elsewhere / snapshot.id, shelf.cache, shared=shared)
        assert not list(elsewhere.glob("*"))
        there.put(name, content)


def test_snapshots_here_and_there_are_listed_and_found(shelf: Shelf, opened: Open) -> None:
    shared = opened().child("snapshots")
    shelf.finish("a.jpg", CAR)
    first, _ = shelf.snapshot(shared=shared)
    shelf.finish("b.jpg", CAR)
    second, _ = shelf.snapshot()
    shutil.rmtree(first.folder)
    entries = {entry.snapshot_id: entry for entry in list_snapshots(shelf.snapshots, shared)}
    assert {name: (entry.here, entry.shared) for name, entry in entries.items()} == {
        first.id: (False, True),
        second.id: (True, False),
    }
    assert find_snapshot(first.id[:6], shelf.snapshots, shared) == first.folder
    assert load_snapshot(first.folder, shelf.cache).id == first.id


@pytest.mark.parametrize("opened", ["file"], indirect=True)
def test_splits_of_a_snapshot_that_another_machine_made_are_kept(shelf: Shelf, opened: Open) -> None:
    shared = opened().child("snapshots")
    options = SnapshotOptions(val=0.2, test=0.4, near_duplicates="move")
    photo = Image.effect_noise((64, 48), 90).resize((8, 6)).resize((64, 48), Image.Resampling.BICUBIC)
    for number in range(8):
        photo.save(shelf.folder / f"{number}.png")
        shelf.finish(f"{number}.png", CAR)
    first, report = shelf.snapshot(options, shared=shared)
    assert report.moved > 0
    elsewhere = replace(shelf, workdir=shelf.workdir / "elsewhere")
    second, report = elsewhere.snapshot(replace(options, near_duplicates="report"), shared=shared)
    assert (second.id, report.new, report.leaks) == (first.id, False, ())
