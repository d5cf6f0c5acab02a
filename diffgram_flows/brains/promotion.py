"""Whether a new brain is better than the one in use."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from diffgram_flows.brains.evaluation import Interval, difference, draw_of, pictures_of
from diffgram_flows.brains.gate import Gate, decide, remarks
from diffgram_flows.brains.methods import check_same_kind, find_method
from diffgram_flows.brains.prediction import Brain, distinct
from diffgram_flows.brains.promoting import promote as promote_in_both
from diffgram_flows.brains.recency import WindowScore, window_scores
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.registry import Registry
from diffgram_flows.brains.report import write_report
from diffgram_flows.brains.verdict import Judged, Verdict
from diffgram_flows.errors import LabelMapChanged, NotEnoughData
from diffgram_flows.ledger import Ledger
from diffgram_flows.ledger.history import TrainingRow
from diffgram_flows.models import LabelMap, Prediction, Sample


def judge(
    candidate: BrainRecord,
    registry: Registry,
    samples: Sequence[Sample],
    *,
    promote: bool = True,
    gate: Gate | None = None,
    group_of: Callable[[Sample], Hashable] = draw_of,
    now: float | None = None,
    reports: Path | None = None,
) -> Verdict:
    """Judge a brain and the champion on the same images, and promote the better one.

    Better means that the bootstrap interval of the difference lies above 0. A candidate may know more labels than the
    champion, who then finds nothing of the new ones; what the difference is on the others is told as well.

    Args:
        candidate: The new brain.
        registry: Where it and the champion are.
        samples: Images that neither of them was trained on: the test split of the newest snapshot.
        promote: Whether to promote, or only to compare; with a ledger, :func:`settle` promotes.
        gate: The conditions.
        group_of: Images with the same group, such as the frames of a video, are one draw of the bootstrap; by default
            those that the snapshot holds together.
        now: End of the time windows, in seconds since 1970; the present moment by default.
        reports: A folder for ``<brain>-evaluation.html`` and its pictures; ``None`` writes none.

    Raises:
        NotEnoughData: There is no image, or none with anything to find.
        ConfigurationError: They do not find the same kind of things.
        LabelMapChanged: The champion's labels are not the first ones of the candidate.
        BrainTampered: A file of one of them was changed.
        ChampionChanged: Somebody else became the champion in the meantime.
    """
    _check_material(candidate, samples, any(sample.annotations for sample in samples))
    champion = registry.champion(candidate.ref.name)
    in_use = champion.ref if champion else None
    if in_use == candidate.ref:
        champion = None
    if champion is not None:
        check_same_kind(candidate.manifest.method, champion.ref, champion.manifest.method)
    _check_labels(candidate, champion)
    gate = gate or Gate()
    mine = _judged(candidate, samples, candidate.manifest.label_map)
    _check_material(candidate, samples, mine.evaluation.truths > 0)
    theirs = _judged(champion, samples, candidate.manifest.label_map) if champion else None
    verdict = _verdict(mine, theirs, gate, [group_of(sample) for sample in samples])
    verdict = replace(verdict, windows=_windows(mine, theirs, samples, now))
    if reports is not None:
        verdict = replace(verdict, report=write_report(verdict, mine, theirs, samples, reports))
    if verdict.passed and promote:
        registry.promote(candidate.ref, instead_of=in_use)
        verdict = replace(verdict, promoted=True)
    return verdict


def settle(verdict: Verdict, registry: Registry, ledger: Ledger, snapshot_id: str) -> Verdict:
    """Promote a brain that passed, if it is not the champion yet, and write the judgement down; both or neither.

    Args:
        verdict: Of :func:`judge` without promoting.
        registry: Where the brain is.
        ledger: Where it is written down.
        snapshot_id: What it was judged by.

    Raises:
        ChampionChanged: Somebody else became the champion in the meantime.
    """
    scores, ref = verdict.candidate_evaluation.scores, verdict.candidate
    found = (scores.get("mAP"), scores.get("mAP50"))
    row = TrainingRow(str(ref), snapshot_id, verdict.passed, *found, verdict.reason)
    if not verdict.passed:
        ledger.history.save_training(row)
        return verdict
    in_use = registry.champion_ref(ref.name)
    promote_in_both(registry, ledger, ref, instead_of=ref if in_use == ref else verdict.champion, training=row)
    return replace(verdict, promoted=True)


def _check_material(candidate: BrainRecord, samples: Sequence[Sample], enough: bool) -> None:
    if not enough:
        raise NotEnoughData(
            f"There is no test image with anything to find to judge {candidate.ref} by ({len(samples)} images).",
            cure="Annotate more images, or raise the share of the test split.",
        )


def _check_labels(candidate: BrainRecord, champion: BrainRecord | None) -> None:
    if champion is None or champion.manifest.label_map.is_prefix_of(candidate.manifest.label_map):
        return
    raise LabelMapChanged(
        f"{candidate.ref} and the champion {champion.ref} do not speak of the same labels.",
        cure=f"If the change of labels is meant, promote it by hand (`diffgram-flows brain promote {candidate.ref}`); "
        "or train under another name.",
    )


def _judged(record: BrainRecord, samples: Sequence[Sample], label_map: LabelMap) -> Judged:
    predictions = Brain.load(record).predict(pictures_of(samples), score_threshold=0.0)
    shown: list[Prediction] = []
    noted = _noted(predictions, record.manifest.score_threshold, shown)
    evaluation = find_method(record.manifest.method).evaluate(samples, noted, label_map)
    return Judged(record, evaluation, tuple(shown))


def _noted(predictions: Iterable[Prediction], threshold: float, shown: list[Prediction]) -> Iterator[Prediction]:
    """The predictions, and in ``shown`` what of them people would see."""
    for prediction in predictions:
        boxes = tuple(box for box in prediction.boxes if box.score is None or box.score >= threshold)
        rest = tuple(one for one in prediction.annotations if one.score is None or one.score >= threshold)
        shown.append(distinct(replace(prediction, boxes=boxes, annotations=rest)))
        yield prediction


def _verdict(mine: Judged, theirs: Judged | None, gate: Gate, groups: Sequence[Hashable]) -> Verdict:
    labels = mine.record.manifest.label_map.names
    known = len(theirs.record.manifest.label_map.labels) if theirs else len(labels)
    interval = _interval(mine, theirs, gate, groups, len(labels))
    shared = _interval(mine, theirs, gate, groups, known) if known < len(labels) else None
    found, other = mine.evaluation, theirs.evaluation if theirs else None
    champion = theirs.record.ref if theirs else None
    decision = decide(gate, found, champion=str(champion), theirs=other, interval=interval)
    return Verdict(
        candidate=mine.record.ref,
        champion=champion,
        candidate_evaluation=replace(found, evidence=None),
        champion_evaluation=replace(other, evidence=None) if other else None,
        passed=decision.passed,
        promoted=False,
        reasons=decision.reasons,
        remarks=tuple(remarks(interval, shared, labels[known:])),
        interval=interval,
        shared_interval=shared,
    )


def _interval(
    mine: Judged, theirs: Judged | None, gate: Gate, groups: Sequence[Hashable], classes: int
) -> Interval | None:
    if theirs is None or mine.evaluation.evidence is None or theirs.evaluation.evidence is None or not classes:
        return None
    return difference(
        mine.evaluation.evidence,
        theirs.evaluation.evidence,
        groups,
        confidence=gate.confidence,
        classes=range(classes),
    )


def _windows(
    mine: Judged, theirs: Judged | None, samples: Sequence[Sample], now: float | None
) -> tuple[WindowScore, ...]:
    evidence = [judged.evaluation.evidence for judged in (mine, theirs) if judged]
    kept = [one for one in evidence if one is not None]
    return window_scores(kept, samples, time.time() if now is None else now)
