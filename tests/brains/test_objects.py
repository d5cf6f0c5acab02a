from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet
import pytest

from diffgram_flows.brains import Brain, BrainRecord, read_predictions, write_predictions
from diffgram_flows.brains.objects import predict_objects
from diffgram_flows.brains.result_settings import RESULTS, ResultSettings
from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, MISUSED, PARTLY
from diffgram_flows.cli_predicting import FAILURES
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import LabelMap, Snapshot
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
        last = predict_objects([brain], store, prefix, out)
        assert (last.images, last.known) == (0, 17)
    assert last.failures == again.failures  # what is known to be damaged is told again
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


def test_a_brain_that_comes_later_repeats_nothing_of_the_others(
    bucket: Path, novice: BrainRecord, tmp_path: Path
) -> None:
    """As if a run had been killed between two brains."""
    brains = [Brain.load(novice), Brain(replace(novice, ref=replace(novice.ref, version=2)), Brain.load(novice).model)]
    store, prefix = open_store(f"file://{bucket}")
    with store:
        predict_objects(brains[:1], store, prefix, tmp_path / "out", max_files=7)
        both = predict_objects(brains, store, prefix, tmp_path / "out", chunk_size=5)
    assert (both.images, both.known) == (16, 0)
    for brain in brains:
        keys = [found.key for found in read_predictions(tmp_path / "out" / str(brain.record.ref))]
        assert len(keys) == len(set(keys)) == 16


