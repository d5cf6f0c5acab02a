from __future__ import annotations

from collections.abc import Iterator

import pytest

from diffgram_flows.errors import LedgerError, PlanOutdated
from diffgram_flows.ledger import Change, Ledger, PushRow, Recorded, TaskRow
from diffgram_flows.ledger.work import JobRow
from diffgram_flows.models import StoredObject

BUCKET = "s3://photos"


def found(*keys: str) -> list[StoredObject]:
    return [StoredObject(BUCKET, key, 10, "1") for key in sorted(keys)]


def named(item: StoredObject) -> str:
    return f"{item.key}-{item.version}"


def test_the_position_moves_with_every_change_and_with_nothing_else(ledger: Ledger) -> None:
    seen = [ledger.position()]

    def moved() -> int:
        seen.append(ledger.position())
        return seen[-1] - seen[-2]

    ledger.objects.add(found("a", "b", "c"), named)
    assert moved() == 3
    ledger.objects.add(found("a", "b", "c"), named)
    ledger.objects.note([1], "text")
    ledger.for_target("another").objects.add(found("a"), named)
    ledger.pushes.intend([PushRow("a", "digits@1", "intended")])
    assert moved() == 0
    claim = ledger.claims.claim_chunk(2)
    assert claim is not None
    assert moved() == 2
    ledger.claims.renew(claim)
    assert moved() == 0
    ledger.objects.sent([row.id for row in claim.rows], claim=claim.id)
    ledger.objects.sent([row.id for row in claim.rows], claim=claim.id)
    assert moved() == 2


def test_a_plan_is_carried_out_once(ledger: Ledger) -> None:
    ledger.objects.add(found("b", "c"), named)
    plan = ledger.plans.make({"prefix": ""}, ledger.objects.diff(BUCKET, "", found("a", "b")))
    assert (plan.state, plan.position, plan.parameters) == ("ready", 2, {"prefix": ""})
    assert plan.counts == {"listed": 2, "known": 1, "new": 1, "changed": 0, "deleted": 1}
    assert [(change.kind, change.object.key) for change in ledger.plans.changes(plan.id)] == [
        ("new", "a"),
        ("deleted", "c"),
    ]
    assert ledger.objects.counts() == {"new": 2}
    assert ledger.plans.apply(plan.id, named) == Recorded(new=1, deleted=1)
    assert ledger.objects.counts() == {"new": 2, "gone": 1}
    with pytest.raises(PlanOutdated, match="carried out already"):
        ledger.plans.apply(plan.id, named)
    assert [(row.id, row.state, row.applied) for row in ledger.plans.every()] == [(plan.id, "applied", 2)]


def test_a_plan_is_refused_when_the_ledger_has_moved(ledger: Ledger) -> None:
    plan = ledger.plans.make({}, ledger.objects.diff(BUCKET, "", found("a")))
    ledger.objects.add(found("z"), named)
    with pytest.raises(PlanOutdated, match="the ledger has changed"):
        ledger.plans.apply(plan.id, named)
    assert ledger.objects.counts() == {"new": 1}


def test_an_interrupted_application_is_carried_on(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffgram_flows.ledger.plans._PAGE", 2)
    plan = ledger.plans.make({}, ledger.objects.diff(BUCKET, "", found("a", "b", "c", "d", "e")))

    interruptions = [KeyboardInterrupt]

    def naming(item: StoredObject) -> str:
        if item.key == "d" and interruptions:
            raise interruptions.pop()
        return named(item)

    with pytest.raises(KeyboardInterrupt):
        ledger.plans.apply(plan.id, naming)
    assert ledger.objects.counts() == {"new": 2}
    assert ledger.plans.apply(plan.id, naming) == Recorded(new=3)


def test_a_plan_whose_listing_broke_off_is_never_carried_out(ledger: Ledger) -> None:
    def broken() -> Iterator[StoredObject]:
        yield from found("a")
        raise ConnectionError

    with pytest.raises(ConnectionError):
        ledger.plans.make({}, ledger.objects.diff(BUCKET, "", broken()))
    (plan,) = ledger.plans.every()
    with pytest.raises(PlanOutdated, match="never finished"):
        ledger.plans.apply(plan.id, named)
    ledger.plans.drop(plan.id)
    with pytest.raises(LedgerError, match="no plan"):
        ledger.plans.find(plan.id)


def test_a_plan_remembers_every_field_of_a_change(ledger: Ledger) -> None:
    changes = [
        Change("changed", StoredObject(BUCKET, "ü", 5, "2"), 7, "1", "imported"),
        Change("deleted", StoredObject(BUCKET, "z", 5, "1"), 8, "1", "failed"),
    ]
    plan = ledger.plans.make({}, changes)
    assert list(ledger.plans.changes(plan.id)) == changes
    assert list(ledger.plans.changes(plan.id, after=1)) == changes[1:]


def test_a_trace_tells_everything_of_an_object(ledger: Ledger) -> None:
    objects = ledger.objects
    objects.record(objects.diff(BUCKET, "", [StoredObject(BUCKET, "a/b.jpg", 10, "1")]), named)
    claim = ledger.claims.claim_chunk(1)
    assert claim is not None
    (row,) = claim.rows
    objects.release([row.id], "The URL expired.", claim=claim.id)
    objects.claim((row.id, row.id))
    objects.sent([row.id])
    objects.imported(row.id, file_id=7, input_id=70, note="An earlier packet made the file.")
    ledger.pushes.intend([PushRow(row.file_name, "digits@1", "intended", (), file_id=7)])
    ledger.work.save_job(JobRow(1, "digits 1", 3, 9, True))
    ledger.work.save_tasks([TaskRow(5, 9, 7, "complete", "2026-11-24")])
    objects.record(objects.diff(BUCKET, "", [StoredObject(BUCKET, "a/b.jpg", 10, "2")]), named)

    first, second = objects.trace(f"{BUCKET}/a/b.jpg")
    assert [(event.what, event.detail) for event in first.events] == [
        ("new", ""),
        ("sending", ""),
        ("new", "The URL expired."),
        ("sending", "The URL expired."),
        ("sent", "The URL expired."),
        ("imported", "An earlier packet made the file."),
        ("superseded", "An earlier packet made the file."),
    ]
    assert [event.at for event in first.events] == sorted(event.at for event in first.events)
    assert [(push.brain, push.state) for push in first.pushes] == [("digits@1", "intended")]
    assert [task.task_id for task in first.tasks] == [5]
    assert [job.name for job in first.jobs] == ["digits 1"]
    assert (first.row.successor, first.row.input_id) == (second.row.id, 70)
    assert (second.row.object.version, second.row.state, second.tasks) == ("2", "new", ())
    assert objects.trace(f"{BUCKET}/a") == objects.trace("nonsense") == []
