"""Images that the server kept although it refused some of their boxes."""

from __future__ import annotations

import pytest
from servers.bench import Bench, Prelabels

from diffgram_flows.diffgram import ImportRow, MachineMark, instance_from_box
from diffgram_flows.importing import import_new
from diffgram_flows.importing.repairing import Repairer
from diffgram_flows.models import Box

UNKNOWN = 999_999


def boxes(label: int, *places: int) -> tuple[Box, ...]:
    return tuple(Box(label, place, 2, place + 20, 40, 0.5) for place in places)


@pytest.mark.parametrize(
    "bad", [pytest.param((0,), id="first"), pytest.param((1,), id="middle"), pytest.param((0, 3), id="first and last")]
)
def test_the_good_boxes_of_a_refused_import_are_added_once(bench: Bench, bad: tuple[int, ...]) -> None:
    label = bench.label()
    sent = [Box(UNKNOWN if i in bad else label, 5 * i, 2, 5 * i + 20, 40, 0.5) for i in range(4)]
    good = [box for i, box in enumerate(sent) if i not in bad]
    rows = bench.import_all(2, prelabel=Prelabels(tuple(sent)))
    assert len(rows) == 2
    for row in rows:
        assert sorted(bench.boxes(row.file_id or 0), key=lambda box: box.x_min) == good
        assert f"{len(bad)} of its 4 boxes were refused: box {bad[0]}: label_file_id {UNKNOWN}" in row.reason
    assert {(push.state, push.seen) for push in bench.ledger.pushes.rows()} == {("confirmed", tuple(good))}
    (found,) = [row for row in bench.client.imports() if row.file_id == rows[0].file_id]
    again = Repairer(bench.client).repair(found, rows[0].file_id or 0)
    assert again.added == 0
    assert len(bench.boxes(rows[0].file_id or 0)) == len(good)


def test_an_import_of_bad_boxes_only_leaves_the_image_alone(bench: Bench) -> None:
    (row,) = bench.import_all(1, prelabel=Prelabels(boxes(UNKNOWN, 1, 2)))
    assert bench.boxes(row.file_id or 0) == []
    assert [push.state for push in bench.ledger.pushes.rows()] == ["failed"]


def test_what_only_the_server_refuses_is_found_by_halves(bench: Bench) -> None:
    """The label was there when the repairer asked for labels, and is not any more for the server."""
    (row,) = bench.import_all(1)
    label = bench.label()
    repairer = Repairer(bench.client)
    repairer._labels = frozenset({label, UNKNOWN})
    mark = MachineMark("digits", "digits@1")
    found = ImportRow(
        instances=[instance_from_box(box, machine=mark) for box in (*boxes(label, 1, 2, 3), *boxes(UNKNOWN, 4))]
    )
    repair = repairer.repair(found, row.file_id or 0)
    assert (repair.added, list(repair.refused)) == (3, [3])
    assert len(bench.boxes(row.file_id or 0)) == 3


def test_what_a_person_has_drawn_meanwhile_stays(bench: Bench) -> None:
    label = bench.label()
    (row,) = bench.import_all(1, prelabel=Prelabels((*boxes(UNKNOWN, 1), *boxes(label, 2))))
    file_id = row.file_id or 0
    drawn = Box(label, 40, 3, 60, 20)
    there = bench.client.annotations(file_id).raw
    bench.client.save_annotations(file_id, [instance_from_box(drawn), *there])
    (found,) = [each for each in bench.client.imports() if each.file_id == file_id]
    Repairer(bench.client).repair(found, file_id)
    assert drawn in bench.boxes(file_id)
    assert len(bench.boxes(file_id)) == 2


def test_a_second_import_finds_nothing_to_repair(bench: Bench) -> None:
    prelabel = Prelabels((*boxes(UNKNOWN, 1), *boxes(bench.label(), 2)))
    bench.import_all(1, prelabel=prelabel)
    report = import_new(
        bench.client, bench.store, "", bench.ledger, directory_id=bench.directory_id, prelabel=prelabel, timeout=10
    )
    assert (report.imported, report.failed) == (0, 0)
