"""The demo as a user runs it: in a process of its own, which can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

_PREFECT_VARIABLES = ("PREFECT_API_URL", "PREFECT_TEST_MODE", "PREFECT_LOGGING_LEVEL", "PREFECT_PROFILES_PATH")


@dataclass
class DemoRun:
    """A demo on pictures of coloured squares, small enough to be learned in seconds."""

    folder: Path

    @property
    def workdir(self) -> Path:
        return self.folder / "work"

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "diffgram_flows.cli", "demo", "--workdir", str(self.workdir), *options]
        clean = {name: value for name, value in os.environ.items() if name not in _PREFECT_VARIABLES}
        return subprocess.Popen(
            command, env=clean, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )

    def own_pictures(self, count: int) -> tuple[str, ...]:
        """Options for ``count`` pictures of one square each, with a box that reaches out of the first picture."""
        pictures = self.folder / "pictures"
        pictures.mkdir()
        images, annotations = [], []
        for number in range(count):
            name = f"square-{number:03}.png"
            x, y = 5 + 7 * (number % 5), 4 + 9 * (number % 4)
            picture = Image.new("RGB", (96, 80), (20, 40, 60))
            picture.paste((230, 80, 40) if number % 2 else (40, 220, 90), (x, y, x + 40, y + 32))
            picture.save(pictures / name)
            images.append({"id": number, "file_name": name, "width": 96, "height": 80})
            box = [x, y, 40, 32] if number else [x, y, 400, 320]
            annotations.append({"id": number, "image_id": number, "category_id": 1 + number % 2, "bbox": box})
        categories = [{"id": 1, "name": "green"}, {"id": 2, "name": "red"}]
        truth = self.folder / "truth.json"
        truth.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
        return ("--images", str(pictures), "--truth", str(truth), "--image-size", "64")

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.workdir / "report" / "summary.json").read_text())
        return found


@pytest.fixture
def demo(tmp_path: Path) -> DemoRun:
    return DemoRun(tmp_path)


@pytest.fixture
def kill() -> Callable[[subprocess.Popen[str]], None]:
    def kill_now(process: subprocess.Popen[str]) -> None:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)

    return kill_now
