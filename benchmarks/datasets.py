"""What a snapshot costs: memory and boxes a second from an export to Parquet, and from there to COCO.

    python benchmarks/datasets.py [--files 100000] [--boxes 10] [--quick] [--json FILE]

An export of 1,000,000 boxes in 100,000 files, in the server's own order, becomes a snapshot: parsed, checked, judged by
the provenance shield, fitted, written, published, read back and verified. That happens in a process of its own, pinned
to one core, where memory is measured from after the imports on. Times are those of the processor, so that what else
the machine does counts as little as it can. The ledger knows every object, and the image cache has
every image: as at every snapshot but the first. What fetching, decoding and hashing a new image costs is the figure
``images_per_second``.

``parse_ratio`` compares with a bare loop of ijson over the same file, on the same core before and after.
``coco_ratio`` compares writing COCO from the snapshot with orjson dumping the same dictionaries to a file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = (1920, 1080)
LABELS = {number: f"label {number}" for number in range(2, 22)}
LABEL_IDS = list(LABELS)
FIRST_FILE = 97_000  # so that the number of digits changes on the way, and with it the order as text
BUCKET = "s3://photos"
PREFIX = "2026/11/camera-07"
IMAGES = 300
MB = 1024 * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100_000, help="files of the export")
    parser.add_argument("--boxes", type=int, default=10, help="boxes of a file")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, for a rough figure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    files = wanted.files // 10 if wanted.quick else wanted.files
    if wanted.step:
        json.dump(STEPS[wanted.step](wanted.folder, files, wanted.boxes), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), files, wanted.boxes)
    show(figures)
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(folder: Path, files: int, boxes: int) -> dict[str, float]:
    """All figures; each step is a process of its own."""
    prepare(folder, files, boxes)
    found: dict[str, float] = {"files": files, "boxes": files * boxes}
    for name in STEPS:
        command = [sys.executable, __file__, "--step", name, "--folder", str(folder), f"--files={files}"]
        done = subprocess.run([*command, f"--boxes={boxes}"], stdout=subprocess.PIPE, check=True)
        found |= json.loads(done.stdout)
    return found


def show(figures: dict[str, float]) -> None:
    """Print the figures."""
    print(f"export            {figures['boxes']:12,.0f} boxes in {figures['files']:,.0f} files")
    print(f"bare ijson        {figures['ijson_boxes_per_second']:12,.0f} boxes/s")
    print(f"snapshot          {figures['boxes_per_second']:12,.0f} boxes/s, one core")
    print(f"ratio             {figures['parse_ratio']:12.2f}  (snapshot : bare ijson)")
    print(f"memory            {figures['snapshot_rss_mb']:12.0f}  MB above the imports")
    print(f"read back         {figures['read_boxes_per_second']:12,.0f} boxes/s as samples")
    print(f"COCO              {figures['coco_boxes_per_second']:12,.0f} boxes/s")
    print(
        f"ratio             {figures['coco_ratio']:12.2f}  (COCO from the snapshot : orjson of the same dictionaries)"
    )
    print(f"new images        {figures['images_per_second']:12,.0f} images/s fetched, decoded, hashed (one thread)")


def prepare(folder: Path, files: int, boxes: int) -> None:
    """An export, a ledger and a cache of images, as a large project has them."""
    from diffgram_flows.datasets.image_index import CachedImage, ImageIndex

    chance = random.Random(5)  # noqa: S311 - reproducible
    write_export(folder / "export.json", files, boxes, chance)
    fill_ledger(folder, files)
    cache = folder / "images"
    for number in range(256):
        (cache / f"{number:02x}").mkdir(parents=True)
    index = ImageIndex(cache)
    for number in range(files):
        digest = hashlib.sha256(str(number).encode()).hexdigest()
        image = CachedImage(cache, f"{digest[:2]}/{digest}.jpg", 1, *SIZE, chance.getrandbits(64))
        image.path.write_bytes(b"x")
        index.add(f"object\0{BUCKET}/{key_of(number)}\0{version_of(number)}", image)


def write_export(path: Path, files: int, boxes: int, chance: random.Random) -> None:
    """The JSON as the server writes it: keys sorted as texts, signed URLs in every file."""
    url = f"https://storage.example/projects/images/1/36?X-Amz-Signature={'0' * 64}"
    with path.open("w") as file:
        file.write("{")
        for file_id in sorted(map(str, range(FIRST_FILE, FIRST_FILE + files))):
            name = name_of(int(file_id) - FIRST_FILE)
            about = {"ann_is_complete": True, "blob_url": url, "created_time": "2026-11-22 06:39:27.425792"}
            image = {"height": SIZE[1], "image_signed_expiry": 1795354938.74, "image_signed_url": url}
            image |= {"original_filename": name, "rotation_degrees": 0, "width": SIZE[0]}
            entry = {
                "file": {**about, "id": int(file_id), "original_filename": name, "type": "image"},
                "image": image,
                "instance_list": [instance(chance, number) for number in range(boxes)],
            }
            file.write(f"{json.dumps(file_id)}: {json.dumps(entry)}, ")
        labels = {str(number): name for number, name in LABELS.items()}
        file.write(f'"attribute_groups_reference": [], "label_map": {json.dumps(labels)}}}')


def instance(chance: random.Random, number: int) -> dict[str, Any]:
    """A box of the export."""
    left, top = chance.randrange(SIZE[0] - 200), chance.randrange(SIZE[1] - 200)
    width, height = chance.randrange(8, 200), chance.randrange(8, 200)
    corners = {"x_max": left + width, "x_min": left, "y_max": top + height, "y_min": top}
    return {"attribute_groups": None, "id": number, "label_file_id": chance.choice(LABEL_IDS), "type": "box"} | corners


def fill_ledger(folder: Path, files: int) -> None:
    """All objects, imported: by the ledger's own tables, for it settles one row at a time."""
    from diffgram_flows.ledger import open_ledger
    from diffgram_flows.models import StoredObject

    ledger = open_ledger(str(folder / "ledger.db"), "benchmark")
    for start in range(0, files, 10_000):
        numbers = range(start, min(files, start + 10_000))
        objects = [StoredObject(BUCKET, key_of(number), 1, version_of(number)) for number in numbers]
        ledger.objects.add(objects, lambda stored: name_of(int(stored.key[-12:-4])))
    ledger.close()
    with sqlite3.connect(folder / "ledger.db") as connection:
        connection.execute("UPDATE objects SET state = 'imported', file_id = id + ?", (FIRST_FILE - 1,))