def test_another_form_is_written_of_all_results(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    folder = tmp_path / "out" / str(novice.ref)
    store, prefix = open_store(f"file://{bucket}")
    with store:
        predict_objects([Brain.load(novice)], store, prefix, tmp_path / "out", chunk_size=8)
        again = predict_objects([Brain.load(novice)], store, prefix, tmp_path / "out", form="parquet")
    assert (again.images, again.known) == (0, 16)
    rows = [row for path in sorted(folder.glob("*.parquet")) for row in pyarrow.parquet.read_table(path).to_pylist()]
    assert [row["key"] for row in rows] == [found.key for found in read_predictions(folder)]
    assert len(rows) == 16


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


def test_a_limit_that_leaves_images_says_so(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    brain, out = Brain.load(novice), tmp_path / "out"
    store, prefix = open_store(f"file://{bucket}")
    with store:
        assert predict_objects([brain], store, prefix, out, max_files=9).more
        last = predict_objects([brain], store, prefix, out, max_files=7)  # exactly what is left
    assert (last.images, last.more) == (7, False)


def test_what_is_left_out_is_counted_and_empty_images_are_named(
    bucket: Path, novice: BrainRecord, tmp_path: Path
) -> None:
    (bucket / "2026" / "empty.png").touch()
    (bucket / "2026" / "empty.txt").touch()
    shutil.copy(bucket / "2026" / "00.png", bucket / "2026" / "no-suffix")
    store, prefix = open_store(f"file://{bucket}")
    with store:
        for _ in range(2):
            done = predict_objects([Brain.load(novice)], store, prefix, tmp_path / "out")
            assert done.skipped == {"unsupported type": 3, "empty": 1}
            names = sorted(failure.name.rpartition("/")[2] for failure in done.failures)
            assert names == ["broken.png", "empty.png"]
            assert any("is empty" in failure.reason for failure in done.failures)


def test_results_of_two_ways_of_looking_are_never_mixed(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    brain, out = Brain.load(novice), tmp_path / "out"
    threshold = novice.manifest.score_threshold
    store, prefix = open_store(f"file://{bucket}")
    with store:
        predict_objects([brain], store, prefix, out, max_files=6)
        before = contents(out)
        with pytest.raises(ConfigurationError, match=f"score threshold {threshold}; .* score threshold 0.0"):
            predict_objects([brain], store, prefix, out, score_threshold=0.0)
        with pytest.raises(ConfigurationError, match=r"tile never; .* tile auto"):
            predict_objects([brain], store, prefix, out, tile="auto")
        with pytest.raises(ConfigurationError, match=r"tile never; .* tile overlap 0.5, side 0"):
            predict_objects([brain], store, prefix, out, tile=0.5)
        assert contents(out) == before
        done = predict_objects([brain], store, prefix, out, score_threshold=threshold)  # what was meant all the time
        assert (done.images, done.known) == (10, 6)
        (out / str(novice.ref) / RESULTS).write_bytes(b"{")
        with pytest.raises(ConfigurationError, match="cannot be read"):
            predict_objects([brain], store, prefix, out)


def test_another_brain_of_that_name_is_told_by_its_labels(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    manifest = replace(novice.manifest, label_map=LabelMap(((70, "red"), (40, "green"))))
    other = Brain(replace(novice, manifest=manifest), Brain.load(novice).model)
    store, prefix = open_store(f"file://{bucket}")
    with store:
        predict_objects([Brain.load(novice)], store, prefix, tmp_path, max_files=2)
        with pytest.raises(ConfigurationError, match="label map digest"):
            predict_objects([other], store, prefix, tmp_path)


def test_settings_without_results_bind_nobody(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    """A run was killed between writing down how it looks and its first results."""
    brain, folder = Brain.load(novice), tmp_path / str(novice.ref)
    ResultSettings.of(brain, 0.5, "auto").keep(folder)
    store, prefix = open_store(f"file://{bucket}")
    with store:
        assert predict_objects([brain], store, prefix, tmp_path, max_files=2, score_threshold=0.25).images == 2
    kept = json.loads((folder / RESULTS).read_bytes())
    assert (kept["score_threshold"], kept["tile"]) == (0.25, "never")


def test_results_of_earlier_versions_go_on_with_any_settings(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    brain, kept = Brain.load(novice), tmp_path / str(novice.ref) / RESULTS
    store, prefix = open_store(f"file://{bucket}")
    with store:
        predict_objects([brain], store, prefix, tmp_path, max_files=6)
        kept.unlink()
        for threshold, images in ((0.0, 4), (0.9, 6)):
            done = predict_objects([brain], store, prefix, tmp_path, score_threshold=threshold, max_files=images)
            assert done.images == images
    assert "score_threshold" not in json.loads(kept.read_bytes())  # nobody knows it


def test_ids_in_the_results_have_names_beside_them(bucket: Path, novice: BrainRecord, tmp_path: Path) -> None:
    store, prefix = open_store(f"file://{bucket}")
    with store:
        predict_objects([Brain.load(novice)], store, prefix, tmp_path, score_threshold=0.125, tile="auto", max_files=2)
    assert json.loads((tmp_path / str(novice.ref) / RESULTS).read_bytes()) == {
        "brain": str(novice.ref),
        "method": "object_detection",
        "score_threshold": 0.125,
        "tile": {"overlap": 0.25, "side": 0},
        "label_map_digest": novice.manifest.label_map.digest,
        "labels": [
            {"index": 0, "label_file_id": 70, "name": "red"},
            {"index": 1, "label_file_id": 40, "name": "blue"},
        ],
        "attribute_groups": [],
    }


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_many_failures_are_all_kept_in_a_file(
    novice: BrainRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "brains").symlink_to(novice.folder.parent.parent)
    (tmp_path / "photos").mkdir()
    names = [f"{number:02}.png" for number in range(24)]
    for name in names:
        (tmp_path / "photos" / name).touch()
    out = tmp_path / "out"
    asked = ["predict", f"file://{tmp_path}/photos", "--workdir", str(tmp_path), "--out", str(out)]
    assert main([*asked, "--brain", str(novice.ref)]) == PARTLY
    assert f"4more,allofthemin{out}/failures.json" in "".join(capsys.readouterr().err.split())
    told = json.loads((out / FAILURES).read_bytes())
    assert [failure["name"].rpartition("/")[2] for failure in told] == names


def test_from_a_terminal(
    bucket: Path, learned: BrainRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = learned.folder.parent.parent
    (bucket / "2026" / "broken.png").rename(bucket / "2026" / ":cat:broken.png")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "brains").symlink_to(registry)
    asked = ["predict", f"file://{bucket}", "--workdir", str(tmp_path / "work"), "--out", str(tmp_path / "out")]
    known = [*asked, "--brain", str(learned.ref)]
    assert main([*known, "--max-files", "3"]) == DONE
    assert "more are waiting; the same command goes on" in capsys.readouterr().out
    assert main([*known, "--results", "parquet", "--chunk-size", "9"]) == PARTLY
    shown = capsys.readouterr()
    said = "".join(shown.err.split())  # a narrow terminal breaks it
    assert said.count("2026/:cat:broken.png") == 1  # named once, and as it is
    assert "left out: unsupported type" in shown.out
    assert "waiting" not in shown.out
    assert main(known) == PARTLY  # it is still broken
    shown = capsys.readouterr()
    assert "broken.png" in "".join(shown.err.split())
    (told,) = json.loads((tmp_path / "out" / FAILURES).read_bytes())
    assert told["name"].endswith("broken.png")
    assert "not an image" in told["reason"]
    assert re.search(r"known\W+16\W+failed\W+1\W", shown.out)
    assert main([*known, "--score-threshold", "0.0"]) == MISUSED
    assert "--out" in capsys.readouterr().err
    seen = list(read_predictions(tmp_path / "out" / str(learned.ref)))
    assert len(seen) == 16
    assert sum(len(found.boxes) for found in seen) > 8
    assert main([*asked, "--brain", "nobody"]) == MISUSED
    assert main([*asked, "--brain", "detector@x"]) == MISUSED
    assert "no champion" in capsys.readouterr().err


def test_the_documentation_reads_boxes_with_names(
    bucket: Path, learned: BrainRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "predictions.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    folder = tmp_path / str(learned.ref)
    store, prefix = open_store(f"file://{bucket}")
    with store:
        predict_objects([Brain.load(learned)], store, prefix, tmp_path, max_files=2, form="both")
    exec(program.replace("results/cars@3", str(folder)), {})  # noqa: S102 - our own page
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == sum(len(seen.boxes) for seen in read_predictions(folder)) > 0
    assert {line.split()[1] for line in lines} <= {"red", "blue"}
    columns = set(json.loads((folder / "00000000.jsonl").read_text().splitlines()[0]))
    documented = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)))
    assert columns == set(documented) == set(pyarrow.parquet.read_schema(folder / "00000000.parquet").names)
    assert set(re.findall(r'^  "(\w+)"', page, re.MULTILINE)) == set(json.loads((folder / RESULTS).read_bytes()))
