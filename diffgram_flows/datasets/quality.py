"""What is good and what is doubtful in a snapshot, before anything is trained on it.

Two walks through the samples, the second for pictures that were annotated twice; what is kept does not grow with the
number of boxes, so a million of them are no trouble.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from diffgram_flows.datasets.agreement import Agreement
from diffgram_flows.datasets.census import Census, census
from diffgram_flows.datasets.drift import Drift, Verdict, drift
from diffgram_flows.datasets.instances import OUTSIDE
from diffgram_flows.datasets.leaks import Leak
from diffgram_flows.datasets.manifest import IMAGES
from diffgram_flows.datasets.splits import Gap, check_strata
from diffgram_flows.datasets.statistics import SPLITS
from diffgram_flows.datasets.suspicion import KINDS
from diffgram_flows.models import Sample, Snapshot
from diffgram_flows.perceptual import FEATURELESS

Level = Literal["good", "unknown", "look", "bad"]
_COMPARED = 2_000  # pictures that were annotated twice; more say the same
_LEAST_IOU, _LEAST_KAPPA = 0.7, 0.8
_LEAKS_SHOWN = 12
_LEVELS: Mapping[Verdict, Level] = {
    "steady": "good",
    "shifted a little": "look",
    "shifted": "look",
    "too few to tell": "unknown",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the report says first.

    Attributes:
        level: ``good``, worth a ``look``, ``bad``, or ``unknown``, where there is too little to tell.
        text: A sentence.
    """

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Quality:
    """Everything that was found.

    Attributes:
        names: Of the labels, by class index.
        counted: The census of the snapshot.
        drift: Against the previous snapshot; ``None`` for the first one, or where nothing came since.
        agreement: On pictures that were annotated twice.
        gaps: Labels that a split lacks.
        leaks: Images with an elder twin in another split, of which some are shown.
        shown_leaks: Pairs of samples that look the same: newer, elder.
        skipped, clipped, ungrouped: What the snapshot's making left out, cut, and found no group for, as its report
            says.
        findings: The short of it, the worst first.
    """

    snapshot_id: str
    names: tuple[str, ...]
    counted: Census
    drift: Drift | None
    agreement: Agreement
    gaps: tuple[Gap, ...]
    leaks: tuple[Leak, ...]
    shown_leaks: tuple[tuple[Sample, Sample], ...]
    skipped: Mapping[str, int]
    clipped: int
    ungrouped: int
    findings: tuple[Finding, ...] = field(default=())


def examine(
    snapshot: Snapshot,
    previous: Snapshot | None = None,
    *,
    leaks: Sequence[Leak] = (),
    skipped: Mapping[str, int] | None = None,
    clipped: int = 0,
    ungrouped: int = 0,
) -> Quality:
    """Look at a snapshot.

    Args:
        snapshot: It is walked through twice.
        previous: The snapshot before it, walked through once.
        leaks: What :func:`~diffgram_flows.datasets.leaks.settle_leaks` left.
        skipped: Instances that are not in the snapshot, by reason.
        clipped: How many annotations were cut at the edge of their image.
        ungrouped: How many images the group pattern finds no group for.
    """
    before = census(previous.samples, snapshot.label_map, examples=False) if previous is not None else None
    old = {sample.file_id for sample in previous.samples} if previous is not None else set()
    counted, fresh = Census(snapshot.label_map), Census(snapshot.label_map)
    twins = _Twins(snapshot)
    for sample in snapshot.samples:
        counted.add(sample)
        twins.look(sample)
        if before is not None and sample.file_id not in old:
            fresh.add(sample, examples=False)
    shown = leaks[:_LEAKS_SHOWN]
    agreement, pairs = _again(snapshot, twins, [(leak.file_id, leak.elder_id) for leak in shown])
    moved = None
    if previous is not None and before is not None and fresh.done().images.any():
        moved = drift(before, fresh, snapshot.label_map, previous.id)
    names = tuple(snapshot.label_map.display_names().values())
    found = Quality(
        snapshot_id=snapshot.id,
        names=names,
        counted=counted.done(),
        drift=moved,
        agreement=agreement,
        gaps=_gaps(counted, names),
        leaks=tuple(leaks),
        shown_leaks=pairs,
        skipped=dict(skipped or {}),
        clipped=clipped,
        ungrouped=ungrouped,
    )
    return _judged(found)


