"""How a snapshot is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from diffgram_flows.datasets.leaks import Policy
from diffgram_flows.datasets.near import check_distance
from diffgram_flows.datasets.splits import split_of
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.models import Split
from diffgram_flows.perceptual import NEAR


@dataclass(frozen=True, slots=True)
class SnapshotOptions:
    """How a snapshot is made.

    Attributes:
        val, test: Shares of the validation and the test split; see :func:`split_of`.
        group_pattern: A regular expression searched in every key; images with the same match (its first group, if it
            has one) belong to the same split: ``^(.*)/`` keeps folders together. Keys without a match stand alone.
        near_duplicates: ``move`` an image that looks like an elder one of another split into that split, or ``report``.
        near_duplicate_distance: In how many bits of their perceptual hashes such images may differ, 0 to 8.
        threads: How many images are fetched at the same time.
    """

    val: float = 0.1
    test: float = 0.2
    group_pattern: str | None = None
    near_duplicates: Policy = "report"
    near_duplicate_distance: int = NEAR
    threads: int = 8

    def __post_init__(self) -> None:
        try:
            re.compile(self.group_pattern or "")
        except re.error as error:
            raise ConfigurationError(
                f"The group pattern {self.group_pattern!r} is no regular expression: {error}.",
                cure="Write it like '^(.*)/' for one group a folder, or leave it out.",
            ) from error
        check_distance(self.near_duplicate_distance)
        self.split("")  # shares that do not add up are refused here, not after the download

    def group(self, key: str) -> str | None:
        """The group of the image with this key, ``None`` if it stands alone."""
        match = re.search(self.group_pattern, key) if self.group_pattern is not None else None
        return match[match.re.groups and 1] if match else None

    def split(self, key: str) -> Split:
        """The split of the image with this key."""
        return split_of(key, val=self.val, test=self.test, group=self.group(key))

    @property
    def of_splits(self) -> dict[str, Any]:
        """What decides the splits, for the manifest."""
        return {name: value for name, value in asdict(self).items() if name != "threads"}

    def keeps_splits_of(self, earlier: Mapping[str, Any]) -> bool:
        """Whether a snapshot with these :attr:`of_splits` has split as this one does, but for what was moved."""
        return all(earlier.get(name) == getattr(self, name) for name in ("val", "test", "group_pattern"))
