from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from servers.bench import Bench, Prelabels, client_of
from servers.lossy import LossyProxy

from diffgram_flows.diffgram import DiffgramClient, Packet, SaveResult
from diffgram_flows.errors import AuthenticationError, ServerUnreachable
from diffgram_flows.feedback import FileToLabel, PushReport, follow_pushes, push, reconcile_pushes
from diffgram_flows.ledger import PushRow, TaskRow
from diffgram_flows.models import Annotation, Box, BrainRef

FIRST, SECOND = BrainRef("digits", 1), BrainRef("digits", 2)


def files(bench: Bench, *boxes: Box) -> list[FileToLabel]:
    return [FileToLabel(row.file_id or 0, row.file_name, boxes) for row in bench.ledger.objects.rows("imported")]


def give(
    bench: Bench, wanted: Sequence[FileToLabel], brain: BrainRef = FIRST, client: DiffgramClient | None = None
) -> PushReport:
    return push(client or bench.client, bench.ledger, wanted, brain=brain, directory_id=bench.directory_id)


def settle(bench: Bench, brain: BrainRef = FIRST) -> None:
    report = follow_pushes(bench.client, bench.ledger, brain=brain, timeout=20, poll=0.05)
    assert report.waiting == 0


def states(bench: Bench) -> list[tuple[str, str]]:
    return [(row.brain, row.state) for row in bench.ledger.pushes.rows()]


def draw_as_a_person(bench: Bench, file_id: int, box: Box) -> int:
    """Save a box that no machine made; the id of its instance."""
    instance = {"type": "box", "label_file_id": box.label_file_id, "machine_made": False}
    corners = {"x_min": box.x_min, "y_min": box.y_min, "x_max": box.x_max, "y_max": box.y_max}
    (added,) = bench.client.save_annotations(
        file_id, [*bench.client.annotations(file_id).raw, instance | corners]
    ).added
    return added


@pytest.fixture
def car(bench: Bench) -> int:
    return bench.label("car")


def test_boxes_arrive_once_and_bear_the_brains_mark(bench: Bench, car: int) -> None:
    bench.import_all(3)
    box = Box(car, 3, 4, 30, 40, 0.75)
    assert give(bench, files(bench, box)).pushed == 3
    settle(bench)
    runs = {run.id for run in bench.client.model_runs() if run.reference_id == "digits@1"}
    for file in files(bench):
        (instance,) = bench.client.annotations(file.file_id).instances
        assert instance.box == box
        assert instance.machine_made
        assert instance.model_run_id in runs
    assert {state for _, state in states(bench)} == {"confirmed"}


def test_again_is_not_sent_again(bench: Bench, car: int) -> None:
    bench.import_all(2)
    wanted = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    give(bench, wanted)
    report = give(bench, wanted)
    settle(bench)
    assert (report.pushed, report.known) == (0, 2)
    assert give(bench, wanted).known == 2
    assert [len(bench.boxes(file.file_id)) for file in wanted] == [1, 1]


def test_seeing_nothing_is_remembered_and_sends_nothing(bench: Bench) -> None:
    bench.import_all(2)
    assert give(bench, files(bench)).empty == 2
    assert give(bench, files(bench)).known == 2
    assert states(bench) == [("digits@1", "empty")] * 2


def test_a_file_with_a_persons_box_is_left_alone(bench: Bench, car: int) -> None:
    bench.import_all(2)
    touched, free = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    persons = Box(car, 10, 10, 20, 20)
    draw_as_a_person(bench, touched.file_id, persons)
    report = give(bench, [touched, free])
    settle(bench)
    assert (report.pushed, report.skipped) == (1, 1)
    assert bench.boxes(touched.file_id) == [persons]


@pytest.mark.parametrize(
    ("status", "skipped"),
    [
        pytest.param("complete", 1, id="finished"),
        pytest.param("in_progress", 1, id="somebody is at it"),
        pytest.param("in_review", 1, id="in review"),
        pytest.param("available", 0, id="not begun"),
    ],
)
def test_a_file_that_people_have_begun_is_left_alone(bench: Bench, car: int, status: str, skipped: int) -> None:
    bench.import_all(1)
    (file,) = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    bench.ledger.work.save_tasks([TaskRow(1, 1, file.file_id, status)])
    assert give(bench, [file]).skipped == skipped


