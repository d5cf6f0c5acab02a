from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from diffgram_flows.brains import Brain, BrainRecord, read_predictions, write_predictions
from diffgram_flows.brains.objects import predict_objects
from diffgram_flows.cli import DONE, MISUSED, PARTLY, main
from diffgram_flows.models import Snapshot
from diffgram_flows.storage import open_store


@pytest.fixture
def bucket(tmp_path: Path, snapshot: Snapshot) -> Path:
    folder = tmp_path / "photos"
    (folder / "2026").mkdir(parents=True)
    for number, sample in enumerate(snapshot.samples):
        shutil.copy(sample.path, folder / "2026" / f"{number:02}.png")
    (folder / "2026" / "broken.png").write_bytes(b"no image")
    (folder / "2026" / "notes.txt").write_text("no image either")
    return folder


def test_a_folder_is_predicted_in_chunks_and_once(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    brain, out = Brain.load(novice), tmp_path / "out"
    store, prefix = open_store(f"file://{bucket}")
    with store:
        first = predict_objects([brain], store, prefix, out, chunk_size=6, form="both", max_files=12)
        assert (first.images, first.known, first.failures) == (12, 0, [])
        again = predict_objects([brain], store, prefix, out, chunk_size=6, form="both")
        assert (again.images, again.known) == (4, 12)
        assert [failure.name.rpartition("/")[2] for failure in again.failures] == ["broken.png"]
        os.utime(bucket / "2026" / "03.png", (1, 1))  # a new version, as far as a folder can tell
        shutil.copy(bucket / "2026" / "00.png", bucket / "2026" / "000.png")
        assert predict_objects([brain], store, prefix, out).images == 2
        assert predict_objects([brain], store, prefix, out).images == 0
    seen = list(read_predictions(out / str(novice.ref)))
    assert len(seen) == 18
    assert {path.name for path in (out / str(novice.ref)).iterdir()} >= {"00000000.parquet", "00000002.jsonl"}
    assert [bool(found.error) for found in seen].count(True) == 1


def test_what_is_not_whole_when_it_is_killed_is_done_again(
    bucket: Path, novice: BrainRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brain, out = Brain.load(novice), tmp_path / "out"
    written: list[Path] = []

    def killed(path: Path, *args: object, **options: object) -> None:
        if written:
            raise KeyboardInterrupt
        written.append(path)
        write_predictions(path, *args, **options)  # type: ignore[arg-type]

    store, prefix = open_store(f"file://{bucket}")
    with store:
        monkeypatch.setattr("diffgram_flows.brains.objects.write_predictions", killed)
        with pytest.raises(KeyboardInterrupt):
            predict_objects([brain], store, prefix, out, chunk_size=6)
        monkeypatch.undo()
        rest = predict_objects([brain], store, prefix, out, chunk_size=6)
    assert (rest.images, rest.known) == (10, 6)
    keys = [found.key for found in read_predictions(out / str(novice.ref))]
    assert len(keys) == len(set(keys)) == 16


def test_several_brains_look_at_an_image_that_is_fetched_once(
    bucket: Path, novice: BrainRecord, adopt: Callable[[BrainRecord], BrainRecord], tmp_path: Path
) -> None:
    twin, out = adopt(adopt(novice)), tmp_path / "out"
    store, prefix = open_store(f"file://{bucket}")
    with store:
        done = predict_objects([Brain.load(novice), Brain.load(twin)], store, prefix, out)
    assert done.images == 16
    assert list(read_predictions(out / str(novice.ref))) == list(read_predictions(out / str(twin.ref)))


def test_what_cannot_be_read_is_named_and_tried_again(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    store, prefix = open_store(f"file://{bucket}")
    brain, out = Brain.load(novice), tmp_path / "out"
    with store:
        reading = store.read

        def changed(obj: object, **options: object) -> bytes:
            if obj.key.endswith("05.png"):  # type: ignore[attr-defined]
                os.utime(bucket / "2026" / "05.png", (2, 2))
            return reading(obj, **options)  # type: ignore[arg-type]

        store.read = changed  # type: ignore[method-assign]
        done = predict_objects([brain], store, prefix, out)
        assert any("05.png" in failure.name for failure in done.failures)
        assert done.images == 15
        store.read = reading  # type: ignore[method-assign]
        assert predict_objects([brain], store, prefix, out).images == 1


def test_from_a_terminal(
    bucket: Path, learned: BrainRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = learned.folder.parent.parent
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "brains").symlink_to(registry)
    asked = ["predict", f"file://{bucket}", "--workdir", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    assert main([*asked, "--brain", str(learned.ref), "--results", "parquet", "--chunk-size", "9"]) == PARTLY
    assert "broken.png" in "".join(capsys.readouterr().err.split())  # a narrow terminal breaks it
    assert main([*asked, "--brain", str(learned.ref)]) == DONE
    seen = list(read_predictions(tmp_path / "out" / str(learned.ref)))
    assert len(seen) == 16
    assert sum(len(found.boxes) for found in seen) > 8
    assert main([*asked, "--brain", "nobody"]) == MISUSED
    assert main([*asked, "--brain", "detector@x"]) == MISUSED
    assert "no champion" in capsys.readouterr().err
