from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from diffgram_flows.brains import BrainRecord, DetectionEvaluation, Epoch, Manifest, Registry, TrainingOptions
from diffgram_flows.brains.evaluation import ClassificationEvaluation, TagScore
from diffgram_flows.brains.records import package_versions
from diffgram_flows.errors import BrainNotFound, BrainTampered, ConfigurationError, NoChampion
from diffgram_flows.models import BrainRef, Failure, LabelMap
from diffgram_flows.names import Attribute


def manifest() -> Manifest:
    found = DetectionEvaluation(
        map=0.25, map50=0.5, per_class={}, precision_recall=(1.0, 0.5), images=3, boxes=4, summary={}
    )
    return Manifest(
        method="object_detection",
        created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        snapshot_id="0123456789abcdef",
        label_map=LabelMap(((70, "röd"), (40, "blue"))),
        options=TrainingOptions(steps=5),
        parent="detector@1",
        metrics={"val": found},
        score_threshold=0.4,
        history=(Epoch(5, 1.0, {"box": 0.4, "class": 0.2}, None, {"mAP50": 0.1}, 3.5),),
        skipped=(Failure("a.jpg", "corrupt"),),
        files={},
        versions={"keras": "3"},
    )


def ref(version: int) -> BrainRef:
    return BrainRef("detector", version)


def add(registry: Registry, name: str = "detector") -> BrainRecord:
    with registry.draft(name) as draft:
        (draft / "weights").mkdir()
        (draft / "weights" / "a.bin").write_bytes(b"weights")
        return registry.add(name, draft, manifest())


def test_names_are_those_that_have_a_version(registry: Registry) -> None:
    assert registry.names() == []
    add(registry, "signs")
    add(registry, "cars")
    with registry.draft("begun"):
        assert registry.names() == ["cars", "signs"]


def test_versions_count_up_and_keep_what_is_known(registry: Registry) -> None:
    first, second = add(registry), add(registry)
    assert [first.ref, second.ref] == [ref(1), ref(2)]
    assert registry.versions("detector") == [first, second]
    assert registry.get(ref(2)) == second
    assert second.manifest.label_map == manifest().label_map
    assert set(second.manifest.files) == {"weights/a.bin"}
    second.verify()


def test_unknown_brains(registry: Registry) -> None:
    assert registry.versions("detector") == []
    assert registry.champion("detector") is None
    with pytest.raises(BrainNotFound, match="detector@1"):
        registry.get(ref(1))
    with pytest.raises(BrainNotFound):
        registry.promote(ref(1))


@pytest.mark.parametrize("name", ["", "../evil", "a/b", ".hidden", "a b"])
def test_names_cannot_leave_the_folder(registry: Registry, name: str) -> None:
    with pytest.raises(ConfigurationError, match="name of a brain"):
        registry.versions(name)


def test_a_crash_while_training_leaves_no_version(registry: Registry, tmp_path: Path) -> None:
    add(registry)
    (tmp_path / "brains" / "detector" / ".part-crashed").mkdir()
    (tmp_path / "brains" / "detector" / ".part-crashed" / "half.bin").write_bytes(b"half")
    assert [record.ref.version for record in registry.versions("detector")] == [1]
    assert add(registry).ref.version == 2


def test_an_abandoned_draft_disappears(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), registry.draft("detector"):
        raise RuntimeError
    assert list((tmp_path / "brains" / "detector").iterdir()) == []


def test_versions_added_at_the_same_time_are_all_kept(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as threads:
        records = list(threads.map(lambda _: add(registry), range(16)))
    assert sorted(record.ref.version for record in records) == list(range(1, 17))
    assert len(registry.versions("detector")) == 16


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            lambda f: (f / "weights/a.bin").write_bytes(b"Weights"), "weights/a.bin .* was changed", id="changed"
        ),
        pytest.param(lambda f: (f / "weights/a.bin").unlink(), "weights/a.bin .* is missing", id="missing"),
        pytest.param(lambda f: (f / "b.bin").write_bytes(b""), "b.bin .* is not in its manifest", id="added"),
    ],
)
def test_a_changed_file_is_found(registry: Registry, change: Callable[[Path], object], said: str) -> None:
    record = add(registry)
    change(record.folder)
    with pytest.raises(BrainTampered, match=said):
        record.verify()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"], ids=["empty", "cut", "list", "hollow"])
