from __future__ import annotations

from pathlib import Path

import pytest
from servers.bench import Bench, Prelabels

from diffgram_flows.errors import NothingToImport
from diffgram_flows.importing import ImportReport, import_new, scan
from diffgram_flows.ledger import open_ledger
from diffgram_flows.models import Box
from diffgram_flows.sandbox.process import SandboxProcess
from diffgram_flows.storage import open_store


def run(bench: Bench, **options: object) -> ImportReport:
    defaults: dict[str, object] = {"poll": 0.05, "timeout": 30.0}
    return import_new(
        bench.client,
        bench.store,
        "",
        bench.ledger,
        directory_id=bench.directory_id,
        **{**defaults, **options},  # type: ignore[arg-type]
    )


def test_every_image_becomes_one_file(bench: Bench) -> None:
    bench.draw(7)
    (bench.folder / "größe 1 (a).JPG").write_bytes((bench.folder / "image-000.jpg").read_bytes())
    report = run(bench)
    assert (report.listed, report.new, report.imported, report.waiting) == (8, 8, 8, 0)
    rows = bench.ledger.objects.rows("imported")
    assert bench.names() == sorted(row.file_name for row in rows)
    assert {row.file_id for row in rows} == set(bench.client.file_ids(bench.directory_id))


def test_a_second_import_sends_nothing(bench: Bench) -> None:
    bench.draw(3)
    run(bench)
    again = run(bench)
    assert (again.listed, again.new, again.imported) == (3, 0, 0)
    assert set(bench.packets().values()) == {1}


def test_a_changed_object_becomes_another_file(bench: Bench) -> None:
    bench.draw(2)
    run(bench)
    (bench.folder / "image-000.jpg").write_bytes((bench.folder / "image-001.jpg").read_bytes() + b"\0")
    assert run(bench).imported == 1
    assert len(bench.names()) == 3


def test_the_window_bounds_what_is_on_its_way(bench: Bench) -> None:
    bench.draw(30)
    assert run(bench, window=10, chunk_size=5).imported == 30


def test_bad_objects_do_not_stop_the_good_ones(bench: Bench) -> None:
    bench.draw(3)
    (bench.folder / "text.jpg").write_text("Dear Sir or Madam")
    header_only = (bench.folder / "image-000.jpg").read_bytes()[:400]
    (bench.folder / "cut.jpg").write_bytes(header_only)
    report = run(bench)
    assert (report.imported, report.refused + report.failed) == (3, 2)
    assert {Path(failure.name).name for failure in report.failures} == {"text.jpg", "cut.jpg"}
    assert all(failure.reason for failure in report.failures)


def test_without_inspection_the_server_finds_out(bench: Bench) -> None:
    bench.draw(1)
    (bench.folder / "text.jpg").write_text("Dear Sir or Madam")
    report = run(bench, inspect_headers=False)
    assert (report.imported, report.refused, report.failed) == (1, 0, 1)
    assert "Could not open file" in report.failures[0].reason


def test_nothing_to_import_is_an_error_until_something_is_under_way(bench: Bench) -> None:
    with pytest.raises(NothingToImport):
        run(bench)
    bench.draw(2)
    assert run(bench, timeout=0.0).waiting == 2
    for path in bench.folder.iterdir():
        path.rename(bench.folder.parent / path.name)
    report = run(bench)
    assert (report.listed, report.refused, report.waiting) == (0, 2, 0)


def test_while_another_worker_lists_the_bucket_an_import_does_what_is_there_already(bench: Bench) -> None:
    bench.draw(2)
    scan(bench.store, "", bench.ledger)
    bench.draw(1, "late")
    with bench.ledger.locks.hold("listing"):
        report = run(bench, timeout=3.0)
    assert (report.listed, report.imported) == (0, 2)
    assert run(bench).imported == 1


def test_a_lost_ledger_adopts_the_files_that_are_there(bench: Bench, tmp_path: Path) -> None:
    bench.draw(4)
    run(bench)
    ids = set(bench.client.file_ids(bench.directory_id))
    fresh = open_ledger(str(tmp_path / "fresh.db"), bench.ledger.target)
    report = import_new(bench.client, bench.store, "", fresh, directory_id=bench.directory_id, poll=0.05, timeout=30)
    assert (report.imported, report.failed) == (4, 0)
    assert (
        {row.file_id for row in fresh.objects.rows("imported")} == ids == set(bench.client.file_ids(bench.directory_id))
    )
    fresh.close()


def test_the_same_bucket_into_two_datasets(bench: Bench, sandbox: SandboxProcess) -> None:
    bench.draw(2)
    run(bench)
    second = bench.client.ensure_directory(f"second of {bench.directory_id}")
    ledger = bench.ledger.for_target("second")
    report = import_new(bench.client, bench.store, "", ledger, directory_id=second.id, poll=0.05, timeout=30)
    assert (report.imported, report.duplicates) == (2, 0)
    assert set(bench.client.file_ids(second.id)).isdisjoint(bench.client.file_ids(bench.directory_id))


def test_objects_of_another_bucket_are_left_alone(bench: Bench, tmp_path: Path) -> None:
    bench.draw(2)
    other = tmp_path / "other"
    other.mkdir()
    (other / "x.jpg").write_bytes((bench.folder / "image-000.jpg").read_bytes())
    with open_store(f"file://{other}")[0] as store:
        import_new(bench.client, store, "", bench.ledger, directory_id=bench.directory_id, timeout=0.0)
    report = run(bench)
    assert (report.imported, report.waiting) == (2, 1)
    assert [row.object.bucket for row in bench.ledger.objects.rows("new")] == [f"file://{other}"]


def test_prelabels_travel_along_and_are_known_as_ours(bench: Bench) -> None:
    box = Box(bench.label(), 3, 4, 30, 40, 0.75)
    brain = Prelabels((box,))
    bench.draw(3)
    run(bench, prelabel=brain)
    assert len(brain.asked) == 3
    for row in bench.ledger.objects.rows("imported"):
        assert row.file_id is not None
        (instance,) = bench.client.annotations(row.file_id).instances
        assert instance.box == box
        assert instance.machine_made
        assert instance.model_run_id in {r.id for r in bench.client.model_runs() if r.reference_id == "digits@1"}
    pushes = bench.ledger.pushes.rows(brain="digits@1")
    assert {(push.state, push.seen, push.file_id is None) for push in pushes} == {("confirmed", (box,), False)}


def test_a_brain_that_sees_nothing_is_remembered(bench: Bench) -> None:
    bench.draw(2)
    run(bench, prelabel=Prelabels(()))
    assert [push.state for push in bench.ledger.pushes.rows()] == ["empty", "empty"]


def test_a_label_that_the_project_does_not_know_costs_the_boxes_and_not_the_image(bench: Bench) -> None:
    bench.draw(2)
    good, bad = Box(bench.label(), 1, 2, 30, 40, 0.9), Box(999_999, 1, 2, 30, 40, 0.9)
    report = run(bench, prelabel=Prelabels((good, bad)))
    assert (report.imported, report.failed) == (2, 0)
    assert all("1 of its 2 boxes were refused" in row.reason for row in bench.ledger.objects.rows("imported"))
    pushes = bench.ledger.pushes.rows("confirmed")
    assert [push.seen for push in pushes] == [(good,), (good,)], "what was refused was never pushed"
    assert all("box 1: label_file_id 999999" in push.reason for push in pushes)
