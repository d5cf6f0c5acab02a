"""Brains that say what an image shows and what is chosen of it: judged, reported and compared under people's names."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from servers.bench import folder, ledger, store
from servers.shelf import Shelf, shelf

from diffgram_flows.brains import Gate, Interval, Manifest, Registry, TrainingOptions, judge, train_brain
from diffgram_flows.brains.evaluation import ClassificationEvaluation, TagScore
from diffgram_flows.cli import main
from diffgram_flows.cli_output import DONE, FAILED
from diffgram_flows.datasets import SnapshotOptions
from diffgram_flows.models import BrainRef, LabelMap
from diffgram_flows.parameters import TrainOptions
from diffgram_flows.tasks.comparing import compare_stored, tell_difference

__all__ = ["folder", "ledger", "shelf", "store"]

SHADE = "[/b] <shade> $x^$"  # no markup of a terminal, a page or a chart
TINY = TrainingOptions(image_size=64, width=8, head=8, batch_size=4, steps=1)


def judged(values: Mapping[str, float], names: Mapping[str, str]) -> ClassificationEvaluation:
    scores = {key: TagScore(precision=value, recall=value, f1=value, tags=9) for key, value in values.items()}
    return ClassificationEvaluation(f1=0.5, accuracy=0.5, per_class=scores, names=names, single=True, tags=9, images=9)


def add(registry: Registry, evaluation: ClassificationEvaluation) -> BrainRef:
    manifest = Manifest(
        method="classification",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        snapshot_id="0123456789abcdef",
        label_map=LabelMap(((5, "cat"),)),
        options=TINY,
        parent=None,
        metrics={"test": evaluation},
        score_threshold=0.5,
        history=(),
        skipped=(),
        files={},
        versions={},
    )
    with registry.draft("tags") as draft:
        return registry.add("tags", draft, manifest).ref


def rows(registry: Registry, one: BrainRef, other: BrainRef) -> dict[str, tuple[Any, Any]]:
    found = compare_stored(registry, (one, other))
    told = {row[""]: (row[str(one)], row[str(other)]) for row in found.rows if str(row[""]).startswith("macro F1 of")}
    assert len(told) == sum(str(row[""]).startswith("macro F1 of") for row in found.rows)
    return {name.removeprefix("macro F1 of "): values for name, values in told.items()}


def test_a_row_is_what_its_ids_say_whatever_it_was_called(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    bare = add(registry, judged({"cat": 0.1, "cat / 3: red": 0.2}, {}))  # of before names were written down
    first = add(registry, judged({"cat": 0.3, "cat / 3: red": 0.4}, {"cat / 3: red": "cat / colour: red"}))
    renamed = add(registry, judged({"cat": 0.5, "cat / 3: red": 0.6}, {"cat / 3: red": "cat / coat: red"}))
    assert rows(registry, bare, first) == {"cat": (0.1, 0.3), "cat / colour: red": (0.2, 0.4)}
    assert rows(registry, first, renamed) == {"cat": (0.3, 0.5), "cat / colour: red": (0.4, 0.6)}
    assert rows(registry, renamed, first) == {"cat": (0.5, 0.3), "cat / coat: red": (0.6, 0.4)}


def test_rows_of_one_name_are_told_apart(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    first = add(registry, judged({"cat / 3: red": 0.4}, {"cat / 3: red": "cat / colour: red"}))
    anew = add(registry, judged({"cat / 8: red": 0.6}, {"cat / 8: red": "cat / colour: red"}))
    assert rows(registry, first, anew) == {
        "cat / colour: red (cat / 3: red)": (0.4, ""),
        "cat / colour: red (cat / 8: red)": ("", 0.6),
    }


@pytest.fixture
def tagged(shelf: Shelf) -> Shelf:
    """Images of which somebody has said what they show and in what shade; two groups are called alike."""
    shades = [{"id": 70 + number, "name": name} for number, name in enumerate(("dark", "pale"))]
    shelf.groups = [{"id": number, "name": SHADE, "attribute_template_list": shades} for number in (3, 6)]
    shelf.groups += [{"id": 8, "name": "made of", "attribute_template_list": [{"id": 9, "name": "tin"}]}]
    for number in range(24):
        chosen = {"3": {"id": 70, "name": "dark"}, "6": {"id": 71, "name": "pale"}}
        if number % 2:
            chosen = {"8": {"id": 9}}  # by its id alone
        tag = {"type": "tag", "label_file_id": 4 + 3 * (number % 2), "attribute_groups": chosen}
        shelf.finish(f"{number}.png", instances=[tag])
    return shelf


def test_people_read_the_names_that_they_gave(tagged: Shelf, tmp_path: Path, capsys: Any) -> None:
    snapshot, _ = tagged.snapshot(SnapshotOptions(val=0.0, test=0.5))
    registry = Registry(tagged.workdir / "brains")
    record = train_brain(snapshot, name="tags", registry=registry, options=TINY, method="classification")
    called = {
        "car / 3: dark": f"car / {SHADE} (id 3): dark",
        "car / 6: pale": f"car / {SHADE} (id 6): pale",
        'person / 8: {"id": 9}': "person / made of: tin",
    }
    assert registry.manifest(record.ref).metrics["test"].names == called

    gate = Gate(min_class_score=1.0, min_class_count=1)
    verdict = judge(record, registry, snapshot.split("test"), gate=gate, reports=tmp_path)
    assert verdict.report is not None
    assert {plate.key for plate in verdict.report.pictures} >= {"confusion"}
    page = html.unescape(verdict.report.page.read_text("utf-8"))
    assert "<shade>" not in verdict.report.page.read_text("utf-8")
    for key, name in called.items():
        assert page.count(name) >= 3  # the table of labels, and the matrix by row and by column
        assert key not in page
    assert any(any(name in reason for name in called.values()) for reason in verdict.reasons)

    compare = ["brain", "compare", "tags@1", "tags@1", "--workdir", str(tagged.workdir)]
    assert main(compare) == DONE
    assert "[/b] <shade>" in capsys.readouterr().out
    assert main([*compare, "--snapshot", snapshot.id, "--json"]) == DONE
    told = [row[""] for row in json.loads(capsys.readouterr().out)["rows"]]
    assert {f"macro F1 of {name}" for name in called.values()} <= set(told)


def test_a_comparison_takes_a_snapshot_as_the_other_commands_do(tagged: Shelf, capsys: Any) -> None:
    snapshot, _ = tagged.snapshot(SnapshotOptions(val=0.0, test=0.5))
    registry = Registry(tagged.workdir / "brains")
    for steps in (1, 5):
        options = replace(TINY, steps=steps, learning_rate=6e-3)
        train_brain(snapshot, name="tags", registry=registry, options=options, method="classification")
    compare = ["brain", "compare", "tags@1", "tags@2", "--workdir", str(tagged.workdir), "--json", "--snapshot"]
    answers = []
    for reference in (snapshot.id, snapshot.id[:6], "latest"):
        assert main([*compare, reference]) == DONE
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["title"] == f"On {len(snapshot.split('test'))} test images of {snapshot.id}"
    assert main([*compare, "0000"]) == FAILED
    assert "snapshot list" in capsys.readouterr().err


NAN = float("nan")


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        pytest.param((-0.41812, -0.5, -0.3), "cars@1 has 0.4181 less mAP50 than cars@3 (90% confidence", id="less"),
        pytest.param((0.25, 0.1, 0.3), "cars@1 has 0.2500 more mAP50 than cars@3 (90% confidence", id="more"),
        pytest.param((0.00001, -0.1, 0.1), "cars@1 has the same mAP50 as cars@3 (90% confidence", id="the same"),
        pytest.param((NAN, NAN, NAN), "cannot be told apart", id="nothing to find"),
    ],
)
def test_the_difference_is_a_sentence(difference: tuple[float, float, float], said: str) -> None:
    seen = Interval(*difference, Gate().confidence, 0.5, 9)
    assert said in tell_difference((BrainRef("cars", 1), BrainRef("cars", 3)), "mAP50", seen)


def test_a_comparison_is_as_sure_as_a_training() -> None:
    assert Gate().confidence == TrainOptions.model_fields["confidence"].default
