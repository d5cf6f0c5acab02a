from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from diffgram_flows.errors import Busy, LabelMapChanged
from diffgram_flows.ledger import Ledger, PushRow, TaskRow, open_ledger
from diffgram_flows.ledger.history import History, SnapshotRow, TrainingRow
from diffgram_flows.ledger.work import JobRow
from diffgram_flows.models import Box, Failure, LabelMap, StoredObject


def stored(key: str, version: str = "1") -> StoredObject:
    return StoredObject("s3://photos", key, 10, version)


def named(item: StoredObject) -> str:
    return f"{item.key}-{item.version}"


def test_an_object_is_added_once_and_again_when_its_version_changes(ledger: Ledger) -> None:
    page = [stored("a"), stored("b")]
    assert ledger.objects.add(page, named) == 2
    assert ledger.objects.add(page, named) == 0
    assert ledger.objects.unknown([stored("a"), stored("b", "2"), stored("ü")]) == [stored("b", "2"), stored("ü")]


def test_targets_do_not_see_each_other(ledger: Ledger, url: str) -> None:
    other = open_ledger(url, "http://diffgram/project/2")
    ledger.objects.add([stored("a")], named)
    assert other.objects.unknown([stored("a")]) == [stored("a")]
    assert other.objects.counts() == {}
    other.close()


def test_a_chunk_is_claimed_by_one_worker_only(ledger: Ledger) -> None:
    ledger.objects.add([stored(f"{i:04}") for i in range(100)], named)
    (chunk,) = ledger.objects.ranges(100, "new")
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda _: ledger.objects.claim(chunk), range(8)))
    assert sorted(len(claim) for claim in claims) == [0] * 7 + [100]
    assert ledger.objects.counts() == {"sending": 100}


def test_ranges_cover_every_row_of_a_state(ledger: Ledger) -> None:
    ledger.objects.add([stored(f"{i:04}") for i in range(25)], named)
    ranges = ledger.objects.ranges(10, "new")
    assert len(ranges) == 3
    covered = [row.object.key for part in ranges for row in ledger.objects.rows("new", between=part)]
    assert covered == [row.object.key for row in ledger.objects.stream("new", page=7)] == [f"{i:04}" for i in range(25)]


def test_the_life_of_an_object(ledger: Ledger) -> None:
    ledger.objects.add([stored("a"), stored("b"), stored("c")], named)
    a, b, c = ledger.objects.claim((0, 99))
    ledger.objects.sent([a.id, b.id])
    ledger.objects.release([b.id], "the URL expired\0\ud800")
    ledger.objects.imported(a.id, file_id=7, input_id=70)
    ledger.objects.failed(c.id, "not an image", state="refused")
    assert ledger.objects.by_file_id()[7].object == stored("a")
    assert [(row.state, row.attempts) for row in ledger.objects.rows()] == [("imported", 1), ("new", 1), ("refused", 0)]
    assert ledger.objects.rows("new")[0].reason == "the URL expired\ufffd\ufffd"
    assert ledger.objects.failures() == [Failure("s3://photos/c", "not an image")]


def test_a_file_is_finished_when_every_task_of_it_is(ledger: Ledger) -> None:
    ledger.work.save_tasks(
        [TaskRow(1, 1, 10, "complete"), TaskRow(2, 1, 11, "complete"), TaskRow(3, 2, 11, "available")]
    )
    assert ledger.work.finished_files() == {10}
    ledger.work.save_tasks([TaskRow(3, 2, 11, "complete", "2026-11-22")])
    assert ledger.work.finished_files() == ledger.work.tasked_files() == {10, 11}


def test_a_job_is_remembered_from_its_intent_on(ledger: Ledger) -> None:
    ledger.work.save_job(JobRow(1, "digits 1"))
    ledger.work.save_job(JobRow(1, "digits 1", directory_id=3, job_id=9, launched=True))
    assert ledger.work.jobs() == [JobRow(1, "digits 1", 3, 9, True)]


