from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from servers.bench import Bench

from diffgram_flows.errors import NothingToImport, PlanOutdated
from diffgram_flows.importing import (
    ImportPlan,
    PlanOptions,
    Policy,
    apply_plan,
    import_new,
    make_plan,
    scan,
    write_plan,
)
from diffgram_flows.ledger import Ledger
from diffgram_flows.models import Lease, StoredObject
from diffgram_flows.storage import ObjectStore
from diffgram_flows.storage.store import BaseStore


class Shelf(BaseStore):
    """A bucket of S3 as its listing shows it."""

    bucket = "s3://photos"

    def __init__(self, *objects: tuple[str, str, int]) -> None:
        self.objects = sorted(objects)

    def _objects(self, prefix: str, after: str | None, until: str | None) -> Iterator[StoredObject]:
        return (StoredObject(self.bucket, key, size, version) for key, version, size in self.objects)

    def check(self) -> None:
        raise NotImplementedError

    def max_ttl(self) -> timedelta:
        raise NotImplementedError

    def lease(self, obj: StoredObject, ttl: timedelta) -> Lease:
        raise NotImplementedError

    def read(self, obj: StoredObject, *, start: int = 0, length: int | None = None, limit: int = 0) -> bytes:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


A, B, C, D = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)


def plan(store: ObjectStore, ledger: Ledger, policy: Policy | None = None) -> ImportPlan:
    return make_plan(store, "", ledger, parameters={}, policy=policy)


def test_every_kind_of_difference_is_counted_and_nothing_is_changed(ledger: Ledger) -> None:
    shelf = Shelf(("changed.jpg", A, 5), ("gone.jpg", B, 5), ("same.jpg", C, 5))
    scan(shelf, "", ledger)
    before = ledger.position(), ledger.objects.counts()
    shelf.objects = [
        ("a/", "x", 0),
        ("changed.jpg", D, 6),
        ("copy of same.jpg", C, 5),
        ("empty.jpg", A, 0),
        ("new 1.jpg", A, 7),
        ("new 2.jpg", A, 7),
        ("nul\0.jpg", A, 7),
        ("part.jpg", f"{A}-2", 7),
        ("same.jpg", C, 5),
        ("table.csv", A, 7),
    ]
    found = plan(shelf, ledger)
    assert (found.new, found.changed, found.deleted, found.known, found.returned) == (4, 1, 1, 1, 0)
    assert found.duplicates == 2, "a copy of what is there, and the second of two new ones"
    assert found.blocked == {
        "folder marker": 1,
        "empty": 1,
        "unsupported type": 1,
        "key that the ledger cannot hold": 1,
    }
    assert {Path(example.name).name for example in found.examples} >= {"table.csv", "empty.jpg"}
    assert found.packets == 5
    assert (ledger.position(), ledger.objects.counts()) == before


def test_an_object_that_is_back_is_no_new_one(ledger: Ledger) -> None:
    shelf = Shelf(("a.jpg", A, 5), ("b.jpg", B, 5))
    scan(shelf, "", ledger)
    shelf.objects.pop()
    scan(shelf, "", ledger)
    shelf.objects.append(("b.jpg", B, 5))
    found = plan(shelf, ledger)
    assert (found.new, found.returned, found.known, found.duplicates) == (0, 1, 1, 0)


@pytest.mark.parametrize(
    ("options", "hours"),
    [
        pytest.param({"packets_per_second": 20.0, "drain_rate": 0.5}, 2.0, id="the server's workers are slower"),
        pytest.param({"packets_per_second": 2.0, "drain_rate": 100.0}, 0.5, id="its limit is slower"),
        pytest.param({"packets_per_second": 0.0, "drain_rate": 1.0}, 1.0, id="no limit"),
    ],
)
def test_hours_are_those_of_the_slower_one(ledger: Ledger, options: dict[str, float], hours: float) -> None:
    shelf = Shelf(*((f"{number:04}.jpg", f"{number:032x}", 5) for number in range(3600)))
    estimates = PlanOptions(**options, price_per_1000_lists=5.0)  # type: ignore[arg-type]
    found = make_plan(shelf, "", ledger, parameters={}, options=estimates)
    assert found.hours == pytest.approx(hours)
    assert found.list_requests == 4
    assert found.price == pytest.approx(0.02)


def test_a_plan_is_carried_out_once_and_only_while_the_ledger_has_not_moved(ledger: Ledger) -> None:
    shelf = Shelf(("a.jpg", A, 5), ("b.jpg", B, 5))
    first, second = plan(shelf, ledger), plan(shelf, ledger)
    assert apply_plan(ledger, first.id).new == 2
    for outdated in (first, second):
        with pytest.raises(PlanOutdated, match="Make a new plan"):
            apply_plan(ledger, outdated.id)
    assert ledger.objects.counts() == {"new": 2}


def test_an_ignored_change_is_no_part_of_a_plan(ledger: Ledger) -> None:
    shelf = Shelf(("a.jpg", A, 5))
    scan(shelf, "", ledger)
    shelf.objects = [("a.jpg", B, 5)]
    found = plan(shelf, ledger, Policy(changed="ignore"))
    assert (found.changed, found.ignored, found.packets) == (0, 1, 0)
    assert apply_plan(ledger, found.id).new == 0


def test_an_empty_bucket_is_not_taken_for_one_that_was_emptied(ledger: Ledger) -> None:
    shelf = Shelf(("a.jpg", A, 5))
    scan(shelf, "", ledger)
    shelf.objects = []
    for attempt in (lambda: plan(shelf, ledger), lambda: scan(shelf, "", ledger, policy=Policy(deleted="archive"))):
        with pytest.raises(NothingToImport):
            attempt()
    assert ledger.objects.counts() == {"new": 1}


def test_the_file_of_a_plan_names_every_change(bench: Bench, tmp_path: Path) -> None:
    bench.draw(3)
    found = plan(bench.store, bench.ledger)
    write_plan(bench.ledger, found, tmp_path / "plan.json")
    told = json.loads((tmp_path / "plan.json").read_text())
    assert (told["id"], told["new"]) == (found.id, 3)
    assert [Path(change["uri"]).name for change in told["changes"]] == [f"image-00{n}.jpg" for n in range(3)]


def test_what_a_plan_says_is_what_an_import_does(bench: Bench) -> None:
    bench.import_all(3)
    (bench.folder / "image-000.jpg").write_bytes((bench.folder / "image-001.jpg").read_bytes() + b"\0")
    (bench.folder / "image-002.jpg").unlink()
    bench.draw(2, "late")
    found = plan(bench.store, bench.ledger)
    assert (found.new, found.changed, found.deleted, found.known) == (2, 1, 1, 1)
    apply_plan(bench.ledger, found.id)
    assert bench.states() == {"imported": 1, "new": 3, "superseded": 1, "gone": 1}
    report = import_new(
        bench.client, bench.store, "", bench.ledger, directory_id=bench.directory_id, poll=0.05, timeout=20
    )
    assert (report.new, report.imported) == (0, found.packets)
