"""The ``brain`` commands as docs/brains.md writes them, where no server is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from diffgram_flows.brains import DetectionEvaluation, Manifest, Registry, TrainingOptions, Verdict
from diffgram_flows.brains.records import Epoch
from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, FAILED
from diffgram_flows.ledger import Ledger, PromotionRow, open_ledger
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import BrainRef, LabelMap

OURS, SECOND, OTHERS = "http://diffgram/cars/7", "http://diffgram/cars/8", "http://diffgram/dogs/7"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without anything, and no credentials."""
    monkeypatch.chdir(tmp_path)
    for name in ("URL", "PROJECT", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"DIFFGRAM_{name}", raising=False)


@pytest.fixture
def registry() -> Registry:
    registry = Registry(Path("diffgram-flows-data/brains").resolve())
    made, labels = datetime(2026, 1, 2, tzinfo=UTC), LabelMap(((70, "red"),))
    for number in (1, 2):
        snapshot = f"{number}" * 64
        parent, history = ("detector@1", (Epoch(420, 0.5, {}, None, {}, 9.0),)) if number == 2 else (None, ())
        manifest = Manifest(
            "object_detection", made, snapshot, labels, TrainingOptions(), parent, {}, 0.4, history, (), {}, {}
        )
        with registry.draft("detector") as draft:
            (draft / "a.bin").write_bytes(bytes([number]))
            registry.add("detector", draft, manifest)
    return registry


@pytest.fixture
def ledger(registry: Registry) -> Iterator[Ledger]:
    ledger = open_ledger("diffgram-flows-data/ledger.db", OURS)
    yield ledger
    ledger.close()


def actions(ledger: Ledger) -> list[tuple[str, int, str]]:
    return [(row.action, row.to_version, row.state) for row in ledger.promotions.rows("detector")]


def test_promotion_and_roll_back_are_in_the_ledgers_of_the_datasets_and_in_no_other(
    registry: Registry, ledger: Ledger, capsys: Any
) -> None:
    second, others = ledger.for_target(SECOND), ledger.for_target(OTHERS)
    second.history.save_training(TrainingRow("detector@1", "1" * 64, created_at=1.0))
    ledger.history.save_training(TrainingRow("detector@2", "2" * 64, created_at=2.0))
    others.history.save_training(TrainingRow("detector@2", "f" * 64, created_at=3.0))  # of another registry
    others.history.save_training(TrainingRow("Detector@1", "1" * 64, created_at=4.0))  # another brain
    others.promotions.intend(PromotionRow("theirs", "detector", "promote", None, 2))
    ledger.promotions.intend(PromotionRow("lost", "detector", "promote", None, 2))  # a crash left it open

    assert main(["brain", "promote", "detector@1"]) == DONE
    assert main(["brain", "promote", "detector@2"]) == DONE
    assert main(["brain", "rollback", "detector"]) == DONE
    assert "detector@1" in capsys.readouterr().out

    assert registry.champion_ref("detector") == BrainRef("detector", 1)
    done = [("promote", 1, "done"), ("promote", 2, "done"), ("rollback", 1, "done")]
    assert sorted(actions(ledger)) == sorted([("promote", 2, "dropped"), *done])
    assert actions(second) == done
    assert actions(others) == [("promote", 2, "intended")]
    intents = {entry.intent for entry in registry.history("detector")}
    assert intents <= {row.id for row in ledger.promotions.rows("detector")}


def test_a_brain_that_was_brought_in_is_promoted_and_its_log_goes_on_with_the_first_training(
    registry: Registry, ledger: Ledger
) -> None:
    assert main(["brain", "promote", "detector@1"]) == DONE
    own = ledger.for_target(registry.folder.uri)
    assert actions(own) == [("promote", 1, "done")]
    ledger.history.save_training(TrainingRow("detector@2", "2" * 64))
    assert main(["brain", "promote", "detector@2"]) == DONE
    assert actions(own) == actions(ledger) == [("promote", 1, "done"), ("promote", 2, "done")]


def test_a_version_that_is_not_there_is_told_without_a_server(registry: Registry, capsys: Any) -> None:
    assert main(["brain", "promote", "detector@9"]) == FAILED
    assert "detector@9" in capsys.readouterr().err
    assert main(["brain", "rollback", "detector"]) == FAILED
    assert "has no champion that could be rolled back" in capsys.readouterr().err


def test_a_list_can_be_read_in_80_columns(registry: Registry, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["brain", "list"]) == DONE
    told = capsys.readouterr().out
    assert "1" * 12 in told
    assert "1" * 13 not in told
    assert "…" not in told
    assert main(["brain", "list", "--json"]) == DONE
    assert "1" * 64 in capsys.readouterr().out


def test_no_brain_yet_is_said(capsys: Any) -> None:
    assert main(["brain", "list"]) == DONE
    assert capsys.readouterr().out == "There is no brain yet.\n"


@pytest.mark.parametrize(
    ("version", "told"), [(1, "800 steps from scratch"), (2, "420 steps from detector@1")], ids=["first", "second"]
)
def test_a_training_says_how_long_it_was_and_where_it_began(
    registry: Registry, version: int, told: str, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = DetectionEvaluation(images=1, per_class={}, map=0.5, map50=0.75, boxes=1, summary={})
    verdict = Verdict(BrainRef("detector", version), None, found, None, True, True, ("It is the first one.",))
    monkeypatch.setattr("diffgram_flows.cli.run", lambda *_: verdict)
    assert main(["train"]) == DONE
    shown = capsys.readouterr().out
    assert told in shown
    assert "│ promoted " in shown


def test_a_training_says_that_its_brain_was_not_promoted(
    registry: Registry, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = DetectionEvaluation(images=1, per_class={}, map=0.5, map50=0.75, boxes=1, summary={})
    verdict = Verdict(BrainRef("detector", 2), None, found, None, False, False, ("Its mAP50 is too low.",))
    monkeypatch.setattr("diffgram_flows.cli.run", lambda *_: verdict)
    assert main(["train"]) == DONE
    assert "│ not promoted │ Its mAP50 is too low." in capsys.readouterr().out