def test_a_push_is_intended_once_for_each_file_and_brain(ledger: Ledger) -> None:
    boxes = (Box(4, 1, 2, 30, 40, 0.5),)
    ledger.pushes.intend([PushRow("a.jpg", "digits@1", "intended", boxes, file_id=7)])
    ledger.pushes.intend([PushRow("a.jpg", "digits@1", "intended", (), file_id=7)])
    (row,) = ledger.pushes.rows("intended", brain="digits@1")
    assert row.seen == boxes
    ledger.pushes.settle(row, "confirmed")
    assert [push.state for push in ledger.pushes.rows()] == ["confirmed"]
    assert ledger.pushes.rows(brain="digits@2") == []


def test_the_label_map_only_grows(ledger: Ledger) -> None:
    first = ledger.history.extend_label_map(LabelMap().extended({8: "car", 3: "person"}))
    assert first.labels == ((3, "person"), (8, "car"))
    grown = ledger.history.extend_label_map(first.extended({1: "sign"}))
    assert grown.labels == ((3, "person"), (8, "car"), (1, "sign"))
    renamed = LabelMap(((3, "pedestrian"), *grown.labels[1:]))
    assert ledger.history.extend_label_map(renamed).names == ("pedestrian", "car", "sign")
    with pytest.raises(LabelMapChanged, match="Class indices"):
        ledger.history.extend_label_map(LabelMap(((8, "car"), (3, "person"), (1, "sign"))))


def test_of_two_who_extend_the_label_map_at_the_same_time_one_is_refused(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ledger.history.extend_label_map(LabelMap(((3, "person"),)))
    ledger.history.extend_label_map(first.extended({8: "car"}))
    with monkeypatch.context() as stale:  # as the other one has read it a moment before
        stale.setattr(History, "label_map", lambda _: first)
        with pytest.raises(LabelMapChanged, match="Start it again"):
            ledger.history.extend_label_map(first.extended({9: "bus"}))
    assert ledger.history.label_map().labels == ((3, "person"), (8, "car"))


def test_history_tells_which_brain_came_from_which_snapshot(ledger: Ledger) -> None:
    ledger.history.add_snapshot(SnapshotRow("abc", "/s/abc", 5, 10, 30, "digest"))
    ledger.history.add_snapshot(SnapshotRow("abc", "/elsewhere", 6, 10, 30, "digest"))
    assert [(row.snapshot_id, row.folder) for row in ledger.history.snapshots()] == [("abc", "/s/abc")]
    ledger.history.save_training(TrainingRow("digits@1", "abc"))
    ledger.history.save_training(TrainingRow("digits@1", "abc", promoted=True, map=0.4, map50=0.8, verdict="first"))
    (training,) = ledger.history.trainings()
    assert (training.promoted, training.map50, training.verdict) == (True, 0.8, "first")


def test_a_lock_has_one_holder(ledger: Ledger) -> None:
    with (
        ledger.locks.hold("cycle"),
        pytest.raises(Busy, match="cycle lock is held by process"),
        ledger.locks.hold("cycle"),
    ):
        pass
    with ledger.locks.hold("cycle"):
        pass


def test_a_lock_is_renewed_while_it_is_held(ledger: Ledger) -> None:
    with ledger.locks.hold("cycle", seconds=0.3):
        time.sleep(0.7)
        with pytest.raises(Busy), ledger.locks.hold("cycle"):
            pass


def test_a_killed_holder_loses_the_lock_at_once(ledger: Ledger, url: str) -> None:
    script = f"""
        import time
        from diffgram_flows.ledger import open_ledger
        with open_ledger({url!r}, {ledger.target!r}).locks.hold("cycle", seconds=3600):
            print("held", flush=True)
            time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(Busy), ledger.locks.hold("cycle"):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    with ledger.locks.hold("cycle"):
        pass