def test_a_deleted_box_is_a_persons_work_too(bench: Bench, car: int) -> None:
    box, other = Box(car, 3, 4, 30, 40, 0.75), Box(car, 5, 5, 50, 40, 0.8)
    bench.import_all(1, prelabel=Prelabels((box, other)))
    (file,) = files(bench, Box(car, 1, 1, 9, 9, 0.9))
    raw = bench.client.annotations(file.file_id).raw
    bench.client.save_annotations(file.file_id, [{**raw[0], "soft_delete": True}, *raw[1:]])
    assert give(bench, [file], SECOND).skipped == 1
    assert len(bench.boxes(file.file_id)) == 1


def test_a_new_brain_supersedes_the_untouched_boxes_of_the_old(bench: Bench, car: int) -> None:
    old, new = Box(car, 3, 4, 30, 40, 0.75), Box(car, 5, 6, 33, 44, 0.9)
    bench.import_all(2, prelabel=Prelabels((old, Box(car, 1, 1, 9, 9, 0.6))))
    report = give(bench, files(bench, new), SECOND)
    settle(bench, SECOND)
    assert (report.pushed, report.superseded, report.skipped) == (2, 4, 0)
    assert [bench.boxes(file.file_id) for file in files(bench)] == [[new], [new]]
    assert sorted(set(states(bench))) == [("digits@1", "superseded"), ("digits@2", "confirmed")]


def test_truth_that_was_never_sent_makes_no_box_a_persons(bench: Bench, car: int) -> None:
    bench.import_all(1)
    box = Box(car, 3, 4, 30, 40)
    (file,) = files(bench, box)
    give(bench, [file])
    settle(bench)
    bench.ledger.pushes.intend([PushRow(file.file_name, "ground-truth@1", "skipped", (box,), file.file_id)])
    assert give(bench, files(bench, Box(car, 5, 6, 20, 20)), SECOND).superseded == 1


def test_a_new_brain_that_sees_nothing_removes_the_old_boxes(bench: Bench, car: int) -> None:
    bench.import_all(1, prelabel=Prelabels((Box(car, 3, 4, 30, 40, 0.75),)))
    assert give(bench, files(bench), SECOND).empty == 1
    assert bench.boxes(files(bench)[0].file_id) == []


def test_machine_boxes_of_others_stay(bench: Bench, car: int) -> None:
    bench.import_all(1, prelabel=Prelabels((Box(car, 3, 4, 30, 40, 0.75),)))
    (file,) = files(bench, Box(car, 5, 6, 33, 44, 0.9))
    foreign = {
        "type": "box",
        "label_file_id": car,
        "x_min": 1,
        "y_min": 1,
        "x_max": 8,
        "y_max": 8,
        "machine_made": True,
    }
    bench.client.send_packet(Packet(bench.directory_id, file_id=file.file_id, mode="update", instances=[foreign]))
    while len(bench.boxes(file.file_id)) < 2:
        threading.Event().wait(0.05)
    give(bench, [file], SECOND)
    settle(bench, SECOND)
    assert {(box.x_min, box.x_max) for box in bench.boxes(file.file_id)} == {(1, 8), (5, 33)}


def test_three_brains_in_turn_leave_the_last_ones_boxes(bench: Bench, car: int) -> None:
    bench.import_all(1)
    for version in (1, 2, 3):
        brain = BrainRef("digits", version)
        assert give(bench, files(bench, Box(car, version, 4, 30, 40, 0.5)), brain).pushed == 1
        settle(bench, brain)
    (box,) = bench.boxes(files(bench)[0].file_id)
    assert box.x_min == 3