def key_of(number: int) -> str:
    """The key of an object."""
    return f"{PREFIX}/frame-{number:08}.jpg"


def version_of(number: int) -> str:
    """The version of an object."""
    return f"{number:032x}"


def name_of(number: int) -> str:
    """The name of a file."""
    return f"frame-{number:08}-{number * 7919 % 2**48:012x}.jpg"


def snapshot(folder: Path, files: int, boxes: int) -> dict[str, float]:
    """Make the snapshot, between two bare parses of the same file."""
    pin()
    # What is imported late is imported here: memory is measured from after the imports on.
    from diffgram_flows.datasets import FinishedExport, ImageCache, make_snapshot, samples, storing  # noqa: F401
    from diffgram_flows.datasets.provenance import Shield
    from diffgram_flows.diffgram import DiffgramClient
    from diffgram_flows.ledger import open_ledger

    before = bare_parse(folder)
    ledger = open_ledger(str(folder / "ledger.db"), "benchmark")
    expected = range(FIRST_FILE, FIRST_FILE + files)
    baseline = reset_peak()
    start = time.process_time()
    # Half of the files have had pre-labels, which a person let stand or changed.
    shield = Shield({file_id: array("q", [1, 2, 3]) for file_id in expected[::2]})
    export = FinishedExport(1, lambda: (folder / "export.json").open("rb"), set(expected), LABELS, shield.judge)
    with DiffgramClient("http://127.0.0.1:9", "nobody", "id", "secret") as client:
        cache = ImageCache(folder / "images")
        _, report = make_snapshot(export, ledger, cache, None, client, folder=folder / "snapshots")
    seconds = time.process_time() - start
    peak = peak_memory()
    assert (report.images, report.boxes, report.failures) == (files, files * boxes, ())  # noqa: S101
    bare = (before + bare_parse(folder)) / 2
    return {
        "snapshot_rss_mb": (peak - baseline) / MB,
        "boxes_per_second": files * boxes / seconds,
        "ijson_boxes_per_second": files * boxes / bare,
        "parse_ratio": seconds / bare,
    }