def test_an_unreadable_manifest_is_reported(registry: Registry, text: str) -> None:
    (add(registry).folder / "manifest.json").write_text(text)
    with pytest.raises(BrainTampered, match="manifest"):
        registry.get(ref(1))


def test_a_manifest_of_impossible_options_is_unreadable_too(registry: Registry) -> None:
    path = add(registry).folder / "manifest.json"
    value = json.loads(path.read_text("utf-8"))
    value["options"]["steps"] = 0
    path.write_text(json.dumps(value))
    with pytest.raises(BrainTampered, match=r"manifest of the brain .* cannot be read .*steps is 0"):
        registry.get(ref(1))


def test_a_label_map_that_was_edited_is_found(registry: Registry) -> None:
    path = add(registry).folder / "manifest.json"
    value = json.loads(path.read_text("utf-8"))
    value["label_map"].reverse()
    path.write_text(json.dumps(value))
    with pytest.raises(BrainTampered, match="label map"):
        registry.get(ref(1))


def test_what_people_called_attributes_is_kept_and_older_manifests_know_nothing_of_it(registry: Registry) -> None:
    score = TagScore(precision=0.5, recall=0.5, f1=0.5, tags=4)
    named = ClassificationEvaluation(
        f1=0.5,
        accuracy=0.5,
        per_class={"blue / 3: big": score},
        names={"blue / 3: big": "blue / size: big"},
        single=True,
        tags=4,
        images=4,
    )
    known = manifest()
    label_map = LabelMap(known.label_map.labels, (Attribute(3, "size", ((7, "big"),)),))
    with registry.draft("tags") as draft:
        record = registry.add("tags", draft, replace(known, label_map=label_map, metrics={"test": named}))
    again = registry.manifest(record.ref)
    assert again == record.manifest
    assert again.label_map.attributes == label_map.attributes

    path = record.folder / "manifest.json"
    value = json.loads(path.read_text("utf-8"))
    del value["attribute_groups"], value["metrics"]["test"]["names"]
    path.write_text(json.dumps(value))
    older = registry.manifest(record.ref)
    assert older == replace(record.manifest, metrics={"test": replace(named, names={})})
    assert older.label_map.attributes == ()


def test_promote_and_roll_back(registry: Registry) -> None:
    for _ in range(3):
        add(registry)
    for version in (1, 3, 3):
        registry.promote(ref(version))
    assert champion(registry) == 3
    assert registry.rollback("detector").version == 1
    assert champion(registry) == 1
    with pytest.raises(NoChampion):
        registry.rollback("detector")
    registry.promote(ref(2))
    assert champion(Registry(registry.folder)) == 2
    actions = [(entry.version, entry.action) for entry in registry.history("detector")]
    assert actions == [(1, "promote"), (3, "promote"), (1, "rollback"), (2, "promote")]


def test_a_crash_while_promoting_keeps_the_old_champion(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    add(registry), add(registry)
    registry.promote(ref(1))

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", crash)
        with pytest.raises(KeyboardInterrupt):
            registry.promote(ref(2))
    assert champion(registry) == 1
    registry.promote(ref(2))
    assert champion(registry) == 2


@pytest.mark.parametrize("text", ["{", '{"number": 1}', '{"number": 2, "action": "promote"}'])
def test_a_damaged_promotion_is_reported(registry: Registry, tmp_path: Path, text: str) -> None:
    add(registry)
    registry.promote(ref(1))
    (tmp_path / "brains" / "detector" / "promotions" / "000001.json").write_text(text)
    with pytest.raises(BrainTampered, match=r"000001\.json"):
        Registry(tmp_path / "brains").champion("detector")


def test_the_revision_of_the_code_is_known_in_a_working_copy() -> None:
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        pytest.skip("this is no working copy of a repository")
    revision = package_versions()["git"].removesuffix("-dirty")
    asked = ["git", "-C", str(root), "cat-file", "-t", revision]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "commit\n"


def champion(registry: Registry) -> int:
    record = registry.champion("detector")
    assert record is not None
    return record.ref.version