class _Twins:
    """Which samples show the same picture: the same bytes, or a copy in another encoding or size."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._hashes = _hashes(snapshot)
        self._ids, self._bytes = array("q"), array("Q")

    def look(self, sample: Sample) -> None:
        """Remember a sample."""
        self._ids.append(sample.file_id)
        self._bytes.append(int(sample.sha256[:16] or "0", 16))

    def pairs(self) -> list[tuple[int, int]]:
        """File ids, elder and newer; of three files with one picture each is paired with the eldest."""
        ids, found = np.array(self._ids, np.int64), dict[int, int]()
        hashes = self._hashes if len(self._hashes) == len(ids) else np.zeros(len(ids), np.uint64)
        for keys in (np.array(self._bytes, np.uint64), hashes):
            order = np.lexsort((ids, keys))
            same = np.flatnonzero((keys[order[1:]] == keys[order[:-1]]) & (keys[order[1:]] != FEATURELESS)) + 1
            starts = np.maximum.accumulate(np.where(np.isin(np.arange(len(ids)), same), 0, np.arange(len(ids))))
            for place in same.tolist():
                found.setdefault(int(ids[order[place]]), int(ids[order[starts[place]]]))
        return sorted((elder, newer) for newer, elder in found.items())


def _hashes(snapshot: Snapshot) -> npt.NDArray[np.uint64]:
    """The perceptual hashes of a snapshot in its order, where its files tell them."""
    path = snapshot.folder / IMAGES
    if not path.is_file():
        return np.zeros(0, np.uint64)
    from pyarrow import parquet

    column = parquet.read_table(path, columns=["phash"]).column("phash")
    return np.asarray(column.fill_null(FEATURELESS).to_numpy(), np.uint64)


def _again(
    snapshot: Snapshot, twins: _Twins, leaks: Sequence[tuple[int, int]]
) -> tuple[Agreement, tuple[tuple[Sample, Sample], ...]]:
    """The second walk: samples that belong to a pair."""
    every = twins.pairs()
    pairs = every[:_COMPARED]
    wanted = {file_id for pair in (*pairs, *leaks) for file_id in pair}
    found = {sample.file_id: sample for sample in snapshot.samples if sample.file_id in wanted} if wanted else {}
    agreement = Agreement(snapshot.label_map, len(every))
    for one, other in pairs:
        agreement.compare(found[one], found[other])
    return agreement, tuple((found[a], found[b]) for a, b in leaks if a in found and b in found)


def _gaps(counted: Census, names: Sequence[str]) -> tuple[Gap, ...]:
    images = dict(zip(SPLITS, counted.images.tolist(), strict=True))
    having = {
        split: dict(zip(names, row, strict=True)) for split, row in zip(SPLITS, counted.having.tolist(), strict=True)
    }
    return check_strata(images, having)


def _judged(found: Quality) -> Quality:
    order: list[Level] = ["bad", "look", "unknown", "good"]
    return replace(found, findings=tuple(sorted(_findings(found), key=lambda finding: order.index(finding.level))))


def _findings(found: Quality) -> Iterator[Finding]:
    yield from _of_splits(found)
    yield from _of_boxes(found)
    yield from _of_people(found)
    yield from _of_drift(found)


def _of_splits(found: Quality) -> Iterator[Finding]:
    for split, images in zip(SPLITS, found.counted.images.tolist(), strict=True):
        if not images:
            yield Finding("bad", f"There is no image in {split}.")
    if found.leaks:
        what = f"Images that look like an elder one of another split: {len(found.leaks):,}."
        yield Finding("bad", f"{what} A brain that knows that one by heart is judged too well.")
    else:
        yield Finding("good", "No image looks like one of another split.")
    if found.ungrouped:
        level: Level = "bad" if found.ungrouped == found.counted.images.sum() else "look"
        yield Finding(level, f"The group pattern finds no group for {found.ungrouped:,} images: each stands alone.")
    odd = [gap for gap in found.gaps if not gap.by_chance]
    rare = [gap for gap in found.gaps if gap.by_chance]
    for gap in odd:
        yield Finding("look", str(gap))
    if rare:
        some = ", ".join(sorted({gap.label for gap in rare})[:8])
        yield Finding("look", f"Too rare for every split to have one: {some}. More annotated images cure it.")
    if not found.gaps:
        yield Finding("good", "Every label is in validation and test as often as chance allows.")


def _of_boxes(found: Quality) -> Iterator[Finding]:
    for kind, text in KINDS.items():
        if count := found.counted.suspicious[kind]:
            yield Finding("look", f"{count:,} x {kind}: {text}.")
    if not found.counted.suspicious:
        yield Finding("good", "No box is tiny, drawn twice, named twice or as large as its image.")
    outside = found.skipped.get(OUTSIDE, 0)
    if found.clipped or outside:
        text = f"{found.clipped:,} annotations were cut at the edge of their image, {outside:,} were wholly outside."
        yield Finding("look", text)
    unused = [
        name for name, count in zip(found.names, found.counted.having.sum(axis=0).tolist(), strict=True) if not count
    ]
    if unused:
        yield Finding("look", f"Labels without an annotation ({len(unused)}): {', '.join(unused[:8])}.")


def _of_people(found: Quality) -> Iterator[Finding]:
    agreement = found.agreement
    if not agreement.seen:
        return
    text = (
        f"{agreement.pictures:,} pictures were annotated twice: mean IoU {agreement.mean_iou:.2f} on "
        f"{agreement.matched:,} boxes that both drew, {agreement.unmatched:,} that only one drew"
    )
    chosen = agreement.kappa
    text += f", Cohen's kappa of the labels {chosen:.2f}." if chosen is not None else "."
    lonely = agreement.unmatched > 0.2 * (2 * agreement.matched + agreement.unmatched)
    far = agreement.matched and agreement.mean_iou < _LEAST_IOU
    yield Finding("look" if lonely or far or (chosen is not None and chosen < _LEAST_KAPPA) else "good", text)


def _of_drift(found: Quality) -> Iterator[Finding]:
    moved = found.drift
    if moved is None:
        return
    for what, shift in (("labels", moved.labels), ("sizes of boxes", moved.sizes)):
        text = f"The {what} of the {moved.images_new:,} new images against {moved.previous}: {shift.verdict}"
        yield Finding(_LEVELS[shift.verdict], f"{text} (stability index {shift.index:.2f}).")
    changed = [one for one in moved.per_label if one.verdict in ("new", "gone", "more often", "less often")]
    if changed:
        some = ", ".join(f"{one.label} ({one.verdict})" for one in changed[:8])
        yield Finding("look", f"Labels that changed: {some}.")


def counts_table(found: Quality) -> list[dict[str, object]]:
    """One row a label: name, annotations, images, and annotations by split."""
    annotations, having = found.counted.annotations, found.counted.having.sum(axis=0)
    return [
        {
            "label": name,
            "annotations": int(annotations[:, i].sum()),
            "images": int(having[i]),
            **{split: int(annotations[place, i]) for place, split in enumerate(SPLITS)},
        }
        for i, name in enumerate(found.names)
    ]
