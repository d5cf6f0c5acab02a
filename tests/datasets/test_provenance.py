"""What of an export counts as a person's work: on real files, with tasks, pushes and saves at a server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests
from servers.bench import Bench, Prelabels, client_of
from servers.pushing_process import push_and_be_killed
from servers.studio import Studio, box

from diffgram_flows.datasets import SnapshotReport
from diffgram_flows.datasets.provenance import make_shield
from diffgram_flows.diffgram import DiffgramClient, FileAnnotations, MachineMark, Packet, instance_from_box
from diffgram_flows.feedback import FileToLabel, follow_pushes, push, reconcile_pushes
from diffgram_flows.importing import assign, refresh_tasks
from diffgram_flows.ledger import PushRow
from diffgram_flows.models import Annotation, Box, BrainRef
from diffgram_flows.sandbox import Annotator, SandboxProcess, TrueBox
from diffgram_flows.sandbox.settings import SandboxSettings

BRAIN = BrainRef("digits", 1)
NAME = "image-000.jpg"


def send(bench: Bench, file_id: int, *boxes: Box, brain: BrainRef = BRAIN, known: bool = True) -> None:
    """A packet of a brain that arrives now, whatever people have done; ``known``: the ledger has its intent."""
    before = len(bench.client.imports(file_id=file_id))
    name = bench.ledger.objects.by_file_id()[file_id].file_name
    if known:
        bench.ledger.pushes.intend([PushRow(name, str(brain), "intended", boxes, file_id)])
    mark = MachineMark(model_ref=brain.name, model_run_ref=str(brain))
    instances = [instance_from_box(each, machine=mark) for each in boxes]
    bench.client.send_packet(Packet(bench.directory_id, file_id=file_id, mode="update", instances=instances))

    def done() -> bool:
        rows = bench.client.imports(file_id=file_id)
        return len(rows) > before and all(row.finished for row in rows)

    wait_until(done)


def wait_until(done: Callable[[], bool], seconds: float = 20) -> None:
    ends_at = time.monotonic() + seconds
    while not done():
        if time.monotonic() > ends_at:
            raise TimeoutError("it does not happen")
        time.sleep(0.02)


def restart(sandbox: SandboxProcess, settings: SandboxSettings) -> None:
    """Kill a server and start it with other settings; what hung in ``processing`` hangs for ever."""
    sandbox.kill()
    sandbox.settings = settings
    sandbox.start()


def a_job(studio: Studio) -> int:
    """A job with a task for every file, none of them begun."""
    bench = studio.bench
    name = f"job of {bench.directory_id}"
    (job_id,) = assign(
        bench.client, bench.ledger, directory_id=bench.directory_id, job_name=name, schema_id=studio.schema_id
    ).job_ids
    refresh_tasks(bench.client, bench.ledger)
    return job_id


def finished_file(studio: Studio, *drawn: TrueBox, prelabel: Sequence[Box] = ()) -> int:
    """A file that a person has finished."""
    studio.bench.draw(1)
    studio.finish({NAME: list(drawn)}, prelabel=Prelabels(tuple(prelabel), str(BRAIN)) if prelabel else None)
    (file_id,) = studio.bench.ledger.work.finished_files()
    time.sleep(0.02)  # a change of the file in the same moment as the end of its task would be taken for that end
    return file_id


def counts(report: SnapshotReport) -> tuple[int, int, int]:
    return report.human, report.confirmed, report.excluded


def boxes_of(studio: Studio) -> tuple[list[Box], tuple[int, int, int]]:
    """What is trained on now, of all files together, and the counts."""
    snapshot, report = studio.snapshot()
    return [box for sample in snapshot.samples for box in sample.boxes], counts(report)


@pytest.fixture
def car(studio: Studio) -> int:
    return studio.labels("car")[0]


@pytest.fixture
def browser(studio: Studio) -> Iterator[Callable[[str, dict[str, Any]], None]]:
    """What a person does in the page."""
    keys = studio.bench.sandbox
    with requests.Session() as session:
        login = {"email": keys.email, "password": keys.password, "mode": "password"}
        assert session.post(f"{keys.url}/api/user/login", json=login, timeout=30).status_code == 200

        def act(path: str, body: dict[str, Any]) -> None:
            assert session.post(keys.url + path, json=body, timeout=30).status_code == 200
            refresh_tasks(studio.bench.client, studio.bench.ledger)

        yield act


def test_what_a_person_left_is_confirmed_what_was_changed_or_drawn_is_human(studio: Studio, car: int) -> None:
    kept, moved, wrong = Box(car, 4, 6, 20, 20), Box(car, 30, 6, 50, 20), Box(car, 40, 30, 60, 46)
    truth = [box("car", 4, 6, 20, 20), box("car", 32, 8, 52, 24), box("car", 4, 30, 20, 46)]
    finished_file(studio, *truth, prelabel=[kept, moved, wrong])
    boxes, judged = boxes_of(studio)
    assert boxes == [Box(car, 4, 6, 20, 20), Box(car, 4, 30, 20, 46), Box(car, 32, 8, 52, 24)]
    assert judged == (2, 1, 0)


@pytest.mark.parametrize("known", [True, False], ids=["our brain", "a brain of another ledger"])
def test_what_arrives_after_the_end_of_a_task_is_excluded(studio: Studio, car: int, known: bool) -> None:
    file_id = finished_file(studio, box("car"))
    brain = BRAIN if known else BrainRef("stranger", 1)
    send(studio.bench, file_id, Box(car, 1, 1, 9, 9), Box(car, 40, 30, 60, 46), brain=brain, known=known)
    assert boxes_of(studio) == ([Box(car, 4, 6, 30, 40)], (1, 0, 2))


def test_a_packet_that_arrives_twice_brings_nothing_back(studio: Studio, car: int) -> None:
    kept, deleted = Box(car, 4, 6, 30, 40), Box(car, 40, 30, 60, 46)
    file_id = finished_file(studio, box("car"), prelabel=[kept, deleted])
    send(studio.bench, file_id, kept, deleted)
    assert len(studio.bench.boxes(file_id)) == 3
    assert boxes_of(studio) == ([kept], (0, 1, 1))


def test_what_a_person_and_a_machine_drew_at_one_place_is_the_persons(studio: Studio, car: int) -> None:
    file_id = finished_file(studio, box("car"))
    send(studio.bench, file_id, Box(car, 4, 6, 30, 40))
    assert boxes_of(studio) == ([Box(car, 4, 6, 30, 40)], (1, 0, 0))


def test_a_box_beyond_the_edge_is_recognised_as_the_server_stores_it(studio: Studio, car: int) -> None:
    file_id = finished_file(studio, box("car"), prelabel=[Box(car, -5, -3, 20, 20), Box(car, 4, 6, 30, 40)])
    assert boxes_of(studio) == ([Box(car, 4, 6, 30, 40)], (0, 1, 0))
    send(studio.bench, file_id, Box(car, -5, 20, 70, 60), brain=BrainRef("digits", 2))
    assert boxes_of(studio) == ([Box(car, 4, 6, 30, 40)], (0, 1, 1))


def test_finishing_again_confirms_what_came_between(studio: Studio, car: int, browser: Callable[..., None]) -> None:
    file_id = finished_file(studio, box("car"))
    late = Box(car, 40, 30, 60, 46)
    send(studio.bench, file_id, late)
    (task,) = studio.bench.ledger.work.tasks()
    browser(f"/api/v1/task/{task.task_id}/review", {"action": "request_change"})
    assert studio.bench.ledger.work.finished_files() == set()
    browser(f"/api/v1/task/{task.task_id}/annotation/list", {})
    instances = [dict(raw) for raw in studio.bench.client.annotations(file_id).raw]
    moved = [{**raw, "x_min": raw["x_min"] + 1} if not raw["machine_made"] else raw for raw in instances]
    save = {"instance_list": moved, "and_complete": True}
    browser("/api/v1/task/update", {"task_id": task.task_id, "mode": "incomplete"})
    browser(f"/api/v1/task/{task.task_id}/annotation/update", save)
    assert boxes_of(studio) == ([Box(car, 5, 6, 30, 40), late], (1, 1, 0))


def test_a_page_that_was_open_while_a_box_came_confirms_nothing(
    studio: Studio, car: int, browser: Callable[..., None]
) -> None:
    """The person saves, the box comes, the person presses the button: the box was never on the screen."""
    bench = studio.bench
    bench.import_all(1)
    job_id = a_job(studio)
    (task,) = bench.ledger.work.tasks()
    assert task.job_id == job_id
    drawn = {"type": "box", "label_file_id": car, "x_min": 4, "y_min": 6, "x_max": 30, "y_max": 40}
    browser(f"/api/v1/task/{task.task_id}/annotation/update", {"instance_list": [drawn]})
    send(bench, task.file_id, Box(car, 40, 30, 60, 46))
    browser(f"/api/v1/task/{task.task_id}/complete", {})
    assert boxes_of(studio) == ([Box(car, 4, 6, 30, 40)], (1, 0, 1))


def test_imported_truth_counts_without_a_task_and_later_predictions_do_not(studio: Studio, car: int) -> None:
    bench = studio.bench
    truth, guess = Box(car, 4, 6, 30, 40), Box(car, 40, 30, 60, 46)
    bench.import_all(2)
    by_name = {row.object.key: row for row in bench.ledger.objects.rows("imported")}
    first, second = by_name["image-000.jpg"], by_name["image-001.jpg"]
    send(bench, first.file_id or 0, truth, brain=BrainRef("ground-truth", 1))
    send(bench, first.file_id or 0, guess)
    send(bench, second.file_id or 0, guess)
    (row,) = bench.ledger.pushes.rows(brain="ground-truth@1")
    bench.ledger.pushes.settle(row, "confirmed")
    assert boxes_of(studio) == ([truth], (1, 0, 1))
    seen = [FileToLabel(first.file_id or 0, first.file_name, (guess,))]
    report = push(bench.client, bench.ledger, seen, brain=BrainRef("digits", 2), directory_id=bench.directory_id)
    assert (report.skipped, report.superseded) == (1, 0)


@pytest.mark.parametrize("state", ["skipped", "sent"])
def test_truth_that_did_not_arrive_makes_no_prediction_a_persons_work(studio: Studio, car: int, state: str) -> None:
    bench, guess = studio.bench, Box(car, 40, 30, 60, 46)
    file_id = finished_file(studio, box("car"))
    bench.ledger.pushes.intend(
        [PushRow(bench.ledger.objects.by_file_id()[file_id].file_name, "ground-truth@1", state, (guess,), file_id)]
    )
    send(bench, file_id, guess)
    assert boxes_of(studio) == ([Box(car, 4, 6, 30, 40)], (1, 0, 1))


def test_an_approval_confirms_what_came_during_the_review(
    studio: Studio, car: int, browser: Callable[..., None]
) -> None:
    bench = studio.bench
    bench.import_all(1)
    client = bench.client
    (person,) = [member.member_id for member in client.view_project().members if member.email == bench.sandbox.email]
    job_id = client.new_job(
        "reviewed",
        schema_id=studio.schema_id,
        member_ids=[person],
        reviewer_ids=[person],
        directory_ids=[bench.directory_id],
    )
    (file_id,) = bench.ledger.objects.by_file_id()
    client.launch_job(job_id)
    wait_until(lambda: client.job_stat(job_id).total == 1)
    refresh_tasks(client, bench.ledger, job_id=job_id)
    (task,) = bench.ledger.work.tasks()
    browser(f"/api/v1/task/{task.task_id}/complete", {})
    guess, late = Box(car, 4, 6, 30, 40), Box(car, 40, 30, 60, 46)
    send(bench, file_id, guess)
    browser(f"/api/v1/task/{task.task_id}/review", {"action": "approve"})
    refresh_tasks(client, bench.ledger, job_id=job_id)
    send(bench, file_id, late, brain=BrainRef("digits", 2))
    assert boxes_of(studio) == ([guess], (0, 1, 1))


class Counting(DiffgramClient):
    """Counts what it asks of single files."""

    asked = 0

    def annotations(self, file_id: int) -> FileAnnotations:
        self.asked += 1
        return super().annotations(file_id)


def test_the_server_is_asked_only_where_the_ledger_leaves_a_doubt(studio: Studio, car: int) -> None:
    bench = studio.bench
    guess = Box(car, 4, 6, 30, 40)
    bench.draw(3)
    studio.finish({f"image-{number:03}.jpg": [box("car")] for number in range(3)})
    expected = bench.ledger.work.finished_files()
    quiet, late, pure = sorted(expected)
    there = (Annotation.of_box(guess),)
    names = bench.ledger.objects.by_file_id()
    with client_of(bench.sandbox, kind=Counting) as client:
        assert isinstance(client, Counting)

        def judged() -> dict[int, tuple[int, int, int]]:
            shield = make_shield(client, bench.ledger, expected, directory_id=bench.directory_id)
            parts = {file_id: shield.judge(file_id, there) for file_id in expected}
            return {file_id: (part.human, part.confirmed, part.excluded) for file_id, part in parts.items()}

        assert judged() == dict.fromkeys(expected, (1, 0, 0))
        assert client.asked == 0  # nothing was pushed
        bench.ledger.pushes.intend(
            [PushRow(names[each].file_name, str(BRAIN), "sent", (guess,), each) for each in (quiet, late)]
        )
        for task in bench.ledger.work.tasks():  # finished an hour from now, and not changed since
            moment = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 3600))
            bench.ledger.work.save_tasks([replace(task, completed_at=moment)])
        assert judged() == {quiet: (0, 1, 0), late: (0, 1, 0), pure: (1, 0, 0)}
        assert client.asked == 0
        (task,) = [task for task in bench.ledger.work.tasks() if task.file_id == late]
        bench.ledger.work.save_tasks([replace(task, completed_at="2026-01-01T00:00:00+00:00")])
        assert judged() == {quiet: (0, 1, 0), late: (1, 0, 0), pure: (1, 0, 0)}  # the person's own, as the server says
        assert client.asked == 1


HUMAN_FILES, OPEN_FILES, A_FILE = 20, 2, 10


def test_none_of_200_untouched_model_boxes_gets_among_200_human_ones(
    make_studio: Callable[[SandboxProcess], Studio], tmp_path: Path
) -> None:
    """A brain pushes and is killed; a second run pushes the rest; some packets come twice; people are faster.

    The server's one worker hangs at a first packet while all that happens, and the server is killed, too.
    """
    kinds: dict[str, Any] = {"rate_limits": False, "task_delay": 0.05}
    sandbox = SandboxProcess(tmp_path / "sandbox", **kinds)
    with sandbox:
        studio = make_studio(sandbox)
        bench = studio.bench
        (car,) = studio.labels("car")
        bench.import_all(HUMAN_FILES + OPEN_FILES)
        job_id = a_job(studio)
        restart(sandbox, SandboxSettings(**kinds, import_delay=600, import_workers=1))
        bench.client.send_packet(Packet(bench.directory_id, url=f"{sandbox.url}/nothing.jpg", file_name="first.jpg"))
        wait_until(lambda: any(row.status == "processing" for row in bench.client.imports()))

        model = tuple(Box(car, 6 * each, 1, 6 * each + 5, 9, 0.9) for each in range(A_FILE))
        files = [FileToLabel(row.file_id or 0, row.file_name, model) for row in bench.ledger.objects.rows("imported")]
        push_and_be_killed(bench, files, BRAIN, after=5)
        assert 5 <= len(bench.ledger.pushes.rows(brain=str(BRAIN))) < len(files)
        reconcile_pushes(bench.client, bench.ledger, grace=0)
        push(bench.client, bench.ledger, files, brain=BRAIN, directory_id=bench.directory_id)
        mark = MachineMark(model_ref=BRAIN.name, model_run_ref=str(BRAIN))
        again = [instance_from_box(each, machine=mark) for each in model]
        for file in files[:5]:  # as a proxy does that has lost a reply
            packet = Packet(bench.directory_id, file_id=file.file_id, mode="update", instances=again)
            bench.client.send_packet(packet)

        drawn = [TrueBox("car", 6 * each, 20, 6 * each + 5, 40) for each in range(A_FILE)]
        Annotator(sandbox.url, sandbox.email, sandbox.password, lambda _: drawn).annotate(job_id, HUMAN_FILES)
        refresh_tasks(bench.client, bench.ledger)
        finished = bench.ledger.work.finished_files()
        assert len(finished) == HUMAN_FILES
        assert {len(bench.boxes(file_id)) for file_id in finished} == {A_FILE}  # the model's are still on their way

        restart(sandbox, SandboxSettings(**kinds))
        assert follow_pushes(bench.client, bench.ledger, brain=BRAIN, timeout=20, poll=0.1).waiting == 0
        everything = [len(bench.boxes(file.file_id)) for file in files]
        assert sum(everything) >= 2 * HUMAN_FILES * A_FILE + OPEN_FILES * A_FILE
        snapshot, report = studio.snapshot()
        boxes = [each for sample in snapshot.samples for each in sample.boxes]
        assert (len(snapshot.samples), len(boxes)) == (HUMAN_FILES, 200)
        assert {(each.y_min, each.y_max) for each in boxes} == {(20, 40)}
        assert counts(report) == (200, 0, 200)
        assert report.open >= OPEN_FILES * A_FILE
