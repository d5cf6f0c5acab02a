"""The same cycle with brains that say what an image shows as a whole, and with brains that paint its pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffgram_flows.parameters import CycleParameters
from diffgram_flows.sandbox import Annotator, TrueShape
from diffgram_flows.sandbox.truth import TrueThing, plain_name
from diffgram_flows.tasks.workspace import open_workspace
from flows.cycle import cycle

COLOURS = {"red": (220, 30, 30), "blue": (30, 60, 220)}
SIDE = 96


@dataclass
class Gallery:
    """Pictures of one red or blue rectangle each, and a person who says or draws what is in them."""

    site: Any
    kind: str

    def arrive(self, start: int, stop: int) -> None:
        for number in range(start, stop):
            random = np.random.default_rng([5, number])
            image = Image.fromarray(random.integers(90, 130, (SIDE, SIDE, 3), dtype=np.uint8))
            ImageDraw.Draw(image).polygon(self.outline(number), COLOURS[self.name(number)])
            image.save(self.site.bucket / f"{number:03}.png")

    def name(self, number: int) -> str:
        return ("red", "blue")[number % 2]

    def outline(self, number: int) -> list[tuple[int, int]]:
        x, y = 8 + 3 * (number % 7), 6 + 4 * (number % 5)
        return [(x, y), (x + 48, y), (x + 48, y + 44), (x, y + 44)]

    def truth(self, name: str) -> list[TrueThing]:
        number = int(Path(plain_name(name)).stem)
        points = () if self.kind == "tag" else tuple(self.outline(number))
        return [TrueShape(self.name(number), self.kind, points)]

    def annotate(self, limit: int | None = None) -> Any:
        keys = self.site.sandbox
        person = Annotator(keys.url, keys.email, keys.password, self.truth, tolerance_iou=0.5)
        (job,) = self.site.workspace.ledger.work.jobs()
        return person.annotate(job.job_id, limit=limit)

    def parameters(self, method: str) -> CycleParameters:
        form: CycleParameters = self.site.cycle_parameters(min_new_files=20)
        wanted = {"method": method, "brain": self.kind, "steps": 60, "image_size": 64, "learning_rate": 6e-3}
        return form.model_copy(update={"training": form.training.model_copy(update=wanted)})


@pytest.mark.parametrize(
    ("method", "kind", "metric"),
    [("classification", "tag", "macro F1"), ("semantic_segmentation", "polygon", "mean IoU")],
)
def test_train_evaluate_promote_predict_and_push(
    make_site: Callable[..., Any], sandbox: Any, method: str, kind: str, metric: str
) -> None:
    gallery = Gallery(make_site(sandbox), kind)
    gallery.arrive(0, 30)
    site = gallery.site
    client = open_workspace(site.target, create=True).client
    client.ensure_labels(next(schema for schema in client.schemas() if schema.is_default).id, list(COLOURS))
    form = gallery.parameters(method)

    assert cycle(form).did == ("import",)
    assert gallery.annotate(limit=24).drawn == 24
    turn = cycle(form)
    assert turn.did == ("import", "export", "train", "predict", "update")
    assert turn.champion == f"{kind}@1"
    record = site.workspace.champion(kind)
    test = record.manifest.metrics["test"]
    assert (record.manifest.method, test.metric) == (method, metric)
    assert test.value > 0.7

    pushes = site.workspace.ledger.pushes.rows(brain=f"{kind}@1")
    assert [push.state for push in pushes] == ["confirmed"] * 6
    labels = site.workspace.label_names()
    for push in pushes:
        seen = site.workspace.client.annotations(push.file_id).instances
        assert {(each.type, each.machine_made) for each in seen} == {(kind, True)}
        number = int(Path(plain_name(push.file_name)).stem)
        assert labels[seen[0].label_file_id] == gallery.name(number)

    gallery.arrive(30, 32)  # what comes now brings its pre-labels along
    assert cycle(form).did == ("import",)
    tally = gallery.annotate()
    assert (tally.images, tally.prelabels) == (8, 8)
    assert tally.kept >= 6  # a person agrees with most of what the brain says
