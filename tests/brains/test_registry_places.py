"""The registry where several machines share it: in a bucket, and with writers that meet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from servers.gcs import gcs_server
from servers.places import Open, opened, slow_to_settle
from servers.s3 import s3_server

from diffgram_flows.brains import BrainRecord, Manifest, Registry, TrainingOptions
from diffgram_flows.errors import BrainTampered, ChampionChanged, ConfigurationError
from diffgram_flows.models import BrainRef, LabelMap
from diffgram_flows.storage import Folder

__all__ = ["gcs_server", "opened", "s3_server", "slow_to_settle"]
in_a_bucket = pytest.mark.parametrize("opened", ["s3", "gcs"], indirect=True)


def ref(version: int) -> BrainRef:
    return BrainRef("digits", version)


def add(registry: Registry, content: bytes = b"weights") -> BrainRecord:
    labels = LabelMap(((70, "red"),))
    manifest = Manifest(
        method="object_detection",
        created=datetime(2026, 1, 2, tzinfo=UTC),
        snapshot_id="0123456789abcdef",
        label_map=labels,
        options=TrainingOptions(steps=5),
        parent=None,
        metrics={},
        score_threshold=0.4,
        history=(),
        skipped=(),
        files={},
        versions={},
    )
    with registry.draft("digits") as draft:
        (draft / "weights").mkdir()
        (draft / "weights" / "a.bin").write_bytes(content)
        (draft / "b.json").write_bytes(b"{}")
        return registry.add("digits", draft, manifest)


@pytest.fixture
def folder(opened: Open) -> Folder:
    return opened().child("brains")


@pytest.fixture
def registry(folder: Folder, tmp_path: Path) -> Registry:
    return Registry(folder, tmp_path / "here")


@pytest.fixture
def elsewhere(opened: Open, tmp_path: Path) -> Registry:
    """The same registry as another machine sees it."""
    return Registry(opened().child("brains"), tmp_path / "there")


def test_a_version_reaches_another_machine(registry: Registry, elsewhere: Registry) -> None:
    added = add(registry)
    added.verify()
    found = elsewhere.get(ref(1))
    found.verify()
    assert (found.folder / "weights" / "a.bin").read_bytes() == b"weights"
    assert found.manifest == added.manifest
    assert (elsewhere.names(), elsewhere.numbers("digits"), elsewhere.next_version("digits")) == (["digits"], [1], 2)


def test_champions_are_seen_and_rolled_back_from_anywhere(registry: Registry, elsewhere: Registry) -> None:
    add(registry), add(elsewhere)
    assert elsewhere.champion_ref("digits") is None
    registry.promote(ref(1))
    assert elsewhere.champion_ref("digits") == ref(1)
    elsewhere.promote(ref(2))
    assert (registry.champion_ref("digits"), registry.champions("digits")) == (ref(2), (ref(1), ref(2)))
    assert elsewhere.rollback("digits").version == 1
    champion = registry.champion("digits")
    assert champion is not None
    assert champion.ref == ref(1)
    assert [(entry.number, entry.action, entry.version) for entry in registry.history("digits", after=1)] == [
        (2, "promote", 2),
        (3, "rollback", 1),
    ]


@pytest.mark.usefixtures("slow_to_settle")
def test_writers_that_meet_all_find_their_place(registry: Registry, elsewhere: Registry) -> None:
    with ThreadPoolExecutor(2) as pool:
        records = list(pool.map(lambda where: add(where, str(id(where)).encode()), (registry, elsewhere)))
        assert sorted(record.ref.version for record in records) == [1, 2]
        list(pool.map(lambda at: (registry, elsewhere)[at].promote(ref(at + 1)), range(2)))
    for record in records:
        registry.get(record.ref).verify()
    history = registry.history("digits")
    assert sorted(entry.version for entry in history) == [1, 2]
    assert elsewhere.champion_ref("digits") == ref(history[-1].version)


def test_who_judged_against_an_old_champion_must_judge_again(registry: Registry, elsewhere: Registry) -> None:
    for _ in range(3):
        add(registry)
    registry.promote(ref(1), instead_of=None)
    elsewhere.promote(ref(2), instead_of=ref(1))
    with pytest.raises(ChampionChanged, match="digits@2 by now, and not digits@1"):
        registry.promote(ref(3), instead_of=ref(1))
    with pytest.raises(ChampionChanged):
        registry.rollback("digits", instead_of=ref(1))
    assert registry.champion_ref("digits") == ref(2)


@in_a_bucket
def test_a_tampered_brain_is_refused_with_the_files_name(
    registry: Registry, elsewhere: Registry, folder: Folder
) -> None:
    add(registry)
    folder.put("digits/1/weights/a.bin", b"Weights")
    with pytest.raises(BrainTampered, match=r"weights/a\.bin of the brain digits@1 was changed"):
        elsewhere.get(ref(1))
    folder.delete("digits/1/weights/a.bin")
    with pytest.raises(BrainTampered, match=r"weights/a\.bin of the brain digits@1 is missing"):
        elsewhere.get(ref(1))
    folder.put("digits/1/weights/a.bin", b"weights")
    elsewhere.get(ref(1)).verify()


@in_a_bucket
def test_a_manifest_cannot_lead_a_download_out(
    registry: Registry, elsewhere: Registry, folder: Folder, tmp_path: Path
) -> None:
    add(registry)
    text = folder.read("digits/1/manifest.json").decode()
    folder.put("digits/1/manifest.json", text.replace("weights/a.bin", "../../../evil").encode())
    with pytest.raises(BrainTampered, match="evil"):
        elsewhere.get(ref(1))
    assert list(tmp_path.rglob("evil")) == []


@in_a_bucket
def test_a_brain_is_downloaded_once_and_not_from_another_registry(
    registry: Registry, elsewhere: Registry, folder: Folder, opened: Open, tmp_path: Path
) -> None:
    add(registry)
    kept = elsewhere.get(ref(1)).folder / "weights" / "a.bin"
    first = kept.stat().st_ino
    assert elsewhere.get(ref(1)).folder / "weights" / "a.bin" == kept
    assert kept.stat().st_ino == first
    for name in list(folder.list()):  # the registry begins anew at the same address
        folder.delete(name)
    add(registry, b"other weights")
    record = elsewhere.get(ref(1))
    record.verify()
    assert (record.folder / "weights" / "a.bin").read_bytes() == b"other weights"


def test_a_number_is_claimed_before_anything_is_written(registry: Registry, folder: Folder) -> None:
    assert folder.put_new("digits/claims/000001", b"")  # by one who died, or still uploads
    folder.put("digits/1/weights/a.bin", b"half")
    assert registry.names() == []
    assert add(registry).ref == ref(2)
    assert (registry.numbers("digits"), folder.read("digits/1/weights/a.bin")) == ([2], b"half")
    with pytest.raises(ConfigurationError, match="name of a brain"):
        registry.numbers("../digits")