@pytest.mark.parametrize("arrived", ["with the file", "later"])
def test_a_roll_back_brings_the_earlier_brains_boxes_back(bench: Bench, car: int, arrived: str) -> None:
    old, new = Box(car, 3, 4, 30, 40, 0.75), Box(car, 5, 6, 33, 44, 0.9)
    bench.import_all(2, prelabel=Prelabels((old,)) if arrived == "with the file" else None)
    give(bench, files(bench, old))
    settle(bench)
    give(bench, files(bench, new), SECOND)
    settle(bench, SECOND)
    assert bench.ledger.pushes.replaced("digits@2") == []
    again = bench.ledger.pushes.replaced("digits@1")
    assert [row.seen for row in again] == [(old,), (old,)]

    report = give(bench, [FileToLabel(row.file_id or 0, row.file_name, row.seen) for row in again])
    assert (report.pushed, report.superseded) == (2, 2)
    assert {state for brain, state in states(bench) if brain == "digits@1"} == {"sent"}
    settle(bench)
    assert [bench.boxes(file.file_id) for file in files(bench)] == [[old], [old]]
    assert sorted(set(states(bench))) == [("digits@1", "confirmed"), ("digits@2", "superseded")]
    assert bench.ledger.pushes.replaced("digits@1") == []
    assert give(bench, files(bench)).known == 2


def test_a_roll_back_to_a_brain_that_saw_nothing_removes_the_boxes(bench: Bench, car: int) -> None:
    bench.import_all(1)
    give(bench, files(bench))
    give(bench, files(bench, Box(car, 5, 6, 33, 44, 0.9)), SECOND)
    settle(bench, SECOND)
    assert [row.state for row in bench.ledger.pushes.replaced("digits@1")] == ["empty"]
    assert give(bench, files(bench)).empty == 1
    assert bench.boxes(files(bench)[0].file_id) == []
    assert bench.ledger.pushes.replaced("digits@1") == []
    assert give(bench, files(bench)).known == 1


def test_a_reply_lost_after_a_roll_back_is_not_settled_by_the_earlier_push(bench: Bench, car: int) -> None:
    old, new = Box(car, 3, 4, 30, 40, 0.75), Box(car, 5, 6, 33, 44, 0.9)
    bench.import_all(1)
    give(bench, files(bench, old))
    settle(bench)
    give(bench, files(bench, new), SECOND)
    settle(bench, SECOND)
    (row,) = bench.ledger.pushes.replaced("digits@1")
    bench.ledger.pushes.settle(row, "intended")  # a crash right before the packet
    found = reconcile_pushes(bench.client, bench.ledger, grace=0)
    assert (found.released, found.confirmed) == (1, 0)
    give(bench, files(bench))
    settle(bench)
    assert bench.boxes(files(bench)[0].file_id) == [old]


class Meanwhile(DiffgramClient):
    """A person saves a box between our reading and our writing."""

    bench: Bench
    box: Box

    def save_annotations(self, file_id: int, instances: Sequence[Mapping[str, Any]]) -> SaveResult:
        draw_as_a_person(self.bench, file_id, self.box)
        return super().save_annotations(file_id, instances)


def test_what_a_person_loses_to_a_race_is_said_clearly(bench: Bench, car: int) -> None:
    bench.import_all(1, prelabel=Prelabels((Box(car, 3, 4, 30, 40, 0.75),)))
    with client_of(bench.sandbox, kind=Meanwhile) as client:
        assert isinstance(client, Meanwhile)
        client.bench, client.box = bench, Box(car, 10, 10, 20, 20)
        report = give(bench, files(bench, Box(car, 5, 6, 33, 44, 0.9)), SECOND, client)
    (failure,) = report.failures
    assert (report.skipped, report.pushed) == (1, 0)
    assert "A person drew on" in failure.reason
    assert "Draw them again" in bench.ledger.pushes.rows(brain="digits@2")[0].reason


def test_an_unknown_label_fails_and_is_not_tried_again(bench: Bench, car: int) -> None:
    bench.import_all(1)
    wanted = files(bench, Box(999_999, 3, 4, 30, 40, 0.75))
    give(bench, wanted)
    report = follow_pushes(bench.client, bench.ledger, brain=FIRST, timeout=20, poll=0.05)
    assert (report.failed, report.confirmed) == (1, 0)
    assert "999999" in report.failures[0].reason
    assert give(bench, wanted).known == 1


