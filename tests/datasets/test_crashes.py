"""A snapshot is there as a whole or not at all, wherever its making ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from servers.shelf import Shelf

from diffgram_flows.datasets import ImageCache, latest_snapshot, load_snapshot
from diffgram_flows.disk import PART
from diffgram_flows.ledger import open_ledger
from diffgram_flows.models import Box

CAR = Box(4, 5, 6, 30, 40)

# Forks a process for every write, which dies just before it, until one comes to its end.
_DYING = """
    import os, shutil, sys
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from pyarrow import parquet
    from servers.shelf import CountingStore, Shelf
    from diffgram_flows.datasets import storing, spooling, reading
    from diffgram_flows.ledger import open_ledger
    from diffgram_flows.models import Box

    def dying(function, left):
        def call(*args, **options):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), 9)
            return function(*args, **options)
        return call

    def shelf_of(name):
        folder, work = Path({folder!r}), Path({work!r}) / name
        ledger = open_ledger(str(work / "ledger.db"), "sandbox/project/1")
        shelf = Shelf(CountingStore(folder), ledger, folder, work)
        shelf.finish_many(["a.jpg", "b.jpg"], Box(4, 5, 6, 30, 40))
        return shelf

    def prepare():
        shelf = shelf_of("base")
        for row in shelf.ledger.objects.rows():
            shelf.cache.fetch(row, shelf.store)
        shelf.ledger.close()

    def make(number):
        shelf = shelf_of(str(number))
        left = [number]
        for owner, name in ((os, "fsync"), (os, "rename"), (os, "unlink"), (Path, "write_bytes"),
                            (parquet.ParquetWriter, "write_table"), (parquet.ParquetWriter, "close"),
                            (spooling.Spool, "_flush"), (type(shelf.ledger.history), "_upsert")):
            setattr(owner, name, dying(getattr(owner, name), left))
        shelf.snapshot()
        os._exit(0)

    (Path({work!r}) / "base").mkdir(parents=True)
    prepare()
    for number in range(1, 100, {step}):
        shutil.copytree(Path({work!r}) / "base", Path({work!r}) / str(number))
        child = os.fork()
        if not child:
            make(number)
        _, status = os.waitpid(child, 0)
        if not status:
            break
        assert os.WTERMSIG(status) == 9, status
    print(number)
"""


@pytest.mark.parametrize("step", [4, pytest.param(1, marks=pytest.mark.slow)])
def test_whoever_is_killed_at_a_write_leaves_a_whole_snapshot_or_none(shelf: Shelf, tmp_path: Path, step: int) -> None:
    for name in ("a.jpg", "b.jpg"):
        shelf.draw(name)
    work = tmp_path / "many"
    script = _DYING.format(tests=str(Path(__file__).parents[1]), folder=str(shelf.folder), work=str(work), step=step)
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    last = int(done.stdout)
    assert last > 10
    found = set()
    for number in range(1, last + 1, step):
        place, cache = work / str(number), ImageCache(work / str(number) / "images")
        whole = [path for path in (place / "snapshots").glob("*") if not path.name.startswith(PART)]
        assert [len(load_snapshot(path, cache).samples) for path in whole] in ([], [2])
        ledger = open_ledger(str(place / "ledger.db"), "sandbox/project/1")
        latest = latest_snapshot(ledger, place / "snapshots", cache)
        ledger.close()
        assert latest is None or [latest.folder] == whole
        found.add((len(whole), latest is not None))
    assert found - {(1, False)} == {(0, False), (1, True)}
    assert step > 1 or (1, False) in found  # dead between the last file and the ledger


@pytest.mark.parametrize("name", ["fsync", "rename", "mkdir"])
def test_a_full_disk_leaves_nothing(shelf: Shelf, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.finish("a.jpg", CAR)
    shelf.snapshot()
    before = sorted(shelf.snapshots.iterdir())
    shelf.finish("b.jpg", CAR)
    shelf.cache.fetch(shelf.row("b.jpg"), shelf.store)

    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, full)
        with pytest.raises(OSError, match="No space left"):
            shelf.snapshot()
    assert sorted(shelf.snapshots.iterdir()) == before
    assert shelf.snapshot()[1].new
