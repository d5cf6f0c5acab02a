from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from diffgram_flows.brains import BrainRecord, Gate, Registry, judge
from diffgram_flows.errors import BrainTampered, LabelMapChanged, NotEnoughData
from diffgram_flows.models import LabelMap, Sample, Snapshot

Adopt = Callable[[BrainRecord], BrainRecord]


@pytest.fixture
def samples(snapshot: Snapshot) -> Sequence[Sample]:
    """Images that one of the brains knows by heart."""
    return snapshot.split("train")


def test_the_better_one_wins(
    adopt: Adopt, novice: BrainRecord, learned: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    first, better, worse = adopt(novice), adopt(learned), adopt(novice)
    opening = judge(first, registry, samples)
    assert (opening.promoted, opening.champion, opening.champion_evaluation) == (True, None, None)
    verdict = judge(better, registry, samples)
    assert (verdict.promoted, verdict.champion) == (True, first.ref)
    assert verdict.champion_evaluation is not None
    assert verdict.candidate_evaluation.value > verdict.champion_evaluation.value
    verdict = judge(worse, registry, samples)
    assert not verdict.promoted
    assert "not better than detector@2" in verdict.reason
    assert registry.champion("detector") == better


def test_an_equal_one_does_not_win(
    adopt: Adopt, learned: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    first, twin = adopt(learned), adopt(learned)
    judge(first, registry, samples)
    assert not judge(twin, registry, samples).promoted


def test_comparing_without_promoting(
    adopt: Adopt, learned: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    verdict = judge(adopt(learned), registry, samples, promote=False)
    assert not verdict.promoted
    assert registry.champion("detector") is None


def test_a_required_score(adopt: Adopt, novice: BrainRecord, registry: Registry, samples: Sequence[Sample]) -> None:
    verdict = judge(adopt(novice), registry, samples, gate=Gate(min_score=0.9))
    assert not verdict.promoted
    assert "below the required 0.9000" in verdict.reason


def test_the_champion_is_not_judged_against_itself(
    adopt: Adopt, learned: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    record = adopt(learned)
    judge(record, registry, samples)
    assert judge(record, registry, samples).champion is None
    assert len(registry.history("detector")) == 1


@pytest.mark.parametrize("keep", [0, 3], ids=["no images", "no boxes"])
def test_nothing_to_judge_by(
    adopt: Adopt, novice: BrainRecord, registry: Registry, samples: Sequence[Sample], keep: int
) -> None:
    with pytest.raises(NotEnoughData, match=f"{keep} images"):
        judge(adopt(novice), registry, [replace(sample, annotations=()) for sample in samples[:keep]])


def test_other_labels_cannot_be_compared(
    adopt: Adopt, novice: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    registry.promote(adopt(novice).ref)
    stranger = LabelMap(((40, "blue"), (70, "red")))
    other = adopt(replace(novice, manifest=replace(novice.manifest, label_map=stranger)))
    with pytest.raises(LabelMapChanged):
        judge(other, registry, samples)


def test_a_tampered_champion_is_refused(
    adopt: Adopt, novice: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    champion, candidate = adopt(novice), adopt(novice)
    registry.promote(champion.ref)
    (champion.folder / "network.keras").write_bytes(b"evil")
    with pytest.raises(BrainTampered, match=r"network\.keras of the brain detector@1"):
        judge(candidate, registry, samples)
