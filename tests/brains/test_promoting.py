"""Promotion and roll-back as one transaction with the ledger, whatever happens in between."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from servers import promoting_process

from diffgram_flows.brains import Manifest, Registry, TrainingOptions
from diffgram_flows.brains.promoting import promote, reconcile_promotions, roll_back
from diffgram_flows.errors import BrainNotFound, BrainTampered, ChampionChanged, NoChampion
from diffgram_flows.ledger import Ledger, open_ledger
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import BrainRef, LabelMap

TARGET = "server/project/1"
Order = Callable[..., int]


def ref(version: int) -> BrainRef:
    return BrainRef("digits", version)


def trained(version: int) -> TrainingRow:
    return TrainingRow(str(ref(version)), "snapshot", True, 0.5, 0.75, "It is better.")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry(tmp_path / "brains")
    made = datetime(2026, 1, 2, tzinfo=UTC)
    labels, options = LabelMap(((70, "red"),)), TrainingOptions()
    manifest = Manifest("object_detection", made, "snapshot", labels, options, None, {}, 0.4, (), (), {}, {})
    for number in range(3):
        with registry.draft("digits") as draft:
            (draft / "a.bin").write_bytes(bytes([number]))
            registry.add("digits", draft, manifest)
    return registry


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = open_ledger(str(tmp_path / "ledger.db"), TARGET)
    yield ledger
    ledger.close()


@pytest.fixture
def order(tmp_path: Path, registry: Registry, ledger: Ledger) -> Iterator[Order]:
    """Has another process promote or roll back, which kills itself at a step; gives its exit code."""
    command = [
        sys.executable,
        promoting_process.__file__,
        str(tmp_path / "brains"),
        str(tmp_path / "ledger.db"),
        TARGET,
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def carry_out(*order: str | int) -> int:
            stdin.write(json.dumps(order) + "\n")
            stdin.flush()
            return int(stdout.readline())

        yield carry_out
        stdin.close()


def agree(registry: Registry, ledger: Ledger, name: str = "digits") -> None:
    """The ledger tells the same story as the registry's log, and nothing is left open."""
    log = [(entry.number, entry.action, entry.version) for entry in registry.history(name)]
    done = [row for row in ledger.promotions.rows(name, "done") if row.number is not None]
    assert [(row.number, row.action, row.to_version) for row in done] == log
    earlier = [None, *(version for _, _, version in log)][: len(log)]
    assert [row.from_version for row in done] == earlier
    assert ledger.promotions.rows(name, "intended") == []
    champion = registry.champion_ref(name)
    assert ledger.promotions.champion(name) == (champion.version if champion else None)
    promoted = {row.brain for row in ledger.history.trainings() if row.promoted and row.brain.startswith(name)}
    assert promoted == {f"{name}@{row.to_version}" for row in done if row.training}


def test_a_promotion_is_in_the_log_and_in_the_ledger(registry: Registry, ledger: Ledger) -> None:
    ledger.history.save_training(TrainingRow("digits@1", "snapshot"))
    promote(registry, ledger, ref(1), instead_of=None, training=trained(1))
    promote(registry, ledger, ref(3), instead_of=ref(1), training=trained(3))
    agree(registry, ledger)
    assert roll_back(registry, ledger, "digits").version == 1
    agree(registry, ledger)
    assert [(row.brain, row.promoted, row.map50) for row in ledger.history.trainings()] == [
        ("digits@1", True, 0.75),
        ("digits@3", True, 0.75),
    ]
    with pytest.raises(NoChampion):
        roll_back(registry, ledger, "digits")
    assert reconcile_promotions(registry, ledger) == []


def test_a_roll_back_that_cannot_be_says_what_is_missing(registry: Registry, ledger: Ledger) -> None:
    for go_back in (partial(roll_back, registry, ledger), registry.rollback):
        with pytest.raises(BrainNotFound, match=r"no brain letters in .* \(brains there: digits\)"):
            go_back("letters")
        with pytest.raises(NoChampion, match=r"digits has no champion .* of 1, 2, 3"):
            go_back("digits")
    promote(registry, ledger, ref(1))
    with pytest.raises(NoChampion, match="digits had no champion before the present one"):
        roll_back(registry, ledger, "digits")


def test_what_is_refused_leaves_no_trace(registry: Registry, ledger: Ledger) -> None:
    promote(registry, ledger, ref(1))
    with pytest.raises(BrainNotFound):
        promote(registry, ledger, ref(9), training=trained(9))
    with pytest.raises(ChampionChanged):
        promote(registry, ledger, ref(2), instead_of=None, training=trained(2))
    agree(registry, ledger)
    assert registry.champion_ref("digits") == ref(1)
    assert ledger.history.trainings() == []
    assert [row.state for row in ledger.promotions.rows("digits")].count("dropped") == 1


