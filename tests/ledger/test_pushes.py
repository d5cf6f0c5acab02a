"""What the ledger knows of machines' boxes and of the truth, on either kind of database."""

from __future__ import annotations

import math
from datetime import datetime

from diffgram_flows.ledger import Ledger, PushRow, TaskRow
from diffgram_flows.models import Box, StoredObject

BOXES = (Box(4, 1, 2, 30, 40, 0.5),)


def test_every_box_is_told_with_the_file_that_it_may_be_on(ledger: Ledger) -> None:
    ledger.objects.add([StoredObject("s3://photos", key, 10, "1") for key in "ab"], lambda item: f"{item.key}.jpg")
    first, second = ledger.objects.claim((0, 99))
    ledger.objects.sent([first.id, second.id])
    ledger.objects.imported(first.id, file_id=7, input_id=70)
    ledger.objects.imported(second.id, file_id=8, input_id=80)
    ledger.pushes.intend(
        [
            PushRow("a.jpg", "digits@1", "intended", BOXES),  # travels with the import; nobody has followed it
            PushRow("a.jpg", "digits@2", "released", BOXES, file_id=6),  # of an earlier import of the object
            PushRow("b.jpg", "digits@1", "empty", (), file_id=8),
            PushRow("elsewhere.jpg", "digits@1", "sent", BOXES, file_id=9),
        ]
    )
    told = {(push.file_name, push.brain): (push.file_id, today) for push, today in ledger.pushes.places()}
    assert told == {
        ("a.jpg", "digits@1"): (None, 7),
        ("a.jpg", "digits@2"): (6, 7),
        ("elsewhere.jpg", "digits@1"): (9, None),
    }
    assert ledger.pushes.brains() == {"digits@1", "digits@2"}


def test_the_truth_is_known_by_its_brain(ledger: Ledger) -> None:
    ledger.pushes.intend(
        [
            PushRow("a.jpg", "ground-truth@1", "confirmed", BOXES, file_id=1),
            PushRow("b.jpg", "ground-truth@1", "empty", (), file_id=2),
            PushRow("c.jpg", "ground-truth@1", "sent", BOXES, file_id=3),
            PushRow("d.jpg", "ground-truth-teller@1", "failed", BOXES, file_id=4),
            PushRow("e.jpg", "digits@1", "confirmed", BOXES, file_id=5),
            PushRow("f.jpg", "groundXtruth@1", "confirmed", BOXES, file_id=6),
        ]
    )
    assert ledger.pushes.ground_truth_files() == {1, 2}
    assert {push.file_id for push, _ in ledger.pushes.places() if push.is_truth} == {1, 2, 3, 4}


def test_a_file_is_finished_at_the_end_of_its_last_task(ledger: Ledger) -> None:
    early, late = "2026-11-22T06:41:31+00:00", "2026-11-22T06:41:31.250000+00:00"
    ledger.work.save_tasks(
        [
            TaskRow(1, 1, 10, "complete", late),
            TaskRow(2, 2, 10, "complete", early),
            TaskRow(3, 1, 11, "complete", early),
            TaskRow(4, 2, 11, "in_review"),
            TaskRow(5, 1, 12, "complete"),
        ]
    )
    assert ledger.work.finished_at() == {10: datetime.fromisoformat(late).timestamp(), 12: -math.inf}
