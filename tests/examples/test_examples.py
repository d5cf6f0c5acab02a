"""Every example, in the order in which one person would use them; the later ones need what the earlier ones made."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image
from servers.pages import SIDE, Page, annotate, draw_pages

from diffgram_flows import Project
from diffgram_flows.brains.strokes import colour_of
from diffgram_flows.errors import BucketNotFound
from diffgram_flows.sandbox import SandboxProcess

Run = Callable[..., str]
EXAMPLES = Path(__file__).parents[2] / "examples"


def test_importing_from_urls(run: Run, project: Project, pages: list[Page], url_of: Callable[[Page], str]) -> None:
    missing = url_of(pages[1]).replace("page-0-01", "page-0-99")
    said = run("import_from_url.py", url_of(pages[0]), missing)
    files = {file.name: file.id for file in project.directory.default().files()}
    (name,) = (name for name in files if name.startswith("page-0-00-"))
    assert f"file {files[name]}: {name}\n" in said
    assert "failed: page-0-99-" in said
    assert "signature=" not in said


def test_importing_existing_instances(
    run: Run, project: Project, pages: list[Page], url_of: Callable[[Page], str]
) -> None:
    said = run("import_existing_instances.py", url_of(pages[2]), "--label", "cat", "--box", "1", "1", "80", "90")
    assert "  cat: 1, 1, 80, 90\n" in said
    file_id = int(said.split()[1].rstrip(":"))
    (instance,) = project.client.annotations(file_id).instances
    assert (instance.label_file_id, instance.x_max) == (project.label.get("cat"), 80)


def test_importing_from_this_machine(run: Run, project: Project, pages: list[Page], folder: Path) -> None:
    for dataset in ("pages", "graphs"):
        said = run("import_from_local.py", "pages", "--directory", dataset)
        assert len(said.splitlines()) == len(pages)
        names = [file.name for file in project.directory.get(dataset).files()]
        assert len(names) == len(pages)
    assert run("import_from_local.py", "pages", "--directory", "graphs") == said  # again: the same files


def test_a_job_with_signed_urls(run: Run, project: Project, folder: Path) -> None:
    draw_pages(folder / "bucket", 5, seed=1)
    (folder / "bucket" / "notes.txt").write_text("no image")
    said = run("job_with_signed_urls.py", f"file://{folder}/bucket", "--job", "five pages")
    assert "5 files imported, 0 failed, 0 on their way" in said
    job = project.job.get("five pages")
    assert job is not None
    assert f"job {job.id}: five pages" in said
    assert wait_for_tasks(project, job.id, 5) == 5
    with pytest.raises(BucketNotFound):
        run("job_with_signed_urls.py", f"file://{folder}/nowhere", "--job", "nothing")
    assert project.job.get("nothing") is None


def test_training(spawn: Run, project: Project, pages: list[Page], sandbox: SandboxProcess) -> None:
    for dataset, label in (("pages", "page"), ("graphs", "graph")):
        project.label.new(label)
        job = project.job.new(f"mark {dataset}", sync_directories=[project.directory.get(dataset)])
        wait_for_tasks(project, job.id, len(pages))
        assert annotate(sandbox, job.id, pages, label) == len(pages)
    quick = ("--steps", "120", "--image-size", "64")

    def train(name: str, dataset: str) -> str:
        return spawn("train.py", name, "--directory", dataset, *quick)

    with ThreadPoolExecutor(2) as both:
        said = list(both.map(train, ("page_example_name", "graph_example_name"), ("pages", "graphs")))
    for name, told in zip(("page_example_name", "graph_example_name"), said, strict=True):
        assert "training " in told
        assert f"{name}@1 is ready: It is the first one, with an mAP50 of " in told
        assert "It is in use now." in told
        assert project.get_model(name).version == 1


def test_exporting(run: Run, project: Project, pages: list[Page], folder: Path) -> None:
    said = run("export.py", "annotations.json", "--directory", "graphs", "--only-complete")
    assert f"{len(pages)} files" in said
    exported = json.loads((folder / "annotations.json").read_text())
    ids = set(project.directory.get("graphs").file_ids())
    assert {int(key) for key in exported if key.isdecimal()} == ids
    assert set(exported["label_map"].values()) >= {"graph", "page"}


def test_predicting(run: Run, project: Project, pages: list[Page], url_of: Callable[[Page], str]) -> None:
    file = next(iter(project.directory.get("graphs").files(pages[3].path.stem)))
    ways = (("--path", pages[3].path), ("--url", url_of(pages[3])), ("--file-id", file.id))
    said = {run("predict.py", "graph_example_name", option, str(value)) for option, value in ways}
    assert len(said) == 1
    (told,) = said
    assert "graph_example_name@1 sees " in told
    assert "\n  box graph " in told


def test_predicting_with_the_only_brain(
    run: Run, pages: list[Page], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = Path("diffgram-flows-data", "brains", "graph_example_name")
    shutil.copytree(folder / only, tmp_path / only)
    picture = tmp_path / "page.png"
    picture.write_bytes(pages[4].path.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert run("predict_local.py", picture).startswith("page.png: graph")
    with Image.open(tmp_path / "page-seen.png") as seen:
        assert seen.size == (SIDE, SIDE)


def test_two_brains(run: Run, project: Project, pages: list[Page], folder: Path) -> None:
    said = run("two_brains.py", "page_example_name", "graph_example_name", pages[5].path, "seen.png")
    assert "page_example_name@1 sees: page" in said
    assert "graph_example_name@1 sees: graph" in said
    with Image.open(folder / "seen.png") as seen, Image.open(pages[5].path) as clean:
        assert seen.size == clean.size
        shown = {colour for _, colour in seen.convert("RGB").getcolors(2**20) or []}
    assert {colour_of(project.label.get(name) or 0) for name in ("page", "graph")} <= shown


def test_looking_at_the_project(spawn: Run, project: Project) -> None:
    said = spawn("project.py")
    assert repr(project) in said
    assert "graphs, 24 files" in said
    assert "labels: cat, page, graph" in said
    assert "mark graphs (complete)" in said


def test_every_example_is_run() -> None:
    source = Path(__file__).read_text()
    assert [path.name for path in EXAMPLES.glob("*.py") if f'"{path.name}"' not in source] == []


def wait_for_tasks(project: Project, job_id: int, count: int) -> int:
    ends_at = time.monotonic() + 20
    while (total := project.client.job_stat(job_id).total) < count and time.monotonic() < ends_at:
        time.sleep(0.05)
    return total
