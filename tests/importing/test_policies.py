"""Files whose objects have changed or gone: what the policy says happens, and people's work does not vanish."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from servers.bench import Bench, Prelabels

from diffgram_flows.diffgram import shapes
from diffgram_flows.importing import ImportReport, Policy, archive, import_new
from diffgram_flows.models import Box


def sync(bench: Bench, **policy: Any) -> ImportReport:
    return import_new(
        bench.client,
        bench.store,
        "",
        bench.ledger,
        directory_id=bench.directory_id,
        policy=Policy(**policy),
        poll=0.05,
        timeout=20,
    )


def change(bench: Bench, name: str = "image-000.jpg") -> None:
    path = bench.folder / name
    path.write_bytes(path.read_bytes() + b"\0")


def draw_on(bench: Bench, file_id: int, *, machine: bool) -> None:
    box = {**shapes.box(bench.label(), 1, 2, 30, 40), "machine_made": machine}
    bench.client.save_annotations(file_id, [*bench.client.annotations(file_id).raw, box])


@pytest.mark.parametrize(
    ("policy", "files", "states"),
    [
        pytest.param({}, 3, {"imported": 2, "superseded": 1}, id="by default the old file stays"),
        pytest.param({"old_file": "archive"}, 2, {"imported": 2, "archived": 1}, id="the old file leaves"),
        pytest.param({"changed": "ignore"}, 2, {"imported": 2}, id="the change is ignored"),
    ],
)
def test_a_changed_object(bench: Bench, policy: dict[str, Any], files: int, states: dict[str, int]) -> None:
    bench.import_all(2)
    change(bench)
    sync(bench, **policy)
    assert (len(bench.names()), bench.states()) == (files, states)
    assert sync(bench, **policy).new == 0


@pytest.mark.parametrize(
    ("deleted", "files", "state"), [pytest.param("ignore", 2, "gone"), pytest.param("archive", 1, "archived")]
)
def test_a_deleted_object(bench: Bench, deleted: Literal["ignore", "archive"], files: int, state: str) -> None:
    bench.import_all(2)
    (bench.folder / "image-000.jpg").unlink()
    report = sync(bench, deleted=deleted)
    assert report.archived == (deleted == "archive")
    assert (len(bench.names()), bench.states()) == (files, {"imported": 1, state: 1})


def test_an_object_that_comes_back_keeps_its_file_or_gets_a_new_one(bench: Bench) -> None:
    bench.import_all(2)
    path = bench.folder / "image-000.jpg"
    kept = path.rename(bench.folder.parent / "kept.jpg")
    sync(bench)
    kept.rename(path)
    assert sync(bench).imported == 0, "its file is still there"
    path.rename(kept)
    sync(bench, deleted="archive")
    kept.rename(path)
    assert sync(bench).imported == 1
    assert (len(bench.names()), bench.states()) == (2, {"imported": 2})


def test_a_file_that_a_person_has_worked_on_stays_unless_that_is_said_explicitly(bench: Bench) -> None:
    rows = bench.import_all(3)
    people, machine, untouched = (row.file_id or 0 for row in rows)
    draw_on(bench, people, machine=False)
    draw_on(bench, machine, machine=True)  # but by nobody that the ledger knows
    bench.draw(1, "another")
    for number in range(3):
        (bench.folder / f"image-00{number}.jpg").unlink()
    assert sync(bench, deleted="archive").archived == 1
    there = set(bench.client.file_ids(bench.directory_id))
    assert {people, machine} < there
    assert untouched not in there
    assert [row.reason for row in bench.ledger.objects.rows("gone")] == [
        "Its file stays: a person has worked on it."
    ] * 2
    assert sync(bench, deleted="archive").archived == 0
    assert sync(bench, deleted="archive", archive_human_work=True).archived == 2
    assert bench.states() == {"imported": 1, "archived": 3}
    assert bench.client.annotations(people).instances, "what was drawn stays in the project"


def test_boxes_that_we_pushed_are_no_human_work(bench: Bench) -> None:
    bench.import_all(1, prelabel=Prelabels((Box(bench.label(), 3, 4, 30, 40, 0.5),)))
    change(bench)
    assert sync(bench, old_file="archive").archived == 1
    assert len(bench.names()) == 1


def test_a_crash_while_a_file_leaves_is_finished_by_the_next_import(bench: Bench) -> None:
    bench.import_all(2)
    (bench.folder / "image-000.jpg").unlink()
    sync(bench)
    (gone,) = bench.ledger.objects.rows("gone")
    bench.ledger.objects.archiving([gone.id])
    archive(bench.client, bench.ledger, bench.store.bucket, directory_id=bench.directory_id, policy=Policy())
    assert (len(bench.names()), bench.states()) == (1, {"imported": 1, "archived": 1})
