"""Two versions side by side."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from diffgram_flows.brains import Brain, BrainRecord, Evaluation, Gate, Interval, Registry, find_method, pictures_of
from diffgram_flows.brains.evaluation import difference, draw_of
from diffgram_flows.datasets import ImageCache, load_snapshot
from diffgram_flows.datasets.catalogue import find_snapshot
from diffgram_flows.errors import LabelMapChanged, NotEnoughData
from diffgram_flows.models import BrainRef, LabelMap, Sample
from diffgram_flows.storage import Folder

Refs = tuple[BrainRef, BrainRef]


@dataclass(frozen=True)
class Comparison:
    """A table with a column for each version, and what must be known to read it."""

    title: str
    rows: list[dict[str, Any]]
    notes: list[str]


def compare_stored(registry: Registry, refs: Refs) -> Comparison:
    """What was found when each was trained.

    Raises:
        BrainNotFound: There is no such version.
    """
    one, other = (registry.manifest(ref) for ref in refs)
    rows = []
    for split in dict.fromkeys([*one.metrics, *other.metrics]):
        rows += _rows(refs, (one.metrics.get(split), other.metrics.get(split)), split)
    same = one.snapshot_id == other.snapshot_id
    notes = [] if same else ["They were judged on different snapshots; --snapshot judges both on the same images."]
    return Comparison("As found when they were trained", rows, notes)


def compare_anew(registry: Registry, refs: Refs, reference: str, workdir: Path, shared: Folder | None) -> Comparison:
    """What both are worth on the test images of a snapshot, and how sure the difference is, as the gate would tell it.

    Args:
        registry: Where the versions are.
        refs: Which two.
        reference: The snapshot's id, the beginning of it, or ``latest``.
        workdir: Where snapshots and images lie on this machine.
        shared: Where snapshots are kept for everybody.

    Raises:
        BrainNotFound, BrainTampered, DatasetError: There is no such version or snapshot, or it was altered.
        LabelMapChanged: They do not speak of the same labels.
        NotEnoughData: The snapshot has no test image.
    """
    records = (registry.get(refs[0]), registry.get(refs[1]))
    cache = ImageCache(workdir / "images")
    snapshot = load_snapshot(find_snapshot(reference, workdir / "snapshots", shared), cache, shared=shared)
    samples = snapshot.split("test")
    if not samples:
        raise NotEnoughData(f"The snapshot {snapshot.id} has no test image.", cure="Name another snapshot.")
    labels = _widest(records)
    if snapshot.label_map.attributes:  # what people call them now
        labels = replace(labels, attributes=snapshot.label_map.attributes)
    found = (_judged(records[0], samples, labels), _judged(records[1], samples, labels))
    rows = _rows(refs, found, "test")
    notes = []
    if found[0].evidence is not None and found[1].evidence is not None:
        groups = [draw_of(sample) for sample in samples]
        seen = difference(found[0].evidence, found[1].evidence, groups, confidence=Gate().confidence)
        notes.append(tell_difference(refs, found[0].metric, seen))
    return Comparison(f"On {len(samples)} test images of {snapshot.id}", rows, notes)


def tell_difference(refs: Refs, metric: str, seen: Interval) -> str:
    """The difference of a metric between two versions, first minus second, as people say it."""
    if not math.isfinite(seen.difference):
        return f"There is nothing to find in these images, so {refs[0]} and {refs[1]} cannot be told apart."
    size = f"{abs(seen.difference):.4f}"
    how = f"{size} {'more' if seen.difference > 0 else 'less'} {metric} than"
    how = f"the same {metric} as" if float(size) == 0 else how
    return (
        f"{refs[0]} has {how} {refs[1]} ({seen.confidence:.0%} confidence interval of the difference: {seen.low:+.4f} "
        f"to {seen.high:+.4f}). It is better in {seen.better:.1%} of the draws."
    )


def _widest(records: tuple[BrainRecord, BrainRecord]) -> LabelMap:
    one, other = (record.manifest.label_map for record in records)
    for first, second in ((one, other), (other, one)):
        if first.is_prefix_of(second):
            return second
    raise LabelMapChanged(
        f"{records[0].ref} and {records[1].ref} do not speak of the same labels.",
        cure="Compare their stored evaluations: leave --snapshot out.",
    )


def _judged(record: BrainRecord, samples: Any, labels: LabelMap) -> Evaluation:
    kept: list[Sample] = list(samples)
    predictions = Brain.load(record).predict(pictures_of(kept), score_threshold=0.0)
    return find_method(record.manifest.method).evaluate(kept, predictions, labels)


def _rows(refs: Refs, found: tuple[Evaluation | None, Evaluation | None], split: str) -> list[dict[str, Any]]:
    """One row a metric and a class: of one key, whatever people called it when the one and the other was judged."""
    tables = [_numbers(evaluation) if evaluation else {} for evaluation in found]
    names = _names(tuple(evaluation for evaluation in found if evaluation))
    columns = [str(ref) for ref in refs]
    return [
        {
            "split": split,
            "": names.get(row, row),
            **{column: table.get(row, "") for column, table in zip(columns, tables, strict=True)},
        }
        for row in dict.fromkeys([*tables[0], *tables[1]])
    ]


def _numbers(found: Evaluation) -> dict[str, Any]:
    classes = {_row(found, key): result.value for key, result in found.per_class.items()}
    return {**found.scores, **classes, "images": found.images}


def _names(found: Sequence[Evaluation]) -> dict[str, str]:
    """What people call the rows of classes: as the first one does, if it has a name; what reads alike has its key."""
    names = {key: name for one in reversed(found) for key, name in one.names.items()}
    keys = dict.fromkeys(key for one in found for key in one.per_class)
    count = Counter(names.get(key, key) for key in keys)
    told = {key: names.get(key, key) for key in keys}
    told = {key: name if count[name] == 1 else f"{name} ({key})" for key, name in told.items()}
    return {_row(one, key): _row(one, told[key]) for one in found for key in one.per_class}


def _row(found: Evaluation, key: str) -> str:
    return f"{found.metric} of {key}"