def test_a_brain_that_was_tampered_with_never_becomes_the_champion(registry: Registry, ledger: Ledger) -> None:
    for number in (1, 2):
        promote(registry, ledger, ref(number))
    for number in (1, 3):
        (registry.get(ref(number)).folder / "a.bin").write_bytes(b"!")
    rows = ledger.promotions.rows("digits")
    with pytest.raises(BrainTampered, match=r"a\.bin of the brain digits@3 was changed"):
        promote(registry, ledger, ref(3), training=trained(3))
    with pytest.raises(BrainTampered, match=r"a\.bin of the brain digits@1 was changed") as caught:
        roll_back(registry, ledger, "digits")
    assert "promote another version" in caught.value.cure
    assert registry.champion_ref("digits") == ref(2)
    assert ledger.promotions.rows("digits") == rows
    promote(registry, ledger, ref(2))
    agree(registry, ledger)


def test_the_champion_again_changes_nothing_but_is_judged(registry: Registry, ledger: Ledger) -> None:
    promote(registry, ledger, ref(1))
    assert promote(registry, ledger, ref(1), training=trained(1)) is None
    assert len(registry.history("digits")) == 1
    assert [row.promoted for row in ledger.history.trainings()] == [True]
    assert reconcile_promotions(registry, ledger) == []


@dataclass
class Stage:
    """Attempts to change the champion of a fresh copy of the brain, each by a process that dies at a step."""

    registry: Registry
    ledger: Ledger
    order: Order
    folder: Path

    def attempt(self, action: str, step: int, kind: str = "call") -> tuple[str, bool]:
        """``old`` or ``new`` by who is the champion afterwards, and whether the process was killed."""
        name = f"{action}-{kind}-{step}"
        shutil.copytree(self.folder / "digits", self.folder / name)
        first, second = BrainRef(name, 1), BrainRef(name, 2)
        self.registry.promote(first)
        if action == "rollback":
            self.registry.promote(second)
        reconcile_promotions(self.registry, self.ledger, [name])
        old, new = (first, second) if action == "promote" else (second, first)

        code = self.order(action, name, new.version, step, kind)
        assert code in (0, -signal.SIGKILL)
        after = Registry(self.folder).champion(name)
        assert after is not None
        after.verify()
        assert after.ref in (old, new)
        reconcile_promotions(self.registry, self.ledger)
        agree(self.registry, self.ledger, name)
        assert Registry(self.folder).champion_ref(name) == after.ref  # settling never changes the champion
        shutil.rmtree(self.folder / name)
        assert code or after.ref == new
        return ("new" if after.ref == new else "old"), bool(code)


@pytest.fixture
def stage(registry: Registry, ledger: Ledger, order: Order, tmp_path: Path) -> Stage:
    return Stage(registry, ledger, order, tmp_path / "brains")


@pytest.mark.parametrize("action", ["promote", pytest.param("rollback", marks=pytest.mark.slow)])
def test_a_kill_at_every_step_leaves_the_old_champion_or_the_new_one(stage: Stage, action: str) -> None:
    outcomes = []
    for step in range(1, 300):
        outcome, killed = stage.attempt(action, step)
        outcomes.append(outcome)
        if not killed:
            break
    assert not killed
    assert len(outcomes) > 30
    assert outcomes == sorted(outcomes, reverse=True)  # first the old one, from some step on the new one
    assert set(outcomes) == {"old", "new"}


def test_kills_at_random_lines(stage: Stage) -> None:
    chance = random.Random(6)  # noqa: S311 - moments, not secrets
    seen = {stage.attempt("promote", step, "line") for step in chance.sample(range(1, 350), 8)}
    assert {outcome for outcome, _ in seen} == {"old", "new"}


def test_what_others_did_is_copied(registry: Registry, ledger: Ledger) -> None:
    registry.promote(ref(1))
    registry.promote(ref(2))
    other = ledger.for_target("server/project/2")
    promote(registry, other, ref(3), training=trained(3))
    assert len(reconcile_promotions(registry, ledger, ["digits"])) == 3
    agree(registry, ledger)
    registry.rollback("digits")
    reconcile_promotions(registry, ledger)
    reconcile_promotions(registry, other)
    agree(registry, ledger)
    agree(registry, other)


def test_an_intent_that_was_given_up_too_early_is_done_after_all(registry: Registry, ledger: Ledger) -> None:
    """Somebody settles while the one who promotes is between its intent and the log."""

    class Slow(Registry):
        def promote(self, *arguments: object, **more: object) -> object:  # type: ignore[override]
            assert [row.state for row in reconcile_promotions(registry, ledger, ["digits"])] == ["dropped"]
            return super().promote(*arguments, **more)  # type: ignore[arg-type]

    promote(Slow(registry.folder), ledger, ref(2), training=trained(2))
    agree(registry, ledger)


def test_promotions_at_the_same_time_all_count(registry: Registry, ledger: Ledger) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda number: promote(Registry(registry.folder), ledger, ref(number)), (1, 2, 3)))
    assert sorted(entry.version for entry in registry.history("digits")) == [1, 2, 3]
    done = ledger.promotions.rows("digits", "done")
    assert sorted(row.to_version for row in done) == [1, 2, 3]
    champion = registry.champion_ref("digits")
    assert champion is not None
    assert ledger.promotions.champion("digits") == champion.version
