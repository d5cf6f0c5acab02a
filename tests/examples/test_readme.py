"""The README's Python, as a new user pastes it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from servers.pages import Page, annotate

from diffgram_flows import Project
from diffgram_flows.sandbox import SandboxProcess

README = (Path(__file__).parents[2] / "README.md").read_text()
QUICK = ", steps=100, image_size=64, learning_rate=6e-3, averaging=0.9, augmentation=0.0)"


def test_the_snippet_for_scripts_and_notebooks(
    project: Project,
    sandbox: SandboxProcess,
    pages: list[Page],
    url_of: Callable[[Page], str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    project.label.new("graph")
    directory = project.directory.new("cars")
    for page in pages[1:]:
        project.file.from_local(page.path, directory=directory)
    # What the snippet takes for granted: an image of one's own, people who have finished tasks, and a short training.
    program = snippet.replace("https://example.com/street.jpg", url_of(pages[0]))
    program = program.replace("brain = project.train", "people()\n\nbrain = project.train")
    program = program.replace(", directory=directory)  # in", f", directory=directory{QUICK}  # in")
    assert len({snippet, program}) == 2

    def people() -> None:
        job = project.job.get("label cars")
        assert job is not None
        ends_at = time.monotonic() + 20
        while job.stat().total < len(pages) and time.monotonic() < ends_at:
            time.sleep(0.05)
        assert annotate(sandbox, job.id, pages, "graph") == len(pages)

    names: dict[str, object] = {"people": people}
    exec(program, names)  # noqa: S102 - our own README
    assert capsys.readouterr().out.startswith("graph 0.")
    with Image.open(folder / "seen.png") as seen:
        assert seen.size == (96, 96)
    opened = names["project"]
    assert isinstance(opened, Project)
    opened.close()
