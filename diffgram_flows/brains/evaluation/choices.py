"""What is chosen in the attributes of tags, as classes beside the tags themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.brains.evaluation.base import sample_key
from diffgram_flows.brains.tags import TAG, TagClass, classes_in, tag_classes, tag_truth
from diffgram_flows.models import LabelMap, Prediction, Sample
from diffgram_flows.names import distinct

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Choices:
    """Every choice that is true of some image; K of them.

    Attributes:
        classes: Label, attribute group and value of each.
        keys: ``car / 3: red`` is red, chosen in the group 3 of the tag car.
        names: The same as people call it: ``car / colour: red``. Two of them are never alike.
        labels: ``[K]``, the class index of each one's tag.
        truth: ``[N, K]``.
        known: ``[N, K]``, whether anybody has chosen anything in the group; where not, no answer is wrong.
    """

    classes: tuple[TagClass, ...]
    keys: tuple[str, ...]
    names: tuple[str, ...]
    labels: NDArray[np.int64]
    truth: Bools
    known: Bools

    @classmethod
    def of(cls, samples: Sequence[Sample], label_map: LabelMap) -> Choices:
        classes = tuple(found for found in tag_classes(samples, label_map) if found.group != TAG)
        index_of, labels = label_map.index_of(), label_map.display_names()
        keys = tuple(f"{labels[found.label_file_id]} / {found.group}: {found.value}" for found in classes)
        truth = tag_truth(samples, classes)
        return cls(
            classes,
            keys,
            _names(classes, keys, label_map),
            np.array([index_of[found.label_file_id] for found in classes], np.int64),
            truth > 0,
            truth >= 0,
        )

    def answered(self, samples: Sequence[Sample], predictions: Iterable[Prediction], tags: Bools) -> Bools:
        """``[N, K]``: what was chosen in tags that were given, where it can be right or wrong.

        Args:
            samples: The truth.
            predictions: With the samples' keys.
            tags: ``[N, C]``: the tags that each image got.
        """
        rows = {sample_key(sample): row for row, sample in enumerate(samples)}
        chosen = np.zeros(self.truth.shape, np.bool_)
        for prediction in predictions if self.classes else ():
            row = rows.get(prediction.key)
            if row is not None:
                found = classes_in(prediction.annotations)
                chosen[row] = [each in found for each in self.classes]
        seen: Bools = chosen & self.known & tags[:, self.labels]
        return seen

    def pairs(self, row: int, answer: Bools) -> Iterable[tuple[int, int]]:
        """Of an image and each group that was answered in it: which choice was taken for which; K is none."""
        groups = [(found.label_file_id, found.group) for found in self.classes]
        nothing = len(self.classes)
        for group in dict.fromkeys(groups):
            inside = np.array([each == group for each in groups]) & self.known[row]
            yield from paired(inside & self.truth[row], inside & answer, nothing)


def _names(classes: Sequence[TagClass], keys: Sequence[str], label_map: LabelMap) -> tuple[str, ...]:
    """What people call choices.

    Groups of one name of the same label are told apart by their ids, answers that only read alike by their keys.
    """
    labels = label_map.display_names()
    attributes = {found.group: label_map.attribute(found.group) for found in classes}
    groups: dict[int, dict[int, str]] = {}
    for found in classes:
        name = " ".join(attributes[found.group].name.split())
        groups.setdefault(found.label_file_id, {})[found.group] = name or str(found.group)
    told = {label: distinct(names) for label, names in groups.items()}
    names = [
        f"{labels[label]} / {told[label][group]}: {attributes[group].answer(value)}" for label, group, value in classes
    ]
    count = Counter(names)
    return tuple(name if count[name] == 1 else key for name, key in zip(names, keys, strict=True))


def paired(wanted: Bools, given: Bools, nothing: int) -> Iterable[tuple[int, int]]:
    """Which class was taken for which; what is left over was missed, or seen where ``nothing`` is."""
    right = np.flatnonzero(wanted & given).tolist()
    missed, wrong = np.flatnonzero(wanted & ~given).tolist(), np.flatnonzero(given & ~wanted).tolist()
    return [*zip(right, right, strict=True), *zip_longest(missed, wrong, fillvalue=nothing)]
