"""Whether a new brain is better than the one in use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffgram_flows.brains.evaluation import Evaluation, pictures_of
from diffgram_flows.brains.methods import find_method
from diffgram_flows.brains.prediction import Brain
from diffgram_flows.brains.records import BrainRecord
from diffgram_flows.brains.registry import Registry
from diffgram_flows.errors import LabelMapChanged, NotEnoughData
from diffgram_flows.models import BrainRef, LabelMap, Sample


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of comparing a brain with the champion.

    Attributes:
        candidate: The brain that was judged.
        champion: The one in use before, ``None`` if there was none.
        candidate_evaluation, champion_evaluation: On the same images.
        promoted: Whether the candidate became the champion.
        reason: Why, as a sentence.
    """

    candidate: BrainRef
    champion: BrainRef | None
    candidate_evaluation: Evaluation
    champion_evaluation: Evaluation | None
    promoted: bool
    reason: str


def judge(
    candidate: BrainRecord,
    registry: Registry,
    samples: Sequence[Sample],
    *,
    promote: bool = True,
    min_map50: float = 0.0,
) -> Verdict:
    """Judge a brain and the champion on the same images, and promote the better one.

    Better is a higher mAP50, and where that is equal a higher mAP. A candidate may know more labels than the champion,
    who then finds nothing of the new ones.

    Args:
        candidate: The new brain.
        registry: Where it and the champion are.
        samples: Images that neither of them was trained on: the test split of the newest snapshot.
        promote: Whether to promote, or only to compare.
        min_map50: Below it nothing is promoted.

    Raises:
        NotEnoughData: There is no image, or none with a box.
        LabelMapChanged: The champion's labels are not the first ones of the candidate.
        BrainTampered: A file of one of them was changed.
    """
    if not any(sample.boxes for sample in samples):
        raise NotEnoughData(
            f"There is no test image with a box to judge {candidate.ref} by ({len(samples)} images).",
            cure="Annotate more images, or raise the share of the test split.",
        )
    label_map = candidate.manifest.label_map
    champion = registry.champion(candidate.ref.name)
    if champion is not None and champion.ref == candidate.ref:
        champion = None
    _check_labels(candidate, champion)
    mine = _evaluation(candidate, samples, label_map)
    theirs = _evaluation(champion, samples, label_map) if champion else None
    better, reason = _compare(mine, champion, theirs, min_map50)
    if better and promote:
        registry.promote(candidate.ref)
    return Verdict(candidate.ref, champion.ref if champion else None, mine, theirs, better and promote, reason)


def _check_labels(candidate: BrainRecord, champion: BrainRecord | None) -> None:
    if champion is None or champion.manifest.label_map.is_prefix_of(candidate.manifest.label_map):
        return
    raise LabelMapChanged(
        f"{candidate.ref} and the champion {champion.ref} do not speak of the same labels.",
        cure="Promote the candidate by hand if the change of labels is meant.",
    )


def _evaluation(record: BrainRecord, samples: Sequence[Sample], label_map: LabelMap) -> Evaluation:
    predictions = Brain.load(record).predict(pictures_of(samples), score_threshold=0.0)
    return find_method(record.manifest.method).evaluate(samples, predictions, label_map)


def _compare(
    mine: Evaluation, champion: BrainRecord | None, theirs: Evaluation | None, min_map50: float
) -> tuple[bool, str]:
    if mine.value < min_map50:
        return False, f"Its {mine.metric} of {mine.value:.4f} is below the required {min_map50:.4f}."
    if champion is None or theirs is None:
        return True, f"It is the first one, with an {mine.metric} of {mine.value:.4f}."
    pairs = zip(mine.scores.items(), theirs.scores.values(), strict=True)
    scores = ", ".join(f"{name} {ours:.4f} against {others:.4f}" for (name, ours), others in pairs)
    if tuple(mine.scores.values()) > tuple(theirs.scores.values()):
        return True, f"It is better than {champion.ref}: {scores}."
    return False, f"It is not better than {champion.ref}: {scores}."
