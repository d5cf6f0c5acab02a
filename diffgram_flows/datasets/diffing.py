"""What became different from one snapshot to another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from diffgram_flows.models import Annotation, LabelMap, Sample, Snapshot

_NAMED = 20


@dataclass
class LabelChanges:
    """What happened to the annotations of one label.

    Attributes:
        changed: Annotations of an image that were moved, reshaped or described otherwise. Annotations have no name of
            their own, so of those that are gone and those that came, as many as can be are taken for changed.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0


@dataclass
class SnapshotDiff:
    """The differences between two snapshots.

    Attributes:
        before, after: Their ids.
        images_added, images_removed: Images of one of the two.
        images_changed: Images of both, with other annotations or other bytes.
        images_same: Images of both that are equal.
        per_label: By label name (as it is in ``after``, if it is there); labels without a difference are left out.
        labels_added, labels_removed: Names.
        labels_renamed: Older to newer name.
        indices_kept: Whether every class index of ``before`` means the same label in ``after``.
        splits_changed: How many images of both are in another split: 0, unless splits are decided otherwise.
        examples: Names of some images that were added, changed, removed.
    """

    before: str
    after: str
    images_added: int = 0
    images_changed: int = 0
    images_removed: int = 0
    images_same: int = 0
    per_label: dict[str, LabelChanges] = field(default_factory=dict)
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()
    labels_renamed: dict[str, str] = field(default_factory=dict)
    indices_kept: bool = True
    splits_changed: int = 0
    examples: dict[str, list[str]] = field(default_factory=lambda: {"added": [], "changed": [], "removed": []})


def diff_snapshots(before: Snapshot, after: Snapshot) -> SnapshotDiff:
    """Compare two snapshots, image by image: both are read once, from the front."""
    diff = SnapshotDiff(before.id, after.id)
    _compare_labels(diff, before.label_map, after.label_map)
    names = before.label_map.display_names() | after.label_map.display_names()
    changes: dict[int, LabelChanges] = {}
    for old, new in paired(before.samples, after.samples):
        _compare_images(diff, old, new)
        gone = Counter(old.annotations if old else ())
        came = Counter(new.annotations if new else ())
        if gone != came:
            _compare_annotations(changes, gone - came, came - gone)
    diff.per_label = {names.get(label, f"id {label}"): changes[label] for label in sorted(changes)}
    return diff


def paired(before: Iterable[Sample], after: Iterable[Sample]) -> Iterator[tuple[Sample | None, Sample | None]]:
    """Samples of both by file id; ``None`` where one of the two has no such file."""
    olds, news = iter(before), iter(after)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.file_id < new.file_id):
            yield old, None
            old = next(olds, None)
        elif old is None or new.file_id < old.file_id:
            yield None, new
            new = next(news, None)
        else:
            yield old, new
            old, new = next(olds, None), next(news, None)


def _compare_images(diff: SnapshotDiff, old: Sample | None, new: Sample | None) -> None:
    if old is None or new is None:
        kind = "added" if old is None else "removed"
    elif (old.sha256, old.annotations) != (new.sha256, new.annotations):
        kind = "changed"
    else:
        kind = "same"
    setattr(diff, f"images_{kind}", getattr(diff, f"images_{kind}") + 1)
    if old is not None and new is not None:
        diff.splits_changed += old.split != new.split
    sample = new or old
    if sample is not None and kind != "same" and len(diff.examples[kind]) < _NAMED:
        diff.examples[kind].append(sample.uri or sample.file_name)


def _compare_annotations(
    changes: dict[int, LabelChanges], gone: Counter[Annotation], came: Counter[Annotation]
) -> None:
    """Count what one image lost and got; a box for a box is a change."""
    lost = Counter((one.label_file_id, one.type) for one in gone.elements())
    got = Counter((one.label_file_id, one.type) for one in came.elements())
    for label, kind in lost | got:
        count = changes.setdefault(label, LabelChanges())
        changed = min(lost[label, kind], got[label, kind])
        count.changed += changed
        count.removed += lost[label, kind] - changed
        count.added += got[label, kind] - changed


def _compare_labels(diff: SnapshotDiff, before: LabelMap, after: LabelMap) -> None:
    old, new = before.name_of(), after.name_of()
    diff.labels_added = tuple(name for label, name in after.labels if label not in old)
    diff.labels_removed = tuple(name for label, name in before.labels if label not in new)
    diff.labels_renamed = {old[label]: new[label] for label in old if label in new and old[label] != new[label]}
    diff.indices_kept = before.is_prefix_of(after)
