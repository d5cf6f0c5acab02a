"""Pages with coloured graphs on them, and a person who knows where both are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from diffgram_flows.sandbox import Annotator, SandboxProcess, TrueBox
from diffgram_flows.sandbox.truth import plain_name

SIDE = 96
Sign = Callable[[str], str]  # puts an image of this name into a bucket and gives a signed URL of it


@dataclass(frozen=True)
class Page:
    """One picture, and what is to be seen in it."""

    path: Path
    page: TrueBox
    graph: TrueBox

    def truth(self, label: str) -> list[TrueBox]:
        return [self.page if label == "page" else self.graph]


def draw_pages(folder: Path, count: int, seed: int = 0) -> list[Page]:
    """Pictures of a bright page on a dark desk, with one blue graph on it."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _draw(folder / f"page-{seed}-{number:02}.png", np.random.default_rng([seed, number])) for number in range(count)
    ]


def _draw(path: Path, random: np.random.Generator) -> Page:
    image = Image.fromarray(random.integers(30, 60, (SIDE, SIDE, 3), dtype=np.uint8))
    canvas = ImageDraw.Draw(image)
    left, top = (int(value) for value in random.integers(2, 14, 2))
    right, bottom = (int(value) for value in random.integers(SIDE - 14, SIDE - 2, 2))
    canvas.rectangle((left, top, right - 1, bottom - 1), fill=(235, 235, 225))
    width, height = (int(value) for value in random.integers(24, 40, 2))
    x = int(random.integers(left + 2, right - width - 2))
    y = int(random.integers(top + 2, bottom - height - 2))
    canvas.rectangle((x, y, x + width - 1, y + height - 1), fill=(30, 60, 220))
    image.save(path)
    return Page(path, TrueBox("page", left, top, right, bottom), TrueBox("graph", x, y, x + width, y + height))


def annotate(sandbox: SandboxProcess, job_id: int, pages: list[Page], label: str, limit: int | None = None) -> int:
    """Let a person mark one label in the tasks of a job; how many tasks."""
    known = {page.path.name: page.truth(label) for page in pages}
    person = Annotator(sandbox.url, sandbox.email, sandbox.password, lambda name: known.get(plain_name(name)))
    return person.annotate(job_id, limit).images