def test_a_file_that_is_gone_does_not_stop_the_others(bench: Bench, car: int) -> None:
    bench.import_all(1)
    (file,) = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    report = give(bench, [FileToLabel(999_999, "gone.jpg", file.seen), file])
    assert (report.pushed, report.failed) == (1, 1)
    assert report.failures[0].name == "gone.jpg"


def test_a_box_without_area_is_that_files_failure(bench: Bench, car: int) -> None:
    bench.import_all(2)
    first, second = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    report = give(bench, [FileToLabel(first.file_id, first.file_name, (Box(car, 9, 9, 9, 20, 0.5),)), second])
    assert (report.pushed, report.failed) == (1, 1)


def test_a_wrong_credential_stops_and_leaves_everything_to_be_pushed(bench: Bench, car: int) -> None:
    bench.import_all(12)
    wanted = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    with (
        DiffgramClient(bench.client.url, bench.client.project, "nobody", "wrong") as stranger,
        pytest.raises(AuthenticationError),
    ):
        give(bench, wanted, client=stranger)
    assert {state for _, state in states(bench)} <= {"released"}
    assert give(bench, wanted).pushed == 12


def test_a_lost_reply_is_reconciled_and_no_box_comes_twice(bench: Bench, car: int) -> None:
    bench.import_all(4)
    wanted = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    with (
        LossyProxy(bench.client.url, lambda path, number: "input/packet" in path and number == 2) as proxy,
        client_of(bench.sandbox, url=proxy.url) as client,
    ):
        report = give(bench, wanted, client=client)
    assert (report.pushed, report.unsure) == (3, 1)
    assert give(bench, wanted).known == 4
    found = reconcile_pushes(bench.client, bench.ledger)
    assert found.sent + found.confirmed == 1
    settle(bench)
    assert [len(bench.boxes(file.file_id)) for file in wanted] == [1, 1, 1, 1]


def test_lost_connections_keep_the_rest_back(bench: Bench, car: int) -> None:
    bench.import_all(10)
    wanted = files(bench, Box(car, 3, 4, 30, 40, 0.75))
    with (
        LossyProxy(bench.client.url, lambda path, number: "input/packet" in path) as proxy,
        client_of(bench.sandbox, url=proxy.url) as client,
        pytest.raises(ServerUnreachable),
    ):
        push(client, bench.ledger, wanted, brain=FIRST, directory_id=bench.directory_id, threads=1)
    reconcile_pushes(bench.client, bench.ledger)
    give(bench, wanted)
    settle(bench)
    assert [len(bench.boxes(file.file_id)) for file in wanted] == [1] * 10


def test_polygons_and_tags_are_sent_once_and_superseded_too(bench: Bench, car: int) -> None:
    outline = Annotation("polygon", car, ((3, 4), (30, 4), (30, 40)), score=0.75)
    tag = Annotation("tag", car, (), ((7, "red"),), 0.5)
    bench.import_all(1)
    (file,) = files(bench)
    file = replace(file, seen=(outline, tag))
    assert give(bench, [file]).pushed == 1
    settle(bench)
    assert give(bench, [file]).known == 1
    drawn = bench.client.annotations(file.file_id).instances
    assert sorted((each.type, each.machine_made, each.score) for each in drawn) == [
        ("polygon", True, 0.75),
        ("tag", True, 0.5),
    ]
    assert {each.type: each.attribute_groups for each in drawn}["tag"] == {"7": "red"}
    assert next(each.annotation for each in drawn if each.type == "polygon") == outline
    (row,) = bench.ledger.pushes.rows()
    assert row.seen == (outline, tag)

    better = outline._replace(points=((2, 4), (30, 4), (30, 41)))
    assert give(bench, [replace(file, seen=(better,))], brain=SECOND).superseded == 2
    settle(bench, SECOND)
    living = [each for each in bench.client.annotations(file.file_id).instances if not each.soft_delete]
    assert [each.annotation for each in living] == [better]
