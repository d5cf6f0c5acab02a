"""What the demo works on: which pictures arrive in the bucket in which round, and what is in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from diffgram_flows.datasets import split_of
from diffgram_flows.demo import digits
from diffgram_flows.disk import write_file
from diffgram_flows.errors import ConfigurationError
from diffgram_flows.importing import SUFFIXES
from diffgram_flows.sandbox.truth import CocoTruth

_LEFT_OPEN = 0.25  # of a round's pictures; they are pre-labelled in the bucket's second way, after their import
_MIN_PER_ROUND = 4


class Material(Protocol):
    """Pictures and their truth."""

    @property
    def truth(self) -> Path:
        """COCO file with what is in the pictures."""

    def put(self, bucket: Path, round_number: int) -> None:
        """Let the pictures of a round (from 1) arrive in the bucket; those that are there stay as they are."""

    def annotated_after(self, round_number: int) -> int:
        """How many pictures people have finished when a round ends."""


@dataclass(frozen=True)
class Digits:
    """Digits on photographs.

    Attributes:
        per_round: How many pictures arrive in each round.
    """

    truth: Path
    per_round: tuple[int, ...]

    def put(self, bucket: Path, round_number: int) -> None:
        """Write the pictures of a round."""
        if not self.truth.exists():
            digits.write_truth(self.truth, range(sum(self.per_round)), split_of)
        start = sum(self.per_round[: round_number - 1])
        digits.write_pictures(bucket, range(start, start + self.per_round[round_number - 1]), split_of)

    def annotated_after(self, round_number: int) -> int:
        """Three quarters of what has arrived; everything after the last round."""
        return _annotated(self.per_round, round_number)


@dataclass(frozen=True)
class OwnPictures:
    """A folder of somebody's pictures with COCO truth; equally many arrive in each round."""

    folder: Path
    truth: Path
    rounds: tuple[tuple[str, ...], ...]

    @classmethod
    def find(cls, folder: Path, truth: Path, rounds: int) -> OwnPictures:
        """Look at a folder.

        Raises:
            ConfigurationError: It is not there, holds too few pictures, or the truth cannot be read.
        """
        if not folder.is_dir():
            raise ConfigurationError(f"{folder} is not a folder.", cure="Give the folder with your pictures.")
        known = CocoTruth.load(truth)
        every = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
        usable = sorted((name for name in every if known(name) is not None), key=_shuffled)
        if len(usable) < _MIN_PER_ROUND * rounds:
            raise ConfigurationError(
                f"{folder} holds {len(every)} pictures, of which {len(usable)} are in {truth}; "
                f"{rounds} rounds need at least {_MIN_PER_ROUND * rounds}.",
                cure="Add pictures with boxes, or ask for fewer rounds.",
            )
        return cls(folder, truth, tuple(tuple(usable[i::rounds]) for i in range(rounds)))

    def put(self, bucket: Path, round_number: int) -> None:
        """Copy the pictures of a round."""
        for name in self.rounds[round_number - 1]:
            target = bucket / name
            if not target.exists():
                write_file(target, (self.folder / name).read_bytes())

    def annotated_after(self, round_number: int) -> int:
        """Three quarters of what has arrived; everything after the last round."""
        return _annotated([len(names) for names in self.rounds], round_number)


def label_names(truth: Path) -> list[str]:
    """Names of the truth's categories, in order of their ids."""
    categories = json.loads(truth.read_bytes())["categories"]
    return [str(category["name"]) for category in sorted(categories, key=lambda category: category["id"])]


def _annotated(per_round: Sequence[int], round_number: int) -> int:
    arrived = sum(per_round[:round_number])
    return arrived if round_number == len(per_round) else round(arrived * (1 - _LEFT_OPEN))


def _shuffled(name: str) -> str:
    """A fixed order in which similar names are not neighbours."""
    return hashlib.sha256(name.encode()).hexdigest()
