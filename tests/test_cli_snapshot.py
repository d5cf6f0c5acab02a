from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from servers.bench import folder, ledger, store
from servers.shelf import Shelf, shelf

from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, FAILED
from diffgram_flows.datasets import SnapshotOptions
from diffgram_flows.models import Box, Snapshot

__all__ = ["folder", "ledger", "shelf", "store"]

CAR, PERSON = Box(4, 5, 6, 30, 40), Box(7, 10, 10, 20, 20)


@pytest.fixture
def two(shelf: Shelf) -> tuple[Snapshot, Snapshot]:
    """A snapshot and its child: one image more, one less, one box moved, one more, one label renamed, one new."""
    shelf.finish_many(["moved.jpg", "gone.jpg", "same.jpg"], CAR)
    first, _ = shelf.snapshot()
    del shelf.entries["gone.jpg"]
    shelf.finish("moved.jpg", Box(4, 6, 6, 30, 40), PERSON)
    shelf.finish("new.jpg", PERSON, PERSON)
    shelf.finish("new.jpg", PERSON)
    shelf.labels = {4: "vehicle", 7: "person"}
    return first, shelf.snapshot()[0]


def run(shelf: Shelf, capsys: Any, *tokens: str, code: int = DONE) -> str:
    assert main(["snapshot", *tokens, "--workdir", str(shelf.workdir)]) == code
    seen = capsys.readouterr()
    return str(seen.out + seen.err)


def test_snapshots_are_listed_oldest_first(shelf: Shelf, two: tuple[Snapshot, Snapshot], capsys: Any) -> None:
    text = run(shelf, capsys, "list")
    assert {one.id for one in two} <= set(text.split())
    listed = json.loads(run(shelf, capsys, "list", "--json"))
    assert {entry["snapshot_id"] for entry in listed} == {two[0].id, two[1].id}
    child = next(entry for entry in listed if entry["snapshot_id"] == two[1].id)
    assert child["facts"]["parents"]["snapshot"] == two[0].id


def test_one_snapshot_is_shown(shelf: Shelf, two: tuple[Snapshot, Snapshot], capsys: Any) -> None:
    text = run(shelf, capsys, "show", two[1].id[:8])
    assert f"Snapshot {two[1].id}" in text
    assert "4 human, 0 confirmed, 0 excluded" in text
    assert "vehicle" in text
    facts = json.loads(run(shelf, capsys, "show", two[1].id, "--json"))
    assert facts["total"]["per_label"] == {"vehicle": 2, "person": 2}


def test_the_difference_of_two_is_shown(shelf: Shelf, two: tuple[Snapshot, Snapshot], capsys: Any) -> None:
    found = json.loads(run(shelf, capsys, "diff", two[0].id, two[1].id, "--json"))
    counts = {name: found[f"images_{name}"] for name in ("added", "changed", "removed", "same")}
    assert counts == {"added": 1, "changed": 1, "removed": 1, "same": 1}
    assert found["per_label"] == {
        "vehicle": {"added": 0, "changed": 1, "removed": 1},
        "person": {"added": 2, "changed": 0, "removed": 0},
    }
    assert (found["labels_added"], found["labels_removed"]) == (["person"], [])
    assert found["labels_renamed"] == {"car": "vehicle"}
    assert (found["splits_changed"], found["indices_kept"]) == (0, True)
    assert found["examples"]["added"] == [f"{shelf.store.bucket}/new.jpg"]
    text = run(shelf, capsys, "diff", two[0].id[:8], two[1].id[:8])
    assert "car is now vehicle" in text
    assert "new.jpg" in text


def test_other_splits_are_no_success(shelf: Shelf, capsys: Any) -> None:
    shelf.finish_many((f"{number}.jpg" for number in range(9)), CAR)
    first, _ = shelf.snapshot(SnapshotOptions(val=0.0, test=0.0))
    second, _ = shelf.snapshot(SnapshotOptions(val=0.4, test=0.5))
    assert "images CHANGED" in run(shelf, capsys, "diff", first.id, second.id, code=FAILED)


@pytest.mark.parametrize(("reference", "what"), [("latest", "no snapshot in"), ("feed", "no snapshot 'feed'")])
def test_what_is_not_there_is_said(shelf: Shelf, reference: str, what: str, capsys: Any) -> None:
    assert what in " ".join(run(shelf, capsys, "show", reference, code=FAILED).split())


def test_a_snapshot_that_was_altered_is_listed_with_the_trouble(
    shelf: Shelf, two: tuple[Snapshot, Snapshot], capsys: Any
) -> None:
    Path(two[0].folder / "manifest.json").write_text("{}")
    text = run(shelf, capsys, "list")
    assert two[1].id in text
    assert "was altered" in " ".join(text.split())
    shutil.rmtree(two[0].folder)
    assert "was altered" not in run(shelf, capsys, "list")