def coco(folder: Path, files: int, boxes: int) -> dict[str, float]:
    """Write COCO from the snapshot, and the same dictionaries with orjson, in turn."""
    pin()
    import orjson

    from diffgram_flows.datasets import ImageCache, find_format, load_snapshot
    from diffgram_flows.datasets.formats import WriteOptions

    (place,) = (folder / "snapshots").iterdir()
    loaded = load_snapshot(place, ImageCache(folder / "images"), check_images=False)
    start = time.process_time()
    assert sum(len(sample.annotations) for sample in loaded.samples) == files * boxes  # noqa: S101
    reading = time.process_time() - start
    write = find_format("coco").write
    ours, theirs = [], []
    for number in range(3):
        out = folder / f"coco-{number}"
        out.mkdir()
        start = time.process_time()
        write(loaded.samples, loaded.label_map, out, WriteOptions(images="none"))
        ours.append(time.process_time() - start)
        dictionaries = [orjson.loads(path.read_bytes()) for path in sorted(out.rglob("*.json"))]
        assert sum(len(one["annotations"]) for one in dictionaries) == files * boxes  # noqa: S101
        start = time.process_time()
        for part, one in enumerate(dictionaries):
            (folder / f"orjson-{part}.json").write_bytes(orjson.dumps(one))
        theirs.append(time.process_time() - start)
        del dictionaries
    return {
        "read_boxes_per_second": files * boxes / reading,
        "coco_boxes_per_second": files * boxes / statistics.median(ours),
        "coco_ratio": statistics.median(ours) / statistics.median(theirs),
    }


def images(folder: Path, files: int, boxes: int) -> dict[str, float]:
    """Fetch new images from a folder into an empty cache."""
    pin()
    from PIL import Image

    from diffgram_flows.datasets import ImageCache
    from diffgram_flows.ledger import ObjectRow
    from diffgram_flows.storage.file import FileStore

    bucket = folder / "bucket"
    bucket.mkdir()
    picture = Image.effect_noise((640, 480), 60).convert("RGB")
    for number in range(IMAGES):
        picture.paste((number % 256, 0, 0), (0, 0, 64, 64))
        picture.save(bucket / f"{number}.jpg", quality=80)
    with FileStore(bucket) as store:
        rows = [
            ObjectRow(number, stored, stored.key, "imported", number, None, 1, "", 0.0)
            for number, stored in enumerate(store.iter_objects(""))
        ]
        start = time.process_time()
        found, failures = ImageCache(folder / "new").fetch_many(rows, store, threads=1)
        seconds = time.process_time() - start
    assert (len(found), failures) == (IMAGES, ())  # noqa: S101
    return {"images_per_second": IMAGES / seconds}


def bare_parse(folder: Path) -> float:
    """Seconds of the least that reads the export."""
    import ijson

    start = time.process_time()
    with (folder / "export.json").open("rb") as file:
        for _ in ijson.kvitems(file, "", use_float=True):
            pass
    return time.process_time() - start


def pin() -> None:
    """Stay on one core, with everything."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def reset_peak() -> int:
    """Forget the highest resident memory so far; what is resident now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """The highest resident memory in bytes."""
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


STEPS: dict[str, Callable[[Path, int, int], dict[str, float]]] = {
    "snapshot": snapshot,
    "coco": coco,
    "images": images,
}

if __name__ == "__main__":
    main()
