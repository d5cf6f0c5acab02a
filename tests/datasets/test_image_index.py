"""One cache, many processes: nothing is fetched twice, and a kill loses no more than what was under way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from servers.shelf import Shelf

from diffgram_flows.datasets.image_index import INDEX, CachedImage, ImageIndex
from diffgram_flows.disk import sha256_of
from diffgram_flows.ledger import ObjectRow

THREADS = 4
CACHING = """
import sys, time
from pathlib import Path
from diffgram_flows.datasets import ImageCache
from diffgram_flows.importing import file_name
from diffgram_flows.ledger import ObjectRow
from diffgram_flows.storage.file import FileStore

bucket, folder, log, pause = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])

class Logging(FileStore):
    def read(self, obj, **options):
        with open(log, "ab", buffering=0) as file:
            file.write(obj.key.encode() + b"\\n")
        time.sleep(pause)
        return super().read(obj, **options)

with Logging(bucket) as store:
    there = store.iter_objects("")
    rows = [ObjectRow(i, one, file_name(one), "imported", i, i, 1, "", 0.0) for i, one in enumerate(there)]
    found, failures = ImageCache(folder).fetch_many(rows, store, threads=4)
    print(len(found), len(failures))
"""


@pytest.fixture
def many(shelf: Shelf) -> list[ObjectRow]:
    """40 images, all different."""
    random = np.random.default_rng(1)
    for number in range(40):
        Image.fromarray(random.integers(0, 255, (32, 32, 3), np.uint8)).save(shelf.folder / f"{number:02}.png")
    return [shelf.row(f"{number:02}.png") for number in range(40)]


def caching(shelf: Shelf, log: Path, pause: float = 0.0) -> subprocess.Popen[str]:
    arguments = [str(shelf.folder), str(shelf.cache.folder), str(log), str(pause)]
    return subprocess.Popen([sys.executable, "-c", CACHING, *arguments], stdout=subprocess.PIPE, text=True)


def reads(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def check(shelf: Shelf, many: list[ObjectRow]) -> None:
    """Everything is here, whole, and nothing more is read for it."""
    found, failures = shelf.cache.fetch_many(many, shelf.store)
    assert (len(found), failures, shelf.store.reads) == (len(many), (), [])
    assert all(sha256_of(image.path) == image.sha256 == image.path.stem for image in found.values())


def test_two_processes_fetch_every_image_once(shelf: Shelf, many: list[ObjectRow], tmp_path: Path) -> None:
    log = tmp_path / "reads"
    running = [caching(shelf, log, 0.005) for _ in range(2)]
    assert [one.communicate(timeout=60)[0].strip() for one in running] == ["40 0"] * 2
    assert sorted(reads(log)) == [row.object.key for row in many]
    check(shelf, many)


def test_a_kill_loses_what_was_under_way_and_no_more(shelf: Shelf, many: list[ObjectRow], tmp_path: Path) -> None:
    log = tmp_path / "reads"
    with caching(shelf, log, 0.05) as killed:
        deadline = time.monotonic() + 60
        while len(reads(log)) < 20 and time.monotonic() < deadline:
            time.sleep(0.005)
        killed.send_signal(signal.SIGKILL)
    assert 20 <= len(reads(log)) < len(many)
    assert caching(shelf, log).communicate(timeout=60)[0].strip() == "40 0"
    assert len(many) <= len(reads(log)) <= len(many) + THREADS
    check(shelf, many)


def test_a_hundred_thousand_keys_are_looked_up_without_their_files(tmp_path: Path) -> None:
    index = ImageIndex(tmp_path / "images")
    image = CachedImage(tmp_path / "images", f"ab/{'ab' * 32}.jpg", 5, 64, 48, 2**64 - 1)
    index.add("first", image)
    started = time.process_time()
    found = index.find(["first", *map(str, range(100_000))])
    assert time.process_time() - started < 2  # about 0.2 where nothing else runs
    assert found == {"first": image}
    assert found["first"].sha256 == "ab" * 32
    assert not found["first"].path.exists()
    assert [path.name for path in sorted((tmp_path / "images").iterdir()) if path.is_dir()] == []
    assert (tmp_path / "images" / INDEX).exists()
