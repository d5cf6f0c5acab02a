"""Images in a real bucket, brains in another: looked at from a terminal, by processes that get killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from servers import predicting_process
from servers.predicting_process import STOPPED
from servers.s3 import S3Server, s3_server

from diffgram_flows.brains import BrainRecord, Registry, read_predictions
from diffgram_flows.brains.result_settings import RESULTS
from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, MISUSED, PARTLY
from diffgram_flows.models import Snapshot
from diffgram_flows.storage import open_folder

__all__ = ["s3_server"]
_PATIENCE = 120  # seconds


@pytest.fixture
def buckets(
    s3_server: S3Server, snapshot: Snapshot, novice: BrainRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """A bucket with images, and one with a brain that is in use."""
    s3_server.reached_by(monkeypatch)
    photos, store = (f"b-{uuid.uuid4().hex}" for _ in range(2))
    for name in (photos, store):
        s3_server.client.create_bucket(Bucket=name)
    for number, sample in enumerate(snapshot.samples[:12]):
        s3_server.client.put_object(Bucket=photos, Key=f"2026/{number:02}.png", Body=sample.path.read_bytes())
    s3_server.client.put_object(Bucket=photos, Key="2025/other.png", Body=b"not below the prefix")
    registry = Registry(open_folder(f"s3://{store}/ours").child("brains"), tmp_path / "elsewhere")
    with registry.draft("detector") as draft:
        for file in novice.manifest.files:
            (draft / file).parent.mkdir(parents=True, exist_ok=True)
            (draft / file).write_bytes((novice.folder / file).read_bytes())
        record = registry.add("detector", draft, novice.manifest)
    registry.promote(record.ref)
    return f"s3://{photos}/2026/", f"s3://{store}/ours"


def arguments(buckets: tuple[str, str], tmp_path: Path) -> list[str]:
    photos, store = buckets
    places = ["--workdir", str(tmp_path / "work"), "--store-uri", store, "--out", str(tmp_path / "out")]
    return ["predict", photos, *places, "--chunk-size", "4", "--score-threshold", "0"]


def test_the_champion_of_a_shared_registry_looks_at_a_bucket(
    buckets: tuple[str, str], s3_server: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = arguments(buckets, tmp_path)
    assert main(asked) == DONE
    seen = list(read_predictions(tmp_path / "out" / "detector@1"))
    assert [found.key for found in seen] == [f"{buckets[0]}{number:02}.png" for number in range(12)]
    assert not any(found.error for found in seen)
    assert all((found.width, found.height) == (96, 96) for found in seen)
    assert main([*asked, "--brain", "detector@1"]) == DONE
    assert len(list(read_predictions(tmp_path / "out" / "detector@1"))) == 12
    s3_server.client.put_object(Bucket=buckets[0].split("/")[2], Key="2026/empty.png", Body=b"")
    capsys.readouterr()
    assert main(asked) == PARTLY
    shown = capsys.readouterr()
    assert "2026/empty.png" in "".join(shown.err.split())
    assert re.search(r"left out: empty\W+1\W", shown.out)
    assert main([*asked, "--tile", "auto"]) == MISUSED
    assert main([*asked, "--brain", "nobody"]) == MISUSED
    assert buckets[1] in "".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_a_finished_chunk_is_never_looked_at_again(buckets: tuple[str, str], tmp_path: Path) -> None:
    """Killed between the first two chunks, then late in the second one, then left in peace."""
    keys = [f"2026/{number:02}.png" for number in range(12)]
    results = tmp_path / "out" / "detector@1"
    between = killed(buckets, tmp_path, "between", stop=keys[4])
    assert set(keys[:4]) <= between
    assert [path.name for path in sorted(results.iterdir())] == ["00000000.jsonl", RESULTS]
    first = (results / "00000000.jsonl").stat()
    during = killed(buckets, tmp_path, "during", stop=keys[7])
    assert during == set(keys[4:7])
    assert [path.name for path in sorted(results.glob("*.jsonl"))] == ["00000000.jsonl"]
    log = tmp_path / "rest"
    subprocess.run(command(buckets, tmp_path, log, "none"), env=environment(), check=True, timeout=_PATIENCE)
    assert sorted(log.read_text().split()) == keys[4:]
    assert [found.key.rpartition("/")[2] for found in read_predictions(results)] == [key[5:] for key in keys]
    again = (results / "00000000.jsonl").stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    assert [path.name for path in sorted(results.iterdir())] == [*(f"{n:08}.jsonl" for n in range(3)), RESULTS]


def killed(buckets: tuple[str, str], tmp_path: Path, name: str, *, stop: str) -> set[str]:
    """Let a process work until it would read an object, kill it, and tell what it had read."""
    log = tmp_path / name
    process = subprocess.Popen(command(buckets, tmp_path, log, stop), env=environment())
    ends_at = time.monotonic() + _PATIENCE
    while not (log.exists() and STOPPED in log.read_text().split()):
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < ends_at
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    assert process.wait(timeout=_PATIENCE) == -signal.SIGKILL
    return set(log.read_text().split()) - {STOPPED}


def command(buckets: tuple[str, str], tmp_path: Path, log: Path, stop: str) -> list[Any]:
    return [sys.executable, predicting_process.__file__, log, stop, *arguments(buckets, tmp_path)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
