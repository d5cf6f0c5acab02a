from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from diffgram_flows.brains import BrainRecord, Gate, Registry, judge, settle
from diffgram_flows.errors import BrainTampered, LabelMapChanged, NotEnoughData
from diffgram_flows.ledger import open_ledger
from diffgram_flows.models import Annotation, Box, BrainRef, LabelMap, Sample, Snapshot

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


def test_images_of_a_group_are_one_draw(
    adopt: Adopt, novice: BrainRecord, learned: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    judge(adopt(novice), registry, samples)
    cameras = [replace(sample, group=("west", "east", "")[number % 3]) for number, sample in enumerate(samples)]
    alone = sum(not sample.group for sample in cameras)
    better = adopt(learned)
    single, grouped = (judge(better, registry, some, promote=False).interval for some in (samples, cameras))
    assert single is not None
    assert grouped is not None
    assert (single.draws, grouped.draws) == (len(samples), alone + 2)
    assert grouped.difference == pytest.approx(single.difference)


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


def test_the_report_needs_no_other_file_and_shows_the_worst_images(
    adopt: Adopt,
    novice: BrainRecord,
    learned: BrainRecord,
    registry: Registry,
    samples: Sequence[Sample],
    tmp_path: Path,
) -> None:
    dated = [replace(sample, modified=1e9 - 40 * 86_400 * (number % 2)) for number, sample in enumerate(samples)]
    registry.promote(adopt(learned).ref)
    verdict = judge(adopt(novice), registry, dated, now=1e9, reports=tmp_path / "reports")
    assert verdict.report is not None
    page = verdict.report.page
    assert page == tmp_path / "reports" / "detector@2-evaluation.html"
    html = page.read_text("utf-8")
    assert "Did not pass the gate" in html
    headings = "".join(re.findall("<th>.*?</th>", html))
    assert "<th>label</th><th>ap</th><th>ap50 of detector@2</th><th>ap50 of detector@1</th><th>boxes</th>" in headings
    assert html.count("data:image/") >= 3
    assert not re.search(r"(src|href)=\"(?!data:)", html)
    assert {"precision-recall", "calibration", "worst-images"} <= {plate.key for plate in verdict.report.pictures}
    assert all(plate.path.stat().st_size > 5_000 for plate in verdict.report.pictures)
    assert [(window.days, window.images) for window in verdict.windows] == [(30, 4), (60, 8), (180, 8)]
    assert verdict.windows[1].scores == pytest.approx(
        (verdict.candidate_evaluation.value, verdict.champion_evaluation.value if verdict.champion_evaluation else 0)
    )


def test_an_image_that_is_damaged_by_now_does_not_stop_the_judgement(
    adopt: Adopt, novice: BrainRecord, registry: Registry, samples: Sequence[Sample], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(samples[0].path.read_bytes()[:1_000])
    verdict = judge(
        adopt(novice), registry, [replace(samples[0], path=bad), *samples[1:]], reports=tmp_path / "reports"
    )
    assert verdict.report is not None
    assert samples[0].file_name not in verdict.report.page.read_text("utf-8")


def test_a_label_that_the_champion_does_not_know_is_told_apart(
    adopt: Adopt, novice: BrainRecord, learned: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    judge(adopt(novice), registry, samples)
    grown = LabelMap((*learned.manifest.label_map.labels, (99, "green")))
    first = replace(samples[0], annotations=(*samples[0].annotations, Annotation.of_box(Box(99, 1, 1, 9, 9))))
    candidate = adopt(replace(learned, manifest=replace(learned.manifest, label_map=grown)))
    verdict = judge(candidate, registry, [first, *samples[1:]], promote=False)
    assert verdict.interval is not None
    assert verdict.shared_interval is not None
    assert verdict.shared_interval.difference == pytest.approx(verdict.interval.difference * 3 / 2)
    assert "does not know green" in " ".join(verdict.remarks)


def test_a_promotion_and_what_was_judged_are_written_down_together(
    adopt: Adopt,
    novice: BrainRecord,
    learned: BrainRecord,
    registry: Registry,
    samples: Sequence[Sample],
    tmp_path: Path,
) -> None:
    with closing(open_ledger(str(tmp_path / "ledger.db"), "target")) as ledger:
        for record in (adopt(novice), adopt(learned), adopt(novice)):
            settle(judge(record, registry, samples, promote=False), registry, ledger, "snapshot")
        rows = ledger.history.trainings()
        assert [(row.brain[-1], row.promoted) for row in rows] == [("1", True), ("2", True), ("3", False)]
        assert rows[1].map50 is not None
        assert "better than detector@1" in rows[1].verdict
        assert registry.champion_ref("detector") == BrainRef("detector", 2)
        again = settle(judge(registry.get(BrainRef("detector", 2)), registry, samples), registry, ledger, "snapshot")
        assert again.promoted
        assert len(registry.history("detector")) == 2


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
    with pytest.raises(LabelMapChanged) as caught:
        judge(other, registry, samples)
    assert f"diffgram-flows brain promote {other.ref}" in caught.value.cure
    registry.promote(other.ref)
    assert judge(other, registry, samples).passed


def test_a_tampered_champion_is_refused(
    adopt: Adopt, novice: BrainRecord, registry: Registry, samples: Sequence[Sample]
) -> None:
    champion, candidate = adopt(novice), adopt(novice)
    registry.promote(champion.ref)
    (champion.folder / "network.keras").write_bytes(b"evil")
    with pytest.raises(BrainTampered, match=r"network\.keras of the brain detector@1"):
        judge(candidate, registry, samples)
