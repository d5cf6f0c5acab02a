"""What can be said of an image as a whole: its tags, and the attributes of these tags.

A class is a tag, or one choice of an attribute of a tag. Classes are append-only, as labels are: a brain that starts
from another one keeps the order of its classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffgram_flows.models import Annotation, LabelMap, Sample

UNKNOWN = -1.0
TAG = 0  # the "attribute group" of the tag itself; the server counts groups from 1


class TagClass(NamedTuple):
    """One class.

    Attributes:
        label_file_id: The tag's label.
        group: Attribute group id, :data:`TAG` for the tag itself.
        value: What was chosen in the group, empty for the tag itself.
    """

    label_file_id: int
    group: int = TAG
    value: str = ""


def tag_classes(samples: Iterable[Sample], label_map: LabelMap, known: Sequence[TagClass] = ()) -> tuple[TagClass, ...]:
    """The known classes, then those that the samples use besides, in order of label, group and value."""
    index_of = label_map.index_of()
    used = {found for sample in samples for found in classes_in(sample.annotations) if found.label_file_id in index_of}
    new = sorted(used - set(known), key=lambda found: (index_of[found.label_file_id], found.group, found.value))
    return (*known, *new)


def classes_in(annotations: Iterable[Annotation]) -> set[TagClass]:
    """The classes of an image."""
    found = set()
    for tag in annotations:
        if tag.type == "tag":
            found.add(TagClass(tag.label_file_id))
            found.update(TagClass(tag.label_file_id, group, value) for group, value in tag.attributes)
    return found


def tag_truth(samples: Sequence[Sample], classes: Sequence[TagClass]) -> NDArray[np.float32]:
    """What is true of samples, ``[N, C]``: 1, 0, or :data:`UNKNOWN`.

    A finished image without a tag is one of which the tag is not true. An attribute of a tag that it does not have, or
    in which nobody has chosen anything, is not known: nothing is learned from it.
    """
    truth = np.zeros((len(samples), len(classes)), np.float32)
    for row, sample in enumerate(samples):
        present = classes_in(sample.annotations)
        answered = {(found.label_file_id, found.group) for found in present}
        for column, found in enumerate(classes):
            if found in present:
                truth[row, column] = 1
            elif found.group != TAG and (found.label_file_id, found.group) not in answered:
                truth[row, column] = UNKNOWN
    return truth


def tags_of(scores: Sequence[float], classes: Sequence[TagClass], threshold: float) -> tuple[Annotation, ...]:
    """The tags whose score is at least ``threshold``, best first, each with its likeliest choice in every group."""
    choices: dict[int, dict[int, tuple[float, str]]] = {}
    found: list[tuple[float, int]] = []
    for score, (label, group, value) in zip(scores, classes, strict=True):
        if group == TAG:
            if score >= threshold:
                found.append((score, label))
        else:
            groups = choices.setdefault(label, {})
            groups[group] = max(groups.get(group, (0.0, "")), (score, value))
    found.sort(key=lambda pair: -pair[0])

    def attributes(label: int) -> tuple[tuple[int, str], ...]:
        groups = choices.get(label, {})
        return tuple((group, value) for group, (score, value) in sorted(groups.items()) if score >= max(threshold, 0.5))

    return tuple(Annotation("tag", label, (), attributes(label), float(score)) for score, label in found)
