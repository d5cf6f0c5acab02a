"""Annotations that exist already go onto their images once, and snapshots come out in the formats of other tools."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, MISUSED, PARTLY
from diffgram_flows.datasets import export_finished, find_format, make_snapshot
from diffgram_flows.models import Box
from diffgram_flows.parameters import Target
from diffgram_flows.sandbox import SandboxProcess
from diffgram_flows.tasks.workspace import Workspace, open_workspace

_numbers = itertools.count(1)
SIZE = (64, 48)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox"), rate_limits=False, task_delay=0.05) as running:
        yield running


@pytest.fixture
def target(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Target:
    monkeypatch.setenv("DIFFGRAM_URL", sandbox.url)
    monkeypatch.setenv("DIFFGRAM_PROJECT", sandbox.project)
    monkeypatch.setenv("DIFFGRAM_CLIENT_ID", sandbox.client_id)
    monkeypatch.setenv("DIFFGRAM_CLIENT_SECRET", sandbox.client_secret)
    return Target(dataset=f"known {next(_numbers)}", workdir=tmp_path / "work", packets_per_second=0)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    for number, name in enumerate(("train/a.png", "val/a.png", "b.png", "c.png", "unknown.png")):
        path = tmp_path / "bucket" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE, (number * 40, 90, 10)).save(path)
    return tmp_path / "bucket"


@pytest.fixture
def run(target: Target, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command on the target: its exit code, and what it said on one line."""

    def run(*tokens: object) -> tuple[int, str]:
        options = ("--dataset", target.dataset, "--workdir", target.workdir, "--packets-per-second", 0)
        code = main([str(token) for token in (*tokens, *options)])
        shown = capsys.readouterr()
        return code, " ".join((shown.out + shown.err).split())

    return run


