"""Which part of the data an image belongs to, decided once and for ever by its key.

A random split of each new snapshot would let yesterday's test images be trained on today, and every comparison of two
brains would flatter the newer one. The split is therefore a function of the key alone: it does not change when the
data set grows, when an image is replaced by a new version, or when a bucket moves.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Split

_RANGE = 2**64
_UNLIKELY = 0.01  # of so many sound data sets one gets a false warning
_EXACT = 2_000  # terms of a sum; beyond, the normal distribution is as good
_JUDGES: tuple[Split, ...] = ("val", "test")


def split_of(key: str, *, val: float = 0.1, test: float = 0.2, group: str | None = None) -> Split:
    """The split of an image.

    The hash of the key is a number in [0, 1): the lowest ``test`` of the range is the test split, the next ``val`` the
    validation split, the rest is trained on. A larger share of either only takes images out of training.

    Args:
        key: The object's key, without its bucket and version; the file's name where there is no object.
        val: Share of the images that choose thresholds.
        test: Share of the images that only judge.
        group: Decides instead of the key where images belong together (frames of one film, one patient), so that
            near-twins never lie on both sides.

    Raises:
        ConfigurationError: The shares are negative, or leave nothing to train on.
    """
    if val < 0 or test < 0 or val + test >= 1:
        raise ConfigurationError(
            f"The shares val={val} and test={test} leave nothing to train on.",
            cure="Choose two numbers of 0 or more with a sum below 1.",
        )
    digest = hashlib.sha256((key if group is None else group).encode(errors="surrogatepass")).digest()
    place = int.from_bytes(digest[:8]) / _RANGE
    if place < test:
        return "test"
    return "val" if place < test + val else "train"


@dataclass(frozen=True, slots=True)
class Gap:
    """A label that a split which judges has too seldom.

    Attributes:
        images: How many images of the split have the label.
        expected: How many it would be if the label were spread evenly.
        by_chance: Whether a split by hash alone does this now and then; if not, the label comes in groups, or is new.
    """

    label: str
    split: Split
    images: int
    expected: float
    by_chance: bool

    def __str__(self) -> str:
        what = "no image" if not self.images else f"{self.images} images"
        why = (
            "the label is rare; more annotated images cure it"
            if self.by_chance
            else "more than chance does; its images may belong to a few groups"
        )
        return f"{self.split} has {what} with {self.label!r}, {self.expected:.1f} expected: {why}."


def check_strata(images: Mapping[Split, int], having: Mapping[Split, Mapping[str, int]]) -> tuple[Gap, ...]:
    """Labels that the validation or the test split lacks, or has less often than chance allows. Moves nothing.

    Images are counted and not boxes, because an image comes into a split as a whole.

    Args:
        images: How many images each split has; one without images is not judged.
        having: How many of them have a label, by split and label; labels that no image has are not judged.
    """
    total = sum(images.values())
    labels = sorted({label for counts in having.values() for label, count in counts.items() if count})
    judged = [split for split in _JUDGES if images.get(split)]
    unlikely = _UNLIKELY / max(1, len(labels) * len(judged))
    gaps = []
    for split in judged:
        share = images[split] / total
        for label in labels:
            everywhere = sum(counts.get(label, 0) for counts in having.values())
            here = having.get(split, {}).get(label, 0)
            odds = _at_most(here, everywhere, share)
            if here == 0 or odds < unlikely:
                gaps.append(Gap(label, split, here, everywhere * share, odds >= unlikely))
    return tuple(gaps)


def _at_most(found: int, tries: int, share: float) -> float:
    """How likely at most so many of the tries succeed, each with this chance."""
    if share >= 1 or found >= tries:
        return 1.0
    if found > _EXACT:
        spread = math.sqrt(tries * share * (1 - share))
        return 0.5 * math.erfc((tries * share - found - 0.5) / (spread * math.sqrt(2)))
    whole = math.lgamma(tries + 1)
    logs = (
        whole - math.lgamma(k + 1) - math.lgamma(tries - k + 1) + k * math.log(share) + (tries - k) * math.log1p(-share)
        for k in range(found + 1)
    )
    return min(1.0, sum(math.exp(log) for log in logs))
