from __future__ import annotations

import pytest
from servers.bench import Bench, Prelabels

from diffgram_flows.diffgram import FileAnnotations, FileRow, Instance
from diffgram_flows.feedback import Acceptance, acceptance
from diffgram_flows.feedback.acceptance import compare
from diffgram_flows.importing import assign, refresh_tasks
from diffgram_flows.models import Box, BrainRef
from diffgram_flows.sandbox.truth import TrueBox

OURS = Box(4, 10, 10, 30, 30, 0.9)
BRAIN = BrainRef("digits", 1)


def instance(box: Box, *, machine: bool = False, number: int = 1, deleted: bool = False) -> Instance:
    return Instance(
        id=number,
        type="box",
        label_file_id=box.label_file_id,
        x_min=box.x_min,
        y_min=box.y_min,
        x_max=box.x_max,
        y_max=box.y_max,
        machine_made=machine,
        soft_delete=deleted,
    )


@pytest.mark.parametrize(
    ("there", "kept", "corrected"),
    [
        pytest.param([instance(OURS, machine=True)], 1, 0, id="untouched"),
        pytest.param([instance(OURS)], 1, 0, id="saved by a person as it was"),
        pytest.param([instance(Box(4, 12, 10, 32, 30))], 0, 1, id="moved a little"),
        pytest.param([instance(Box(5, 10, 10, 30, 30))], 0, 1, id="another label"),
        pytest.param([instance(Box(4, 28, 28, 50, 50))], 0, 0, id="drawn elsewhere"),
        pytest.param([], 0, 0, id="deleted"),
        pytest.param([instance(OURS, machine=True, deleted=True)], 0, 0, id="deleted softly"),
        pytest.param([instance(Box(4, 12, 10, 32, 30), machine=True)], 0, 0, id="another machine's box"),
    ],
)
def test_one_box(there: list[Instance], kept: int, corrected: int) -> None:
    annotations = FileAnnotations(file=FileRow(id=1), instances=there, raw=[])
    assert compare([OURS], annotations) == (kept, corrected)


def test_a_persons_box_corrects_one_of_ours_only() -> None:
    ours = [OURS, Box(4, 11, 10, 31, 30, 0.5)]
    annotations = FileAnnotations(file=FileRow(id=1), instances=[instance(Box(4, 12, 10, 32, 30))], raw=[])
    assert compare(ours, annotations) == (0, 1)


def test_what_people_made_of_the_prelabels(bench: Bench) -> None:
    car = bench.label("car")
    good, crooked, spurious = Box(car, 2, 2, 20, 20, 0.9), Box(car, 30, 2, 50, 20, 0.8), Box(car, 40, 30, 60, 46, 0.3)
    bench.import_all(3, prelabel=Prelabels((good, crooked, spurious)))
    schema = bench.client.schemas()[0].id
    report = assign(
        bench.client,
        bench.ledger,
        directory_id=bench.directory_id,
        job_name=f"job {bench.directory_id}",
        schema_id=schema,
    )
    truth = [TrueBox("car", 2, 2, 20, 20), TrueBox("car", 34, 2, 54, 20), TrueBox("car", 2, 30, 12, 40)]
    bench.work(report.job_ids[0], 2, truth)
    refresh_tasks(bench.client, bench.ledger)
    found = acceptance(bench.client, bench.ledger, brain=BRAIN)
    assert found == Acceptance(prelabels=6, kept=2, corrected=2, deleted=2, files=2)
    assert found.rate == pytest.approx(1 / 3)


def test_nothing_pushed_is_nothing_accepted(bench: Bench) -> None:
    assert acceptance(bench.client, bench.ledger, brain=BRAIN) == Acceptance()
    assert Acceptance().rate == 0.0