def coco(path: Path, **boxes: Any) -> Path:
    """A COCO file with an image for every name, and a car in each of its boxes."""
    names = list(boxes)
    images = [
        {"id": n, "file_name": name.replace("__", "/") + ".png", "width": SIZE[0], "height": SIZE[1]}
        for n, name in enumerate(names)
    ]
    annotations = [
        {"id": n, "image_id": names.index(name), "category_id": 1, "bbox": bbox}
        for n, (name, bbox) in enumerate((name, bbox) for name in names for bbox in boxes[name])
    ]
    categories = [{"id": 1, "name": "car"}, {"id": 2, "name": "never used"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def drawn(workspace: Workspace) -> dict[str, list[tuple[int, int, int, int]]]:
    """What is on the files by the key of their objects, whoever drew it."""
    found = {}
    for row in workspace.ledger.objects.rows("imported"):
        boxes = [one.box for one in workspace.client.annotations(row.file_id or 0).instances if one.box]
        found[row.object.key] = [(box.x_min, box.y_min, box.x_max, box.y_max) for box in boxes]
    return found


def pushes(workspace: Workspace) -> list[tuple[str, str, str]]:
    keys = {row.file_name: row.object.key for row in workspace.ledger.objects.rows()}
    return sorted((keys[row.file_name], row.brain, row.state) for row in workspace.ledger.pushes.rows())


def packets(workspace: Workspace) -> int:
    rows = workspace.client.imports()
    return sum(row.directory_id == workspace.directory_id for row in rows)


def test_ground_truth_travels_with_its_images_and_is_a_snapshot(
    target: Target, bucket: Path, tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    file = coco(
        tmp_path / "known.json",
        train__a=[[1, 2, 30, 40]],
        val__a=[[5, 5, 10, 10], [-5, 0, 15, 10]],
        b=[],
        gone=[[1, 1, 5, 5]],
    )
    command = ("import-annotations", file, "--format", "coco", "--as", "ground-truth", "--bucket", f"file://{bucket}")
    code, said = run(*command)
    assert code == MISUSED
    assert "1 labels of the annotations are not in the label schema: 'car'" in said
    code, said = run(*command, "--create-labels")
    assert code == PARTLY
    assert "matched │ 3" in said
    assert "cut at the edge │ 1" in said
    assert "gone.png: No object of the ledger has this name." in said
    workspace = open_workspace(target)
    expected = {
        "train/a.png": [(1, 2, 31, 42)],
        "val/a.png": [(0, 0, 10, 10), (5, 5, 15, 15)],
        "b.png": [],
        "c.png": [],
        "unknown.png": [],
    }
    assert drawn(workspace) == expected
    brain = "ground-truth@1"
    assert pushes(workspace) == [
        ("b.png", brain, "empty"),
        ("train/a.png", brain, "confirmed"),
        ("val/a.png", brain, "confirmed"),
    ]
    sent = packets(workspace)
    assert sent == 5
    assert run(*command)[0] == PARTLY
    assert (packets(workspace), drawn(workspace)) == (sent, expected)

    snapshot = _snapshot(workspace)
    assert run("export", "--format", "csv", "--out", tmp_path / "out")[0] == MISUSED
    assert "--out DIR" in run("export", "--format", "coco")[1]
    assert (
        "no snapshot 'nonsense'"
        in run("export", "--format", "voc", "--out", tmp_path / "out", "--snapshot", "nonsense")[1]
    )
    code, said = run("export", "--format", "coco", "--out", tmp_path / "out")
    assert (code, f"snapshot │ {snapshot}" in said, "boxs" in said) == (DONE, True, False)
    found = find_format("coco").read(tmp_path / "out")
    assert sorted(len(image.boxes) for image in found.images) == [0, 1, 2]
    assert list(found.labels.values()) == ["car"]
    assert "is not empty" in run("export", "--format", "coco", "--out", tmp_path / "out")[1]
    assert run("export", "--format", "yolo", "--out", tmp_path / "yolo", "--snapshot", snapshot[:6])[0] == DONE
    assert run("export", "--format", "jsonl", "--out", tmp_path / "jsonl", "--snapshot", "latest")[0] == DONE
    again = find_format("yolo").read(tmp_path / "yolo")
    assert sum(len(image.boxes) for image in again.images) == 3


def test_all_that_was_left_out_is_listed_in_a_file(
    target: Target, bucket: Path, tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    assert run("import-annotations", coco(tmp_path / "a.json"), "--format", "coco", "--bucket", f"file://{bucket}")
    strangers = coco(tmp_path / "b.json", **{f"stranger-{number}": [] for number in range(30)})
    code, said = run("import-annotations", strangers, "--format", "coco", "--dry-run")
    kept = target.workdir / "reports" / "coco-import@1-left-out.json"
    assert code == PARTLY
    assert f"... and 10 more, all of them in {kept}." in said
    assert [one["name"] for one in json.loads(kept.read_bytes())] == [f"stranger-{number}.png" for number in range(30)]


def _snapshot(workspace: Workspace) -> str:
    """A snapshot without anybody having worked: the truth was imported."""
    client, ledger = workspace.client, workspace.ledger
    where: Any = {"directory_id": workspace.directory_id, "folder": workspace.workdir, "poll": 0.02, "timeout": 30}
    with export_finished(client, ledger, **where) as export:
        made, report = make_snapshot(export, ledger, workspace.images, None, client, folder=workspace.snapshots)
    assert (report.images, report.boxes) == (3, 3)
    return made.id


def test_pre_labels_go_onto_files_that_exist_and_a_new_version_replaces_them(
    target: Target, bucket: Path, tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    nothing = coco(tmp_path / "nothing.json")
    assert run("import-annotations", nothing, "--format", "coco", "--bucket", f"file://{bucket}")[0] == DONE
    workspace = open_workspace(target)
    (car,) = workspace.client.ensure_labels(workspace.schema_id, ["car"]).values()
    rows = {row.object.key: row for row in workspace.ledger.objects.rows("imported")}
    person = {
        "type": "box",
        "label_file_id": car,
        "x_min": 1,
        "y_min": 1,
        "x_max": 9,
        "y_max": 9,
        "machine_made": False,
    }
    workspace.client.save_annotations(rows["c.png"].file_id or 0, [person])

    file = coco(tmp_path / "known.json", b=[[1, 2, 30, 40]], c=[[5, 5, 10, 10]], a=[[0, 0, 9, 9]])
    code, said = run("import-annotations", file, "--format", "coco", "--dry-run")
    assert (code, "boxes │ 2" in said) == (PARTLY, True)
    assert "a.png: It could be 2 objects" in said
    assert pushes(workspace) == []
    sent = packets(workspace)
    code, said = run("import-annotations", file, "--format", "coco")
    assert code == PARTLY
    assert "c-" in said
    assert "A person has drawn, changed or deleted something." in said
    assert packets(workspace) == sent + 1
    (instance,) = workspace.client.annotations(rows["b.png"].file_id or 0).instances
    assert (instance.machine_made, instance.box) == (True, Box(car, 1, 2, 31, 42))
    run("import-annotations", file, "--format", "coco")
    assert packets(workspace) == sent + 1

    better = coco(tmp_path / "better.json", b=[[2, 2, 20, 20]])
    code, _ = run("import-annotations", better, "--format", "coco", "--version", 2)
    assert code == DONE
    assert drawn(workspace)["b.png"] == [(2, 2, 22, 22)]
    assert drawn(workspace)["c.png"] == [(1, 1, 9, 9)]
    assert pushes(workspace) == [
        ("b.png", "coco-import@1", "superseded"),
        ("b.png", "coco-import@2", "confirmed"),
        ("c.png", "coco-import@1", "skipped"),
    ]


def with_shapes(path: Path, left: int) -> Path:
    """A COCO file: in b.png a box, a polygon, a point, and a tag of the whole image."""
    known = json.loads(coco(path, b=[[1, 2, 30, 40]]).read_text())
    known["images"][0]["tags"] = [{"category_id": 1}]
    outline = {"segmentation": [[left, 4, left + 20, 4, left + 20, 30]], "bbox": [left, 4, 20, 26]}
    point = {"bbox": [7, 8, 0, 0], "keypoints": [7, 8, 2], "num_keypoints": 1}
    about = {"image_id": 0, "category_id": 1, "iscrowd": 0}
    known["annotations"] += [{"id": 7, **about, **outline}, {"id": 8, **about, **point}]
    path.write_text(json.dumps(known))
    return path


def test_polygons_points_lines_and_tags_are_sent_as_they_are_once_and_replaced(
    target: Target, bucket: Path, tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    options = ("--format", "coco", "--create-labels", "--bucket", f"file://{bucket}")
    first, second = with_shapes(tmp_path / "first.json", 3), with_shapes(tmp_path / "second.json", 5)
    code, said = run("import-annotations", first, *options)
    assert code == DONE
    assert [f"{kind} │ 1" in said for kind in ("boxes", "polygons", "points", "tags")] == [True] * 4
    workspace = open_workspace(target)
    (car,) = workspace.client.ensure_labels(workspace.schema_id, ["car"]).values()
    rows = {row.object.key: row.file_id or 0 for row in workspace.ledger.objects.rows("imported")}

    def living(key: str) -> list[tuple[str, tuple[tuple[int, int], ...]]]:
        found = [each for each in workspace.client.annotations(rows[key]).instances if not each.soft_delete]
        assert {each.machine_made for each in found} == {True}
        return sorted((one.type, one.points) for each in found if (one := each.annotation))

    others = [("box", ((1, 2), (31, 42))), ("point", ((7, 8),)), ("tag", ())]
    assert living("b.png") == sorted([*others, ("polygon", ((3, 4), (23, 4), (23, 30)))])
    sent = packets(workspace)
    assert run("import-annotations", first, *options)[0] == DONE
    assert packets(workspace) == sent
    assert run("import-annotations", second, "--format", "coco", "--version", 2)[0] == DONE
    assert living("b.png") == sorted([*others, ("polygon", ((5, 4), (25, 4), (25, 30)))])

    outline, line = ((2, 2), (40, 2), (40, 30)), ((0, 0), (9, 9), (20, 4))
    known = (("polygon", outline), ("line", line), ("tag", ()))
    image = {"file_id": 9, "file_name": "c.png", "width": SIZE[0], "height": SIZE[1], "split": "train"}
    annotations = [{"label": 1, "type": kind, "points": points} for kind, points in known]
    (tmp_path / "lines").mkdir()
    (tmp_path / "lines/samples.jsonl").write_text(json.dumps({**image, "annotations": annotations}) + "\n")
    (tmp_path / "lines/labels.json").write_text(json.dumps({"labels": [{"id": 1, "name": "car"}]}))
    code, said = run("import-annotations", tmp_path / "lines", "--format", "jsonl", "--as", "ground-truth")
    assert (code, "lines │ 1" in said) == (DONE, True)
    client, ledger = workspace.client, workspace.ledger
    where: Any = {"directory_id": workspace.directory_id, "folder": workspace.workdir, "poll": 0.02, "timeout": 30}
    with export_finished(client, ledger, **where) as export:
        made, report = make_snapshot(export, ledger, workspace.images, None, client, folder=workspace.snapshots)
    (sample,) = made.samples  # what are pre-labels, nobody has confirmed
    truth = [(one.type, one.label_file_id, one.points) for one in sample.annotations]
    assert truth == [("line", car, line), ("polygon", car, outline), ("tag", car, ())]
    assert (report.human, report.excluded) == (3, 0)


def test_predictions_do_not_replace_the_truth_and_other_sizes_are_refused(
    target: Target, bucket: Path, tmp_path: Path, run: Callable[..., tuple[int, str]]
) -> None:
    truth = coco(tmp_path / "truth.json", b=[[1, 2, 30, 40]])
    options = ("--format", "coco", "--create-labels")
    assert run("import-annotations", truth, *options, "--as", "ground-truth", "--bucket", f"file://{bucket}")[0] == DONE
    workspace = open_workspace(target)
    guess = coco(tmp_path / "guess.json", b=[[3, 3, 9, 9]])
    code, said = run("import-annotations", guess, "--format", "coco")
    assert (code, "Its annotations were imported as the truth." in said) == (PARTLY, True)
    assert drawn(workspace)["b.png"] == [(1, 2, 31, 42)]

    half = json.loads(coco(tmp_path / "half.json", c=[[1, 2, 10, 10]]).read_text())
    half["images"][0] |= {"width": 32, "height": 24}
    (tmp_path / "half.json").write_text(json.dumps(half))
    code, said = run("import-annotations", tmp_path / "half.json", "--format", "coco")
    assert (code, "64 x 48 pixels, its annotations are for 32 x 24" in said) == (PARTLY, True)
    assert drawn(workspace)["c.png"] == []
    assert run("import-annotations", truth, "--format", "coco", "--version", 0)[0] == MISUSED
